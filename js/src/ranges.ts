/**
 * Ranges that follow their data. BokehJS takes the ends that a range has when its document is built for chosen ones, and
 * does not leave them any more; in a page that comes later they are those that an earlier one had found.
 */

import type { HasProps } from "@bokeh/bokehjs/build/js/lib/core/has_props";
import type { Document } from "@bokeh/bokehjs/build/js/lib/document/document";
import type { BokehRoot } from "./upstream";

/** By the id of a range: which ends it finds by itself, and whether it does now, or the user has moved it. */
export type Ranges = Readonly<Record<string, { readonly ends: readonly string[]; readonly follows: boolean }>>;

/** Key in the JSON of a document, of {@link Ranges}. */
export const RANGES = "bokeh_widget_ranges";

const ENDS = ["start", "end"] as const;

interface DataRange extends HasProps {
  have_updated_interactively: boolean;
}

interface End {
  readonly kind?: string;
  readonly attr?: string;
  readonly model?: { readonly id: string };
  readonly follows?: boolean;
}

function is_data_range(bokeh: BokehRoot, model: HasProps | null): model is DataRange {
  const { DataRange1d } = bokeh.require("models/ranges/data_range1d") as { DataRange1d: abstract new () => HasProps };
  return model instanceof DataRange1d;
}

/** Lets the ranges of a new document follow their data, or stay where the user has moved them, as they did before. */
export function restore_ranges(bokeh: BokehRoot, document: Document, ranges: Ranges): void {
  for (const [id, { ends, follows }] of Object.entries(ranges)) {
    const model = document.get_model_by_id(id);
    if (is_data_range(bokeh, model)) {
      for (const end of ends) {
        Reflect.set(model, `_initial_${end}`, null);
      }
      model.have_updated_interactively = !follows;
    }
  }
}

/** The same of a document of this page, to be saved. */
export function ranges_of(bokeh: BokehRoot, document: Document): Ranges {
  const found: Record<string, Ranges[string]> = {};
  const { _all_models: models } = document as unknown as { readonly _all_models: ReadonlyMap<string, HasProps> };
  for (const model of models.values()) {
    if (is_data_range(bokeh, model)) {
      const ends = ENDS.filter((end) => Reflect.get(model, `_initial_${end}`) === null);
      found[model.id] = { ends, follows: !model.have_updated_interactively };
    }
  }
  return found;
}

/** Says with each end of a range in the events of this page whether it follows the data. */
export function with_follows(bokeh: BokehRoot, document: Document, events: readonly unknown[]): unknown[] {
  return events.map((event) => {
    const { kind, attr, model } = event as End;
    const is_end = kind == "ModelChanged" && (attr == "start" || attr == "end") && model !== undefined;
    const range = is_end ? document.get_model_by_id(model.id) : null;
    return is_data_range(bokeh, range) ? { ...(event as End), follows: !range.have_updated_interactively } : event;
  });
}

/** Where another page has moved a range, this one does not let it follow either; and it does again with that one. */
export function take_follows(bokeh: BokehRoot, document: Document, events: readonly unknown[]): void {
  for (const { model, follows } of events as readonly End[]) {
    const range = follows === undefined || model === undefined ? null : document.get_model_by_id(model.id);
    if (is_data_range(bokeh, range)) {
      range.have_updated_interactively = !follows;
    }
  }
}
