import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { page_registry } from "../src/bokehjs";
import { Client } from "../src/client";
import { follow_saving, type SavedPicture, type Saving, WIDGET_VIEW } from "../src/fallback";
import type { DocumentState } from "../src/protocol";
import { Replica } from "../src/replica";
import type { BokehRoot } from "../src/upstream";
import { show_pictures_of_lost_widgets } from "../src/upstream_jupyter";
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

describe("the picture of a plot", () => {
  const release = new AbortController();
  const picture: SavedPicture = { data: "cGljdHVyZQ==", width: 300, height: 200 };
  const output = (model_id: string) => ({ data: { [WIDGET_VIEW]: { model_id }, "text/plain": "" }, metadata: {} });

  afterEach(() => release.abort());

  test("is put beside its widget before the notebook is saved", () => {
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
    let made: SavedPicture | null = null;
    follow_saving(context, release.signal, "mine", () => made);
    const say = (state: string): void => {
      for (const slot of slots) {
        slot(null, state);
      }
    };
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
    release.abort();
    expect(slots.size).toBe(0);
  });

  test.each([
    ["Error displaying widget: model not found", "png", 1],
    ["Error displaying widget: model not found", undefined, 0],
    ["Loading widget...", "png", 0],
  ])("is shown where ipywidgets says %s, and it is ours: %s", async (said, fallback, count) => {
    const node = document.createElement("div");
    const renderers = {
      createRenderer: () => ({
        node,
        renderModel: async () => {
          node.textContent = said;
        },
      }),
    };
    show_pictures_of_lost_widgets(renderers);
    const create = renderers.createRenderer as (mime_type: string) => ReturnType<typeof renderers.createRenderer>;
    const render = create(WIDGET_VIEW).renderModel as (model: unknown) => Promise<void>;
    await render({ data: { "image/png": picture.data }, metadata: { bokeh_widget: fallback } });
    expect(node.querySelectorAll("img").length).toBe(count);
  });
});
