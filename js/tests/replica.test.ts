import type { HasProps } from "@bokeh/bokehjs/build/js/lib/core/has_props";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { EncodedChanges } from "../src/encoder";
import type { DocumentState } from "../src/protocol";
import { Replica } from "../src/replica";
import type { BokehRoot } from "../src/upstream";
import { described_state, load, outcome } from "./golden";
import { bokehjs, lists_only, make_model, required, value_of } from "./page";

let bokeh: BokehRoot;
let replica: Replica;
let changes: EncodedChanges[];
let errors: unknown[];

interface Source extends HasProps {
  data: Record<string, unknown>;
  stream(data: Record<string, unknown>, rollover?: number): void;
  patch(patches: Map<string, unknown>): void;
}

const ignore = (): void => undefined;

const model = (id: string): HasProps => required(replica.document.get_model_by_id(id));
const changed = (id: string, attr: string, value: unknown) => ({
  kind: "ModelChanged",
  model: { id },
  attr,
  new: value,
});

/** The microtask in which a replica hands over what was changed has run. */
const task = (): Promise<void> => new Promise((resolve) => setTimeout(resolve));

beforeEach(async () => {
  bokeh = await bokehjs();
  changes = [];
  errors = [];
  replica = new Replica(
    bokeh,
    described_state(),
    () => changes.push(replica.take_changes()),
    (error) => errors.push(error),
  );
});

afterEach(() => {
  replica.dispose();
  expect(lists_only(bokeh)).toBe(true);
});

describe("build", () => {
  test("makes the document of the state", () => {
    const { result } = load("kernel_document");
    expect(lists_only(bokeh, replica.document)).toBe(true);
    expect([replica.session, replica.revision]).toEqual(["session-1", 0]);
    expect(outcome(replica.document, result)).toEqual(result);
    expect(changes).toEqual([]);
  });

  test.each([
    ["DataView", (view: Uint8Array<ArrayBuffer>) => new DataView(view.buffer, view.byteOffset, view.byteLength)],
    ["ArrayBuffer", (view: Uint8Array<ArrayBuffer>) => view.slice().buffer],
  ])("takes each buffer as %s too", (_name, convert) => {
    const state = described_state();
    const buffers = Object.entries(state.buffers).map(([id, view]) => [id, convert(view as Uint8Array<ArrayBuffer>)]);
    const other = new Replica(bokeh, { ...state, buffers: Object.fromEntries(buffers) }, ignore, ignore);
    const { result } = load("kernel_document");
    expect(outcome(other.document, result)).toEqual(result);
    other.dispose();
  });

  test.each([
    ["an unknown model", (json: string) => json.replace('"Button"', '"Nonsense"')],
    ["an unknown property", (json: string) => json.replace('"start":0', '"begin":0')],
    ["no JSON", () => "{"],
    ["a buffer that did not come", (json: string) => json.replace('"id":"b1"', '"id":"b7"')],
  ])("that fails for %s leaves nothing behind", (_what, spoil) => {
    const state: DocumentState = { ...described_state(), json: spoil(described_state().json) };
    expect(state.json).not.toBe(described_state().json);
    expect(() => new Replica(bokeh, state, ignore, ignore)).toThrow();
    expect(lists_only(bokeh, replica.document)).toBe(true);
    expect(model("slider").document === replica.document).toBe(true);
  });
});

describe("patches of Python", () => {
  test("change the document, raise the revision and are not sent back", async () => {
    replica.apply([changed("slider", "value", 7)], new Map(), 1);
    expect(value_of(model("slider"), "value")).toBe(7);
    expect(replica.revision).toBe(1);
    await task();
    expect(changes).toEqual([]);
  });

  test("that fail leave the revision as it was", () => {
    expect(() => replica.apply([{ kind: "Mystery" }], new Map(), 1)).toThrow("Mystery");
    expect(replica.revision).toBe(0);
  });

  test("bring arrays that are views of the bytes that came: nothing is copied", () => {
    const buffer = new Float64Array([1, 2]).buffer;
    const array = { type: "bytes", data: { id: "b0" } };
    const column = { type: "ndarray", array, dtype: "float64", order: "little", shape: [2] };
    const data = { type: "map", entries: [["x", column]] };
    const event = { kind: "ColumnDataChanged", model: { id: "source" }, attr: "data", data, cols: null };
    replica.apply([event], new Map([["b0", buffer]]), 1);
    const { x } = (model("source") as Source).data as { x: Float64Array };
    expect(x).toBeInstanceOf(Float64Array);
    expect(x.buffer).toBe(buffer);
  });

  test("leave what was changed here waiting", async () => {
    model("slider").setv({ value: 3 });
    (model("source") as Source).stream({ x: [3], n: [4], label: ["d"] });
    replica.apply([changed("slider", "title", "t")], new Map(), 1);
    expect([replica.waits_with("slider", "value"), replica.waits_with("slider", "title")]).toEqual([true, false]);
    expect([replica.waits_with_rows("source"), replica.waits_with_rows("slider")]).toEqual([true, false]);
    expect([replica.waits_with("nobody", "value"), replica.waits_with_rows("nobody")]).toEqual([false, false]);
    await task();
    expect(changes.map(({ events }) => events.length)).toEqual([2]);
    expect(replica.waits_with("slider", "value")).toBe(false);
  });

  test("may lead to changes of the browser, which are sent", async () => {
    const slider = model("slider") as HasProps & { value: number };
    slider.connect(required(slider.properties["value"]).change, () =>
      model("button").setv({ label: `at ${slider.value}` }),
    );
    replica.apply([changed("slider", "value", 7)], new Map(), 1);
    await task();
    expect(changes.map(({ events }) => events)).toEqual([[changed("button", "label", "at 7")]]);
  });

  test("and what they lead to: of a property that both set, the last one stays on both sides", async () => {
    const { change } = required(model("slider").properties["value"]);
    model("slider").connect(change, () => model("button").setv({ label: "here" }));
    replica.apply([changed("slider", "value", 7), changed("button", "label", "Python")], new Map(), 1);
    await task();
    expect(value_of(model("button"), "label")).toBe("Python");
    expect(changes.map(({ events }) => events)).toEqual([[changed("button", "label", "Python")]]);
    replica.apply([changed("button", "label", "Python 2"), changed("slider", "value", 8)], new Map(), 2);
    await task();
    expect(value_of(model("button"), "label")).toBe("here");
    expect(changes[1]?.events).toEqual([changed("button", "label", "here")]);
  });
});

describe("changes of the browser", () => {
  test("of one task are handed over together, in their order, each property once", async () => {
    model("slider").setv({ value: 3 });
    model("slider").setv({ value: 4, title: "t" });
    replica.document.set_title("renamed");
    expect(changes).toEqual([]);
    await task();
    expect(changes.map(({ events }) => events)).toEqual([
      [changed("slider", "value", 4), changed("slider", "title", "t"), { kind: "TitleChanged", title: "renamed" }],
    ]);
  });

  test("of two tasks are handed over one by one", async () => {
    model("slider").setv({ value: 3 });
    await task();
    model("slider").setv({ value: 4 });
    await task();
    expect(changes.map(({ events }) => events)).toEqual([
      [changed("slider", "value", 3)],
      [changed("slider", "value", 4)],
    ]);
  });

  test("that cannot be serialised are handed over as errors, the others as changes", async () => {
    model("slider").setv({ tags: [() => 0], value: 3 });
    model("slider").setv({ title: "t" });
    await task();
    expect(errors.map(String)).toEqual([expect.stringContaining("is not serializable")]);
    expect(changes.map(({ events }) => events)).toEqual([
      [changed("slider", "value", 3), changed("slider", "title", "t")],
    ]);
  });

  test("that cannot be serialised leave their models unknown to Python, and send no bytes", async () => {
    const fresh = make_model(bokeh, "Slider", "fresh", { start: 0, end: 1, value: 0, step: 1 });
    model("source").setv({ tags: [fresh, new Uint8Array(4), () => 0] });
    model("slider").setv({ tags: [fresh] });
    model("button").setv({ tags: [fresh] });
    await task();
    expect(errors.length).toBe(1);
    expect(changes).toMatchObject([
      {
        events: [
          changed("slider", "tags", [{ type: "object", name: "Slider", id: "fresh" }]),
          changed("button", "tags", [{ id: "fresh" }]),
        ],
      },
    ]);
    expect(changes[0]?.buffers.size).toBe(0);
  });

  test("that are not for Python stay here", async () => {
    model("slider").setv({ value: 3 }, { sync: false });
    replica.document.set_title("renamed", { sync: false });
    await task();
    expect(changes).toEqual([]);
  });
});

describe("dispose", () => {
  test("frees everything, and is done once", async () => {
    const { document } = replica;
    const slider = model("slider");
    slider.setv({ value: 3 });
    replica.dispose();
    expect(lists_only(bokeh)).toBe(true);
    expect(document.roots()).toEqual([]);
    expect(document.all_models.size).toBe(0);
    expect(slider.document).toBeNull();

    slider.setv({ value: 4 });
    document.set_title("late");
    replica.dispose();
    await task();
    expect(changes).toEqual([]);
    expect(replica.waiting).toBe(0);
  });

  test("leaves other documents alone", () => {
    const other = new Replica(bokeh, described_state(), ignore, ignore);
    replica.dispose();
    expect(lists_only(bokeh, other.document)).toBe(true);
    expect(outcome(other.document, load("kernel_document").result)).toEqual(load("kernel_document").result);
    other.dispose();
  });
});
