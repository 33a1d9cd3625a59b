/** Output of callbacks in the page: which of it is there, and what it looks like. */

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { make_place } from "../src/element_place";
import { OutputRegion } from "../src/output_region";
import { type OutputChange, Outputs } from "../src/outputs";
import { Places } from "../src/places";
import type { ErrorBlock, OutputBlock, OutputMessage, StreamBlock } from "../src/protocol";
import { type Rendermime, rendermime_of } from "../src/rendermime";
import { FakePlace, required } from "./page";

const stream = (id: number, text: string, name = "stdout"): StreamBlock => ({ id, kind: "stream", name, text });
const error = (id: number, count = 1): ErrorBlock => ({
  id,
  kind: "error",
  text: "ValueError: no",
  detail: "Traceback\n  line",
  count,
});

function message(blocks: OutputBlock[], fields: Partial<OutputMessage> = {}): OutputMessage {
  return { kind: "output", client: null, session: "s", first: 0, cut: 0, blocks, ...fields };
}

describe("outputs", () => {
  test("blocks are added, replaced and cut, and who comes later gets what is left in order", () => {
    const outputs = new Outputs();
    expect(outputs.all.blocks).toEqual([]);
    outputs.take(message([stream(0, "a"), stream(2, "c")]));
    outputs.take(message([stream(1, "b")])); // it came late
    outputs.take(message([stream(2, "cc")]));
    expect(outputs.all.blocks.map((block) => (block as StreamBlock).text)).toEqual(["a", "b", "cc"]);
    const [change, ...others] = outputs.take(message([stream(3, "d")], { first: 2, cut: 7 }));
    expect(others).toEqual([]);
    expect(change).toEqual({ blocks: [stream(3, "d")], first: 2, cut: 7 });
    expect(outputs.all).toEqual({ blocks: [stream(2, "cc"), stream(3, "d")], first: 2, cut: 7 });
  });

  test("what callbacks of another document said goes when that is shown, or says something itself", () => {
    const outputs = new Outputs();
    outputs.follow("s");
    outputs.take(message([stream(5, "a")]));
    expect(outputs.follow("s")).toEqual([]);
    expect(outputs.take(message([stream(0, "b")], { session: "t" })).map(({ first }) => first)).toEqual([
      Number.POSITIVE_INFINITY,
      0,
    ]);
    expect(outputs.all.blocks).toEqual([stream(0, "b")]);
    expect(outputs.follow("u").length).toBe(1);
    expect(outputs.all.blocks).toEqual([]);
  });

  test("every place shows it, and a place that is added later too", () => {
    const places = new Places(() => undefined);
    const [one, two] = [new FakePlace(), new FakePlace()];
    places.add(one);
    places.take_output(message([stream(0, "a")], { client: "other" }), "mine");
    places.take_output(message([stream(0, "b")], { client: "mine" }), "mine");
    places.add(two);
    places.take_output(message([stream(1, "c")]), "mine");
    const texts = ({ outputs }: FakePlace) =>
      outputs.map(({ blocks }) => blocks.map((block) => (block as StreamBlock).text));
    expect(texts(one)).toEqual([[], ["b"], ["c"]]);
    expect(texts(two)).toEqual([["b"], ["c"]]);
    places.follow("another");
    expect(one.outputs.at(-1)?.first).toBe(Number.POSITIVE_INFINITY);
    for (const place of [one, two]) {
      place.element.remove();
    }
  });
});

describe("a region", () => {
  let element: HTMLElement;
  let cleared: number;

  const change = (blocks: OutputBlock[], fields: Partial<OutputChange> = {}): OutputChange => ({
    blocks,
    first: 0,
    cut: 0,
    ...fields,
  });

  function make(rendermime: Rendermime | null = null): OutputRegion {
    return new OutputRegion(element, rendermime, () => {
      cleared += 1;
    });
  }

  const texts = () => [...element.querySelectorAll(".bokeh-widget-output-body > *")].map((shown) => shown.textContent);

  beforeEach(() => {
    element = document.body.appendChild(document.createElement("div"));
    cleared = 0;
  });

  afterEach(() => element.remove());

  test("is seen only if there is something, in the order of the blocks", () => {
    const region = make();
    expect(element.hidden).toBe(true);
    region.show(change([stream(1, "b\n"), stream(3, "d\n", "stderr")]));
    region.show(change([stream(0, "<a>\n"), stream(2, "c\n"), stream(3, "dd\n", "stderr")]));
    expect(element.hidden).toBe(false);
    expect(texts()).toEqual(["<a>\n", "b\n", "c\n", "dd\n"]);
    expect(element.querySelectorAll(".bokeh-widget-stderr").length).toBe(1);
    region.show(change([], { first: 2, cut: 12 }));
    expect(texts()).toEqual(["c\n", "dd\n"]);
    expect(element.textContent).toContain("12 earlier lines are not kept");
    region.show(change([], { first: 4 }));
    expect(element.hidden).toBe(true);
    expect(element.textContent).not.toContain("earlier");
  });

  test("has the traceback of an error folded, and counts", () => {
    const region = make();
    region.show(change([error(0)]));
    const details = required(element.querySelector("details"));
    const summary = required(details.querySelector("summary"));
    expect([summary.textContent, details.open]).toEqual(["ValueError: no", false]);
    expect(details.querySelector("pre")?.textContent).toBe("Traceback\n  line");
    details.open = true;
    region.show(change([error(0, 3)]));
    expect(summary.textContent).toBe("ValueError: no (3 times)");
    expect(details.open).toBe(true);
  });

  test("is cleared by a click, when the kernel has said so", () => {
    const region = make();
    region.show(change([stream(0, "a")]));
    required(element.querySelector("button")).click();
    expect(cleared).toBe(1);
    expect(texts()).toEqual(["a"]);
  });

  test("shows objects as text where nothing renders them", () => {
    const region = make();
    region.show(
      change([
        { id: 0, kind: "display", data: { "text/plain": "<Figure>", "image/png": "x" }, metadata: {} },
        { id: 1, kind: "display", data: { "application/x": {} }, metadata: {} },
      ]),
    );
    expect(texts()).toEqual(["<Figure>", "application/x"]);
  });

  test("lets the front end render objects, and frees what is replaced, cut or left", async () => {
    const alive = new Set<object>();

    class FakeRenderer {
      isAttached = false;
      readonly node = document.createElement("em");
      static attach(renderer: FakeRenderer, host: HTMLElement): void {
        host.append(renderer.node);
        renderer.isAttached = true;
      }
      static detach(renderer: FakeRenderer): void {
        renderer.node.remove();
        renderer.isAttached = false;
      }
      constructor() {
        alive.add(this);
      }
      async renderModel(model: { data: Record<string, string> }): Promise<void> {
        if (model.data["text/html"] == "fails") {
          throw new Error("on purpose");
        }
        this.node.innerHTML = String(model.data["text/html"]);
      }
      dispose(): void {
        alive.delete(this);
      }
    }

    const rendermime = required(
      rendermime_of({
        rendermime: {
          preferredMimeType: (bundle: object) => ("text/html" in bundle ? "text/html" : undefined),
          createRenderer: () => new FakeRenderer(),
          createModel: (options: object) => options,
        },
      }),
    );
    const html = (id: number, text: string): OutputBlock => ({
      id,
      kind: "display",
      data: { "text/html": text, "text/plain": "plain" },
      metadata: {},
    });
    const failed = vi.spyOn(console, "error").mockImplementation(() => undefined);
    const region = make(rendermime);
    region.show(change([html(0, "<b>a</b>"), html(1, "b"), html(2, "c"), html(3, "fails")]));
    await vi.waitFor(() => expect(texts()).toEqual(["a", "b", "c", ""]));
    expect(element.querySelector("b")).not.toBeNull();
    expect(failed).toHaveBeenCalledOnce();
    failed.mockRestore();
    region.show(change([html(1, "other")]));
    await vi.waitFor(() => expect(texts()).toEqual(["a", "other", "c", ""]));
    expect(alive.size).toBe(4);
    region.show(change([], { first: 2 }));
    expect([alive.size, texts()]).toEqual([2, ["c", ""]]);
    region.dispose();
    expect(alive.size).toBe(0);
    expect(rendermime_of({})).toBeNull();
    expect(rendermime_of(undefined)).toBeNull();
  });

  test("what is rendered before its place is in the page is attached when it is", async () => {
    const attached: HTMLElement[] = [];
    class FakeRenderer {
      isAttached = false;
      static attach(renderer: FakeRenderer, host: HTMLElement): void {
        attached.push(host);
        renderer.isAttached = true;
      }
      static detach(): void {}
      async renderModel(): Promise<void> {}
      dispose(): void {}
    }
    element.remove();
    const region = make({
      preferredMimeType: () => "x",
      createRenderer: () => new FakeRenderer(),
      createModel: () => null,
    });
    region.show(change([{ id: 0, kind: "display", data: {}, metadata: {} }]));
    expect(attached).toEqual([]);
    document.body.append(element);
    await vi.waitFor(() => expect(attached.length).toBe(1));
    region.dispose();
  });
});

describe("notices", () => {
  function make(): { place: ReturnType<typeof make_place>; notices: HTMLElement } {
    const notices = document.createElement("div");
    const region = new OutputRegion(document.createElement("div"), null, () => undefined);
    return { place: make_place(document.createElement("div"), notices, region), notices };
  }

  const said = (notices: HTMLElement) =>
    [...notices.children].map((line) => required(line.firstElementChild).textContent);

  test("are dismissed by a click", () => {
    const { place, notices } = make();
    place.show_notice("error", "a", false);
    place.show_notice("error", "a", false);
    place.show_notice("warning", "b", false);
    expect(said(notices)).toEqual(["a", "b"]);
    required(notices.querySelector("button")).click();
    expect(said(notices)).toEqual(["b"]);
  });

  test("that were about a document go when another one comes", () => {
    const { place, notices } = make();
    place.show_notice("error", "cannot be shown", true);
    place.show_notice("warning", "not supported", false);
    place.retract_notices();
    expect(said(notices)).toEqual(["not supported"]);
  });
});
