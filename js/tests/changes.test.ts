/** What BokehJS says, and what of it is sent, in the real BokehJS. */

import type { HasProps } from "@bokeh/bokehjs/build/js/lib/core/has_props";
import type { DocumentEvent } from "@bokeh/bokehjs/build/js/lib/document/events";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Replica } from "../src/replica";
import type { BokehRoot } from "../src/upstream";
import { described_state } from "./golden";
import { bokehjs, make_model, required } from "./page";

let bokeh: BokehRoot;
let replica: Replica;

interface Source extends HasProps {
  data: Record<string, unknown>;
  stream(data: Record<string, unknown>, rollover?: number): void;
  patch(patches: Map<string, unknown>): void;
}

const model = (id: string): HasProps => required(replica.document.get_model_by_id(id));
const source = (): Source => model("source") as Source;
const events = () => replica.take_changes().events as Record<string, unknown>[];
const changed = (id: string, attr: string, value: unknown) => ({
  kind: "ModelChanged",
  model: { id },
  attr,
  new: value,
});
const row = (n: number, rollover?: number): void => {
  source().stream({ x: new Float64Array([n]), n: new Int32Array([n]), label: [`l${n}`] }, rollover);
};

beforeEach(async () => {
  bokeh = await bokehjs();
  replica = new Replica(
    bokeh,
    described_state(),
    () => undefined,
    (error) => expect.unreachable(String(error)),
  );
});

afterEach(() => replica.dispose());

describe("what is sent", () => {
  test("of a slider is its last value", () => {
    for (const value of [2, 3, 4]) {
      model("slider").setv({ value });
    }
    expect(events()).toEqual([changed("slider", "value", 4)]);
    expect(replica.coalesced).toBe(2);
  });

  test("of replaced data are the data of the moment of sending, with the rows that came after", () => {
    source().setv({ data: { x: [1] } });
    source().stream({ x: [2] });
    source().patch(new Map([["x", [[0, 5]]]]));
    expect(events()).toEqual([changed("source", "data", { type: "map", entries: [["x", [5, 2]]] })]);
  });

  test("of rows are the rows of the moment of the change, joined", () => {
    const x = new Float64Array([1]);
    source().stream({ x, n: new Int32Array([1]), label: ["a"] });
    x[0] = 9;
    row(2);
    const { events: sent, buffers } = replica.take_changes();
    expect(sent).toMatchObject([{ kind: "ColumnsStreamed", model: { id: "source" }, attr: "data", rollover: null }]);
    expect([...new Float64Array(required(buffers.get("b0")))]).toEqual([1, 2]);
  });

  test("of rows beyond the rollover is nothing", () => {
    for (let i = 0; i < 5; i++) {
      row(i, 2);
    }
    const { events: sent, buffers } = replica.take_changes();
    expect(sent).toMatchObject([{ kind: "ColumnsStreamed", rollover: 2 }]);
    expect([...new Float64Array(required(buffers.get("b0")))]).toEqual([3, 4]);
  });

  test("of some columns are those, as they are then", () => {
    replica.document.on_change(() => undefined);
    const { ColumnDataChangedEvent } = bokeh.require("document/events") as {
      ColumnDataChangedEvent: new (...values: unknown[]) => DocumentEvent;
    };
    replica.document._trigger_on_change(
      new ColumnDataChangedEvent(replica.document, source(), "data", { label: ["x"] }, ["label"]),
    );
    expect(events()).toMatchObject([{ kind: "ColumnDataChanged", cols: ["label"] }]);
  });
});

describe("UI events", () => {
  const trigger = (name: string, fields: Record<string, unknown> = {}): void => {
    const classes = bokeh.require("core/bokeh_events") as Record<string, new (...values: unknown[]) => object>;
    const made = new (required(classes[name]))();
    const coordinates = Object.entries(made).map(([key, value]) => [key, value ?? 0] as const);
    const event = Object.assign(made, Object.fromEntries(coordinates), fields);
    const { event_manager } = replica.document as unknown as { event_manager: { send_event(event: unknown): void } };
    event_manager.send_event(Object.assign(event, { origin: model("button") }));
  };
  const names = () => events().map(({ msg_data }) => (msg_data as { name: string }).name);

  test.each(["Pan", "Pinch", "Rotate", "MouseWheel", "MouseMove", "RangesUpdate"])(
    "%s: the last one counts",
    (name) => {
      trigger(name, { sx: 1 });
      trigger(name, { sx: 2 });
      const [event, ...others] = events();
      expect(others).toEqual([]);
      if (name != "RangesUpdate") {
        expect(JSON.stringify(event)).toContain('["sx",2]');
      }
    },
  );

  test.each(["Tap", "ButtonClick", "PanStart", "PanEnd", "LODStart", "Reset", "Press"])("%s: each counts", (name) => {
    trigger(name);
    trigger(name);
    expect(names().length).toBe(2);
  });

  test("of a selection that goes on the last counts, and each that is final", () => {
    for (const final of [false, false, true, false, true]) {
      trigger("SelectionGeometry", { geometry: {}, final });
    }
    expect(names().length).toBe(4);
  });

  test("keep their place among the changes of a gesture", () => {
    trigger("PanStart");
    trigger("Pan");
    model("slider").setv({ value: 2 });
    trigger("PanEnd");
    model("slider").setv({ value: 3 });
    const sent = events().map((event) => (event["msg_data"] as { name: string } | undefined)?.name ?? event["new"]);
    expect(sent).toEqual(["panstart", "pan", 2, "panend", 3]);
  });
});

describe("models that Python does not know", () => {
  const icon = (): HasProps => make_model(bokeh, "BuiltinIcon", "icon", { icon_name: "settings", size: 20 });

  test("are defined with all that was changed since: no change of theirs is sent twice, or before", () => {
    const made = icon();
    model("button").setv({ icon: made });
    made.setv({ size: 30 });
    model("button").setv({ icon: null });
    model("button").setv({ icon: made }); // its definition moves behind the change of its size
    made.setv({ icon_name: "x" });
    expect(events()).toEqual([
      changed("button", "icon", {
        type: "object",
        name: "BuiltinIcon",
        id: "icon",
        attributes: { icon_name: "x", size: 30 },
      }),
    ]);
    made.setv({ size: 40 });
    expect(events()).toEqual([changed("icon", "size", 40)]);
  });

  test("and rows of theirs are not sent twice", () => {
    const made = make_model(bokeh, "ColumnDataSource", "made", { data: { x: [1] } }) as Source;
    model("button").setv({ tags: [made] });
    made.stream({ x: [2] });
    const sent = events();
    expect(sent.length).toBe(1);
    expect(JSON.stringify(sent)).toContain('["x",[1,2]]');
  });

  test("and that nothing names any more are not spoken of", () => {
    const made = icon();
    model("button").setv({ icon: made });
    made.setv({ size: 30 });
    model("button").setv({ icon: null });
    expect(events()).toEqual([changed("button", "icon", null)]);
  });
});

test("what a patch costs does not depend on how many models there are", () => {
  const many = 5000;
  const state = described_state();
  const json = JSON.parse(state.json) as { roots: unknown[] };
  for (let i = 0; i < many; i++) {
    json.roots.push({ type: "object", name: "Div", id: `div-${i}`, attributes: { text: `${i}` } });
  }
  const large = new Replica(
    bokeh,
    { ...state, json: JSON.stringify(json) },
    () => undefined,
    (error) => expect.unreachable(String(error)),
  );
  const { document } = large as unknown as {
    document: { _all_models: Map<string, HasProps>; _roots: HasProps[]; _recompute_all_models(): void };
  };
  expect(document._all_models.size).toBeGreaterThan(many);

  // whatever goes over all models goes over this table or the roots, or asks each model
  let visits = 0;
  const count = (target: object, name: string | symbol): void => {
    const original = Reflect.get(target, name) as (...values: unknown[]) => unknown;
    Object.defineProperty(target, name, {
      configurable: true,
      value: function (this: unknown, ...values: unknown[]) {
        visits += 1;
        return original.apply(this, values);
      },
    });
  };
  for (const name of ["values", "keys", "entries", "forEach", Symbol.iterator]) {
    count(document._all_models, name);
  }
  count(document, "_recompute_all_models");
  for (const div of document._all_models.values()) {
    if (div.id.startsWith("div-")) {
      count(div, "ref");
      count(div, "references");
      count(div, "attach_document");
    }
  }
  visits = 0;
  const slider = required(large.document.get_model_by_id("slider"));
  for (let revision = 1; revision <= 10; revision++) {
    const made = { type: "object", name: "BuiltinIcon", id: `icon-${revision}`, attributes: { icon_name: "x" } };
    const patch = [changed("slider", "value", revision), changed("button", "icon", made)];
    large.apply(patch, new Map(), revision);
    slider.setv({ title: `${revision}` });
    slider.setv({ tags: [make_model(bokeh, "BuiltinIcon", `own-${revision}`, { icon_name: "y" })] });
    expect(large.take_changes().events.length).toBe(2);
  }
  expect(visits).toBe(0);
  (large.document as unknown as { _recompute_all_models(): void })._recompute_all_models();
  expect(visits).toBeGreaterThan(many); // it would be seen
  large.dispose();
});

test("a replica that replaces another does not say once more that the document is ready", async () => {
  const hears_ready = async (is_replacement: boolean): Promise<boolean> => {
    const heard = vi.fn();
    const other = new Replica(bokeh, described_state(), heard, () => undefined, { is_replacement });
    for (const root of other.document.roots()) {
      other.document.notify_idle(root);
    }
    await Promise.resolve();
    other.dispose();
    return heard.mock.calls.length > 0;
  };
  expect(await hears_ready(false)).toBe(true);
  expect(await hears_ready(true)).toBe(false);
});
