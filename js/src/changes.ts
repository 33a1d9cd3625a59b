/** Events of BokehJS as changes that can be brought to fewer, and back. */

import type { HasProps } from "@bokeh/bokehjs/build/js/lib/core/has_props";
import type { Document } from "@bokeh/bokehjs/build/js/lib/document/document";
import type { DocumentEvent } from "@bokeh/bokehjs/build/js/lib/document/events";
import type { Change, Patches, Rows } from "./coalescing";
import type { BokehRoot } from "./upstream";

export type ModelChange = Change<HasProps, DocumentEvent>;

/** What is looked at of an event, of whichever kind it is. */
interface Fields {
  readonly kind?: string;
  readonly model?: HasProps;
  readonly attr?: string;
  readonly data?: unknown;
  readonly rollover?: number | null;
  readonly patches?: unknown;
  readonly msg_type?: string;
  readonly msg_data?: unknown;
}

interface UIEventFields {
  readonly event_name?: string;
  readonly origin?: HasProps | null;
  readonly final?: boolean;
}

/** What BokehJS says again and again while a gesture goes on: the last one is what counts. */
const CONTINUOUS: ReadonlySet<string> = new Set(["pan", "pinch", "rotate", "wheel", "mousemove", "rangesupdate"]);

/** Kinds of changes that the definition of their model contains. */
const OF_A_MODEL: ReadonlySet<string> = new Set(["property", "whole", "columns", "stream", "patch"]);

const DATA = "data";

function is_source(bokeh: BokehRoot, model: HasProps): boolean {
  const { ColumnarDataSource } = bokeh.require("models/sources/columnar_data_source") as {
    ColumnarDataSource: abstract new () => HasProps;
  };
  return model instanceof ColumnarDataSource;
}

/** BokehJS takes columns as objects and as maps. */
function columns_of<T>(data: unknown): Readonly<Record<string, T>> {
  return (data instanceof Map ? Object.fromEntries(data) : data) as Readonly<Record<string, T>>;
}

export function change_of(bokeh: BokehRoot, event: DocumentEvent): ModelChange {
  const { kind, model, attr, data, rollover, patches, msg_type, msg_data } = event as unknown as Fields;
  if (kind == "MessageSent" && msg_type == "bokeh_event") {
    const { event_name = "", origin, final } = Object(msg_data) as UIEventFields;
    const goes_on = CONTINUOUS.has(event_name) || (event_name == "selectiongeometry" && final === false);
    if (goes_on && origin != null) {
      return { kind: "continuous", model: origin, name: event_name, value: event };
    }
  } else if (model !== undefined && attr !== undefined) {
    if (kind == "ModelChanged") {
      return attr == DATA && is_source(bokeh, model)
        ? { kind: "whole", source: model }
        : { kind: "property", model, attr, value: event };
    }
    if (kind == "ColumnsStreamed" && attr == DATA) {
      return { kind: "stream", source: model, rows: columns_of(data) as Rows, rollover: rollover ?? null };
    }
    if (kind == "ColumnsPatched" && attr == DATA) {
      return { kind: "patch", source: model, patches: columns_of(patches) as Patches };
    }
  }
  return { kind: "discrete", value: event };
}

/** Whether a range was fitted to its data, as it is with each row of a stream; not one that the user has moved. */
export function is_fit(bokeh: BokehRoot, event: DocumentEvent): boolean {
  const { kind, model, attr } = event as unknown as Fields;
  const { DataRange1d } = bokeh.require("models/ranges/data_range1d") as {
    DataRange1d: abstract new () => HasProps & { readonly have_updated_interactively: boolean };
  };
  const is_end = kind == "ModelChanged" && (attr == "start" || attr == "end");
  return is_end && model instanceof DataRange1d && !model.have_updated_interactively;
}

type EventClass = new (document: Document, model: HasProps, ...values: unknown[]) => DocumentEvent;

/** The event that a property has the value which it has now. */
export function changed_event(bokeh: BokehRoot, document: Document, model: HasProps, attr: string): DocumentEvent {
  const { ModelChangedEvent } = bokeh.require("document/events") as Readonly<Record<string, EventClass>>;
  return new (ModelChangedEvent as EventClass)(document, model, attr, model.property(attr).get_value());
}

/** The event to encode for a change; the data of a source are those of this moment. */
export function event_of(bokeh: BokehRoot, document: Document, change: ModelChange): DocumentEvent {
  const classes = bokeh.require("document/events") as Readonly<Record<string, EventClass>>;
  const make = (name: string, model: HasProps, ...values: unknown[]): DocumentEvent =>
    new (classes[name] as EventClass)(document, model, DATA, ...values);
  switch (change.kind) {
    case "property":
    case "continuous":
    case "discrete":
      return change.value;
    case "whole":
      return changed_event(bokeh, document, change.source, DATA);
    case "columns": {
      const data = columns_of(change.source.property(DATA).get_value());
      const chosen = Object.fromEntries(change.columns.map((name) => [name, data[name]]));
      return make("ColumnDataChangedEvent", change.source, chosen, change.columns);
    }
    case "stream":
      return make("ColumnsStreamedEvent", change.source, change.rows, change.rollover);
    case "patch":
      return make("ColumnsPatchedEvent", change.source, new Map(Object.entries(change.patches)));
  }
}

/** The model whose definition would contain the change; null if none does. */
export function changed_model(change: ModelChange): HasProps | null {
  if (!OF_A_MODEL.has(change.kind)) {
    return null;
  }
  return "source" in change ? change.source : (change as Extract<ModelChange, { kind: "property" }>).model;
}
