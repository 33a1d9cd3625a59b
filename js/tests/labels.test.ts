import type { HasProps } from "@bokeh/bokehjs/build/js/lib/core/has_props";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Client } from "../src/client";
import { label_of } from "../src/labels";
import type { BokehRoot } from "../src/upstream";
import { bokehjs, FakeHost, FakePlace, make_model, required, until } from "./page";

const figure = (id: string, text: string | null) => ({
  type: "object",
  name: "Figure",
  id,
  attributes: {
    width: 100,
    height: 100,
    x_range: { type: "object", name: "Range1d", id: `${id}x` },
    y_range: { type: "object", name: "Range1d", id: `${id}y` },
    ...(text !== null && { title: { type: "object", name: "Title", id: `${id}t`, attributes: { text } } }),
  },
});

const document_of = (...roots: unknown[]) => ({
  session: "session-1",
  revision: 1,
  json: JSON.stringify({ version: "3.9.0", title: "", roots }),
  buffers: {},
  requires: ["bokeh", "bokeh-widgets"],
});

let bokeh: BokehRoot;
let host: FakeHost;
let clients: Client[];

beforeEach(async () => {
  bokeh = await bokehjs();
  clients = [];
});

afterEach(async () => {
  vi.useRealTimers();
  for (const client of clients) {
    await client.dispose();
  }
});

async function shown(...roots: unknown[]): Promise<Client> {
  host = new FakeHost(document_of(...roots));
  const client = new Client(host);
  clients.push(client);
  const place = new FakePlace();
  client.add_place(place);
  await until(() => expect(place.busy).toBe(false));
  return client;
}

const title = (): HasProps => required(bokeh.documents.at(-1)?.get_model_by_id("p1t"));

test("the titles of all plots, each once, as the plots were made", async () => {
  const plots = [figure("p10", "Costs"), figure("p2", "Sales"), figure("p3", null), figure("p4", "Costs")];
  const client = await shown({ type: "object", name: "Row", id: "row", attributes: { children: plots } });
  expect(client.label).toBe("Sales, Costs");
});

test("only what is shown counts", async () => {
  const client = await shown(figure("p1", "Costs"), figure("p2", "Sales"));
  expect(client.label).toBe("Costs, Sales");
  host.ids = ["p2"];
  expect(client.label).toBe("Sales");
});

test("parts of a root count, too", async () => {
  const children = [figure("p1", "Costs"), figure("p2", "Sales")];
  const client = await shown({ type: "object", name: "Row", id: "row", attributes: { children } });
  host.ids = ["p2"];
  expect(client.label).toBe("Sales");
});

test("something where there are no titles", async () => {
  expect(label_of(bokeh, [make_model(bokeh, "Div", "div", { text: "no title" })])).toBe("Bokeh document");
  expect((await shown(figure("p1", null))).label).toBe("Plot");
  expect(new Client(new FakeHost(null)).label).toBe("");
});

test("followers hear of titles that change, on either side, four times a second at most", async () => {
  const client = await shown(figure("p1", "Frame 0"));
  const heard: string[] = [];
  const leave = client.title_changes.follow(() => heard.push(client.label));
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  const patch = (revision: number, model: string, attr: string, value: unknown): void =>
    client.handle(
      {
        kind: "patch",
        session: "session-1",
        revision,
        origin: null,
        seq: null,
        events: [{ kind: "ModelChanged", model: { id: model }, attr, new: value }],
        packed: null,
        buffers: [],
        transfer: null,
        requires: [],
      },
      [],
    );
  for (let frame = 1; frame < 20; frame++) {
    patch(1 + frame, "p1t", "text", `Frame ${frame}`);
    await Promise.resolve();
  }
  await vi.advanceTimersByTimeAsync(249);
  expect(heard).toEqual([]);
  await vi.advanceTimersByTimeAsync(1);
  expect(heard).toEqual(["Frame 19"]);
  title().setv({ text: "Of the page" });
  await vi.advanceTimersByTimeAsync(250);
  patch(21, "p1", "background_fill_color", "black");
  await vi.advanceTimersByTimeAsync(250);
  expect(heard).toEqual(["Frame 19", "Of the page"]);
  leave();
  title().setv({ text: "Nobody listens" });
  await vi.advanceTimersByTimeAsync(250);
  expect(heard).toEqual(["Frame 19", "Of the page"]);
});
