/** What BokehJS computes and may never need. */

import { wrap } from "./ledger";
import { optional_module, property } from "./reflection";
import type { State } from "./state";

/**
 * With all new data of a glyph its spatial index is sorted: of a line with 100 000 points that is half of what
 * JavaScript has to do until it is painted. Lines, areas and images never look into it, and others when a
 * pointer or the frame asks what lies where. Its bounds, which automatic ranges need, are known without the sorting. So
 * it is sorted for whoever looks into it first.
 *
 * Upstream: bokeh#1542, closed when the bounds were not known without the sorting.
 */
export function lazy_index(state: State): void {
  const { prototype } = Object(property(optional_module(state.bokeh, "core/util/spatial"), "SpatialIndex")) as {
    readonly prototype?: object;
  };
  const unsorted = new WeakMap<object, () => unknown>();
  wrap<object>(state, "lazy_index", prototype, "finish", (index, finish) => void unsorted.set(index, finish));
  for (const name of ["indices", "bounds"]) {
    wrap<object>(state, "lazy_index", prototype, name, (index, look) => {
      const finish = unsorted.get(index);
      unsorted.delete(index);
      finish?.();
      return look();
    });
  }
}
