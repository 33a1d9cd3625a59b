/** What BokehJS computes and may never need. */

import { wrap } from "./ledger";
import { optional_module, owner_of, property, view_prototype } from "./reflection";
import type { State, ViewLike } from "./state";

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

/**
 * To put the pixels of an image into its canvas, those that are there are read first, and then overwritten, each of
 * them.
 *
 * Upstream: no issue known; since bokeh#14469 the canvas is one from which reading is not that slow.
 */
export function image_readback(state: State): void {
  const owner = owner_of(view_prototype(state, "Image"), "_set_image_data_from_buffer");
  wrap<ImageViewLike>(state, "image_readback", owner, "_set_image_data_from_buffer", (view, call, args) => {
    const [index, pixels] = args as [number, unknown];
    const [width, height] = [view.image_width?.[index] ?? 0, view.image_height?.[index] ?? 0];
    const is_whole = pixels instanceof Uint8ClampedArray && pixels.length > 0 && pixels.length == 4 * width * height;
    const canvas = is_whole ? view._get_or_create_canvas?.(index) : undefined;
    const context = canvas?.getContext("2d", { willReadFrequently: true });
    if (context == null || view.image_data == null) {
      return call();
    }
    context.putImageData(new ImageData(pixels as ImageDataArray, width, height), 0, 0);
    view.image_data[index] = context.canvas;
    return undefined;
  });
}

interface ImageViewLike extends ViewLike {
  readonly image_width?: ArrayLike<number>;
  readonly image_height?: ArrayLike<number>;
  readonly image_data?: HTMLCanvasElement[] | null;
  _get_or_create_canvas?(index: number): HTMLCanvasElement;
}
