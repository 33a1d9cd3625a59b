import type { HasProps } from "@bokeh/bokehjs/build/js/lib/core/has_props";
import type { Document } from "@bokeh/bokehjs/build/js/lib/document/document";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ChangeEncoder } from "../src/encoder";
import { type BokehRoot, release_document } from "../src/upstream";
import { described_state } from "./golden";
import { bokehjs, make_model, required } from "./page";

let bokeh: BokehRoot;
let document: Document;
let encoder: ChangeEncoder;

interface Source extends HasProps {
  data: Record<string, unknown>;
  stream(data: Record<string, unknown>): void;
}

const model = (id: string): HasProps => required(document.get_model_by_id(id));
const source = (): Source => model("source") as Source;

/** The one event of a change, and the bytes of its buffers by name. */
function encoded(change: () => void): { event: Record<string, unknown>; buffers: Record<string, number[]> } {
  change();
  const { events, buffers } = encoder.take();
  expect(events.length).toBe(1);
  return {
    event: events[0] as Record<string, unknown>,
    buffers: Object.fromEntries([...buffers].map(([id, buffer]) => [id, [...new Uint8Array(buffer)]])),
  };
}

const column = (value: unknown): { new: { entries: [string, unknown][] } } =>
  encoded(() => source().setv({ data: { x: value } })).event as unknown as { new: { entries: [string, unknown][] } };

beforeEach(async () => {
  bokeh = await bokehjs();
  const { Document: DocumentClass } = bokeh.require("document") as {
    Document: { from_json(json: unknown, events: unknown[], buffers: unknown): Document };
  };
  const { json, buffers } = described_state();
  const exact = Object.entries(buffers).map(([id, view]) => [id, new Uint8Array(view as Uint8Array).buffer] as const);
  document = DocumentClass.from_json(JSON.parse(json), [], new Map(exact));
  encoder = new ChangeEncoder(bokeh, document);
  encoder.mark_known(null);
  document.on_change((event) => encoder.add(event));
});

afterEach(() => release_document(bokeh, document));

describe("arrays", () => {
  const raw = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];
  const { buffer } = new Uint8Array(raw);

  test.each([
    ["uint8", new Uint8Array(buffer)],
    ["int8", new Int8Array(buffer)],
    ["uint16", new Uint16Array(buffer)],
    ["int16", new Int16Array(buffer)],
    ["uint32", new Uint32Array(buffer)],
    ["int32", new Int32Array(buffer)],
    ["float32", new Float32Array(buffer)],
    ["float64", new Float64Array(buffer)],
  ])("of %s go as their bytes", (dtype, array) => {
    const { event, buffers } = encoded(() => source().setv({ data: { x: array } }));
    const bytes = { type: "bytes", data: { id: "b0" } };
    expect(event["new"]).toEqual({
      type: "map",
      entries: [["x", { type: "typed_array", array: bytes, order: "little", dtype }]],
    });
    expect(buffers).toEqual({ b0: raw });
  });

  test("that are views go without the memory around them", () => {
    const { buffers } = encoded(() => source().setv({ data: { x: new Uint16Array(buffer, 4, 3) } }));
    expect(buffers).toEqual({ b0: raw.slice(4, 10) });
  });

  test("that are empty go as no bytes", () => {
    const { buffers } = encoded(() => source().setv({ data: { x: new Float64Array(buffer, 8, 0) } }));
    expect(buffers).toEqual({ b0: [] });
  });

  test("that came from Python go back with their shape", () => {
    const { ndarray } = bokeh.require("core/util/ndarray") as {
      ndarray(values: number[], options: { dtype: string; shape: number[] }): unknown;
    };
    const { event, buffers } = encoded(() =>
      source().setv({ data: { x: ndarray([1, 2, 3, 4, 5, 6], { dtype: "uint8", shape: [2, 3] }) } }),
    );
    const bytes = { type: "bytes", data: { id: "b0" } };
    expect(event["new"]).toEqual({
      type: "map",
      entries: [["x", { type: "ndarray", array: bytes, order: "little", dtype: "uint8", shape: [2, 3] }]],
    });
    expect(buffers).toEqual({ b0: [1, 2, 3, 4, 5, 6] });
  });

  test("are copied out of a message before the page writes to them again", () => {
    const live = new Uint8Array([1, 2, 3, 4]).subarray(1, 3);
    source().setv({ data: { x: live } });
    live.fill(9);
    expect([...new Uint8Array(required(encoder.take().buffers.get("b0")))]).toEqual([2, 3]);
  });

  test("of one message have names of their own, which begin anew with the next", () => {
    source().setv({ data: { x: new Uint8Array([1]), y: new Uint8Array([2]) } });
    model("slider").setv({ tags: [new Uint8Array([3])] });
    expect([...encoder.take().buffers.keys()]).toEqual(["b0", "b1", "b2"]);
    source().setv({ data: { x: new Uint8Array([4]) } });
    expect([...encoder.take().buffers.keys()]).toEqual(["b0"]);
  });
});

describe("numbers", () => {
  test.each([
    [Number.NaN, { type: "number", value: "nan" }],
    [Number.POSITIVE_INFINITY, { type: "number", value: "+inf" }],
    [Number.NEGATIVE_INFINITY, { type: "number", value: "-inf" }],
    [0.1, 0.1],
    [null, null],
  ])("%s in a list is what Bokeh writes", (value, expected) => {
    expect(column([1, value]).new.entries).toEqual([["x", [1, expected]]]);
  });

  test("that JSON lacks travel in arrays as their bytes", () => {
    const array = new Float64Array([Number.NaN, Number.NEGATIVE_INFINITY]);
    const { buffers } = encoded(() => source().setv({ data: { x: array } }));
    expect(buffers).toEqual({ b0: [...new Uint8Array(array.buffer)] });
  });
});

describe("models", () => {
  const icon = (id: string): HasProps => make_model(bokeh, "BuiltinIcon", id, { icon_name: "settings" });

  test("that Python knows go by reference", () => {
    const { event } = encoded(() => model("slider").setv({ tags: [model("button")] }));
    expect(event).toEqual({ kind: "ModelChanged", model: { id: "slider" }, attr: "tags", new: [{ id: "button" }] });
  });

  test("that were made in the browser are defined once", () => {
    const made = icon("icon");
    const { event } = encoded(() => model("button").setv({ icon: made }));
    const attributes = { icon_name: "settings" };
    expect(event["new"]).toEqual({ type: "object", name: "BuiltinIcon", id: "icon", attributes });
    const { event: next } = encoded(() => model("slider").setv({ tags: [made] }));
    expect(next["new"]).toEqual([{ id: "icon" }]);
  });

  test("that are named twice in one message are defined in the first place", () => {
    const made = icon("icon");
    model("button").setv({ icon: made });
    model("slider").setv({ tags: [made] });
    const [first, second] = encoder.take().events as { new: unknown }[];
    expect(first?.new).toMatchObject({ type: "object", id: "icon" });
    expect(second?.new).toEqual([{ id: "icon" }]);
  });

  test("that the JSON of the document does not define stay new", () => {
    const made = icon("icon");
    model("button").setv({ icon: made }, { sync: false });
    encoder.take();
    const { _new_models } = document as unknown as { _new_models: Set<HasProps> };
    _new_models.add(made);
    _new_models.add(model("slider"));
    encoder.mark_known(described_state().json);
    expect([..._new_models].map(({ id }) => id)).toEqual(["icon"]);
    const { event } = encoded(() => model("slider").setv({ tags: [made, model("slider")] }));
    expect(event["new"]).toMatchObject([{ type: "object", id: "icon" }, { id: "slider" }]);
  });
});

test("an event holds the data of its moment, not what is streamed to it later", () => {
  source().setv({ data: { x: [1, 2] } });
  source().stream({ x: [3] });
  expect(source().data["x"]).toEqual([1, 2, 3]);
  expect(encoder.take().events).toEqual([
    { kind: "ModelChanged", model: { id: "source" }, attr: "data", new: { type: "map", entries: [["x", [1, 2]]] } },
    {
      kind: "ColumnsStreamed",
      model: { id: "source" },
      attr: "data",
      data: { type: "map", entries: [["x", [3]]] },
      rollover: undefined,
    },
  ]);
});

test("what was taken is not given again", () => {
  expect(encoder.is_empty).toBe(true);
  model("slider").setv({ value: 2 });
  expect(encoder.is_empty).toBe(false);
  expect(encoder.take().events.length).toBe(1);
  expect(encoder.is_empty).toBe(true);
  expect(encoder.take().events).toEqual([]);
});
