import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { page_registry } from "../src/bokehjs";
import { Client } from "../src/client";
import { type Fallback, follow_saving, type Kept, type SavedPicture, type Saving, WIDGET_VIEW } from "../src/fallback";
import type { DocumentState } from "../src/protocol";
import { Replica } from "../src/replica";
import { page_with } from "../src/saved_page";
import type { BokehRoot } from "../src/upstream";
import { show_fallbacks_of_lost_widgets } from "../src/upstream_jupyter";
import { described_state, load, outcome } from "./golden";
import { bokehjs, FakeHost, FakePlace, required, until } from "./page";

let bokeh: BokehRoot;

beforeEach(async () => {
  bokeh = await bokehjs();
});

const ignore = (): void => undefined;
const build = (state: DocumentState): Replica => new Replica(bokeh, state, ignore, ignore);

describe("a document that is saved", () => {
  test("is what the page shows, all of it as text, and builds the same again", () => {
    const first = build(described_state());
    const saved = first.saved(["bokeh", "bokeh-widgets"]);
    first.dispose();
    expect(saved.requires).toEqual(["bokeh", "bokeh-widgets"]);
    expect(saved.buffers).toEqual({});
    const second = build(JSON.parse(JSON.stringify(saved)) as DocumentState);
    const { result } = load("kernel_document");
    expect(outcome(second.document, result)).toEqual(result);
    second.dispose();
  });

  test("has the callbacks of the document, which BokehJS does not write", () => {
    const state = described_state();
    const script = { type: "object", name: "CustomJS", id: "script", attributes: { code: "" } };
    const callbacks = { type: "map", entries: [["document_ready", [script]]] };
    const replica = build({ ...state, json: JSON.stringify({ ...JSON.parse(state.json), callbacks }) });
    expect(JSON.parse(replica.saved([]).json).callbacks).toEqual(callbacks);
    replica.dispose();
  });

  test("changes in a page without a kernel, which sends nothing and keeps nothing to send", async () => {
    const host = new FakeHost(described_state());
    host.is_live = false;
    const client = new Client(host);
    client.add_place(new FakePlace());
    const replicas = () => page_registry().replicas();
    await until(() => expect(replicas()[0]?.views.length).toBe(3)); // one of each root
    const document = required(replicas()[0]?.document) as Replica["document"];
    document.set_title("changed here");
    await until(() => expect(replicas()[0]?.waiting).toBe(0));
    expect(host.of_kind("patch")).toEqual([]);
    expect(JSON.parse(required(client.saved_state()).json).title).toBe("changed here");
    await client.dispose();
    expect(client.saved_state()).toBeNull();
  });
});

interface Settings {
  disableIframePageLoading: boolean;
  handleDisabledFileLoadingAsSuccess: boolean;
}

// a browser loads nothing of what a DOMParser reads, and happy-dom would
const { settings } = (window as unknown as { happyDOM: { settings: Settings } }).happyDOM;
settings.disableIframePageLoading = true;
settings.handleDisabledFileLoadingAsSuccess = true;

const page = (saved: string): string => {
  const core = '<script src="https://cdn.bokeh.org/bokeh/release/bokeh-3.9.2.min.js"></script>';
  const inner = `<html><head>${core}</head><body><script id="bokeh-widget-saved">${saved}</script></body></html>`;
  const frame = document.createElement("iframe");
  frame.setAttribute("srcdoc", inner);
  frame.setAttribute("title", "<&>");
  return `${frame.outerHTML}<p>Bokeh</p>`;
};

const page_of = (html: string): Document => {
  const frame = new DOMParser().parseFromString(html, "text/html").querySelector("iframe");
  expect(frame?.getAttribute("title")).toBe("<&>");
  return new DOMParser().parseFromString(required(frame?.getAttribute("srcdoc")), "text/html");
};

describe("the page of a plot", () => {
  const json = JSON.stringify({ title: "</script>", roots: [] });
  const state: DocumentState = {
    session: "s",
    revision: 1,
    json,
    buffers: {},
    requires: ["bokeh", "bokeh-tables", "x"],
  };

  test("gets the document that is shown, and what it needs of BokehJS", () => {
    const html = required(page_with(page("{}"), state, ["p1"]));
    expect(html.endsWith("<p>Bokeh</p>")).toBe(true);
    const found = page_of(html);
    const text = required(found.getElementById("bokeh-widget-saved")?.textContent);
    expect(text).not.toContain("<");
    expect(JSON.parse(text)).toEqual({ document: JSON.parse(json), root_ids: ["p1"] });
    const sources = (of: Document) =>
      [...of.querySelectorAll("script[src]")].map((script) => script.getAttribute("src"));
    const release = "https://cdn.bokeh.org/bokeh/release";
    expect(sources(found)).toEqual([`${release}/bokeh-3.9.2.min.js`, `${release}/bokeh-tables-3.9.2.min.js`]);
    const again = required(page_with(html, state, null));
    expect(sources(page_of(again)).length).toBe(2);
    expect(JSON.parse(required(page_of(again).getElementById("bokeh-widget-saved")?.textContent)).root_ids).toBeNull();
  });

  test("is left alone if it is not ours", () => {
    expect(page_with("<p>text</p>", state, null)).toBeNull();
    expect(page_with('<iframe srcdoc="<p>text</p>"></iframe>', state, null)).toBeNull();
  });
});

describe("what a notebook has beside a widget", () => {
  let release: AbortController;
  const picture: SavedPicture = { data: "cGljdHVyZQ==", width: 300, height: 200 };
  const output = (model_id: string) => ({
    data: { [WIDGET_VIEW]: { model_id }, "text/plain": "", "text/html": [page("{}")] },
    metadata: {},
  });

  beforeEach(() => {
    release = new AbortController();
  });

  afterEach(() => release.abort());

  function save(fallback: Fallback, kept: Partial<Kept>): [unknown[][], (state: string) => void] {
    const slots = new Set<(sender: unknown, state: string) => void>();
    const calls: unknown[][] = [];
    const sharedModel = {
      getOutputs: () => [output("other"), output("mine")],
      updateOutputs: (...given: unknown[]) => void calls.push(given),
    };
    const context: Saving = {
      model: { cells: [{}, { sharedModel }] },
      saveState: { connect: (slot) => void slots.add(slot), disconnect: (slot) => void slots.delete(slot) },
    };
    const nothing: Kept = { picture: () => null, document: () => null, root_ids: () => null };
    follow_saving(context, release.signal, "mine", fallback, { ...nothing, ...kept });
    release.signal.addEventListener("abort", () => expect(slots.size).toBe(0));
    const say = (state: string): void => {
      for (const slot of slots) {
        slot(null, state);
      }
    };
    return [calls, say];
  }

  test("is a picture, put there before the notebook is saved", () => {
    let made: SavedPicture | null = null;
    const [calls, say] = save("png", { picture: () => made });
    say("started");
    expect(calls).toEqual([]); // nothing is shown
    made = picture;
    say("completed");
    expect(calls).toEqual([]);
    say("started");
    const changed = {
      data: { ...output("mine").data, "image/png": picture.data },
      metadata: { bokeh_widget: "png", "image/png": { width: 300, height: 200 } },
    };
    expect(calls).toEqual([[1, 2, [changed], "silent-change"]]);
  });

  test("is a page, whose document is the one that is shown by then", () => {
    let state: DocumentState | null = null;
    const [calls, say] = save("html", { document: () => state, root_ids: () => ["p1"] });
    say("started");
    expect(calls).toEqual([]);
    state = described_state();
    say("started");
    const changed = page_with(page("{}"), state, ["p1"]);
    const data = { ...output("mine").data, "text/html": changed };
    expect(calls).toEqual([[1, 2, [{ data, metadata: {} }], "silent-change"]]);
  });

  const lost = "Error displaying widget: model not found";

  test.each([
    [lost, { "image/png": picture.data, "text/html": "page", "text/plain": "line" }, "png", "image/png"],
    [lost, { "text/html": "page", "text/plain": "line" }, "html", "text/html"],
    [lost, { "text/plain": "line" }, "none", "text/plain"],
    [lost, { "image/png": picture.data, "text/plain": "line" }, undefined, WIDGET_VIEW],
    ["Loading widget...", { "image/png": picture.data, "text/plain": "line" }, "png", WIDGET_VIEW],
  ])("where ipywidgets says %s, and there is %j of %s, %s is shown", async (said, data, fallback, shown) => {
    const added: string[] = [];
    const renderers = {
      createRenderer: (mime_type: string) => {
        const node = document.createElement("div");
        const renderModel = async (): Promise<void> => {
          node.textContent = mime_type == WIDGET_VIEW ? said : "";
        };
        return {
          node,
          mime_type,
          renderModel,
          addWidget: (other: object) => void added.push(Reflect.get(other, "mime_type")),
        };
      },
    };
    show_fallbacks_of_lost_widgets(renderers);
    const renderer = renderers.createRenderer(WIDGET_VIEW);
    const render = renderer.renderModel as (model: unknown) => Promise<void>;
    await render({ data, metadata: { bokeh_widget: fallback } });
    expect(renderer.node.querySelectorAll("img").length).toBe(shown == "image/png" ? 1 : 0);
    expect(added).toEqual(shown.startsWith("text/") ? [shown] : []);
    expect(renderer.node.textContent).toBe(shown == WIDGET_VIEW ? said : "");
  });
});
