/** Whether the page is light or dark. */

import type { Document } from "@bokeh/bokehjs/build/js/lib/document/document";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { page_registry } from "../src/bokehjs";
import { Client } from "../src/client";
import type { DocumentState, Scheme } from "../src/protocol";
import { current_scheme, follow_scheme } from "../src/scheme";
import { FakeHost, FakePlace, required, until, value_of } from "./page";

let query: EventTarget & { matches: boolean };

beforeEach(() => {
  query = Object.assign(new EventTarget(), { matches: false });
  vi.stubGlobal("matchMedia", () => query);
});

afterEach(() => {
  vi.unstubAllGlobals();
  delete document.body.dataset["jpThemeLight"];
});

describe("the scheme of the page", () => {
  test("JupyterLab's word counts, and elsewhere what the user prefers", () => {
    expect(current_scheme()).toBe("light");
    query.matches = true;
    expect(current_scheme()).toBe("dark");
    document.body.dataset["jpThemeLight"] = "true";
    expect(current_scheme()).toBe("light");
    document.body.dataset["jpThemeLight"] = "false";
    expect(current_scheme()).toBe("dark");
  });

  test("each change is told once, and none after the end", async () => {
    const told: Scheme[] = [];
    const end = new AbortController();
    const remove = vi.spyOn(query, "removeEventListener");
    const add = vi.spyOn(query, "addEventListener");
    const disconnect = vi.spyOn(MutationObserver.prototype, "disconnect");
    follow_scheme((scheme) => told.push(scheme), end.signal);
    expect(add).toHaveBeenCalledTimes(1);
    document.body.dataset["jpThemeLight"] = "true"; // as it was
    await vi.waitFor(() => expect(told).toEqual([]));
    document.body.dataset["jpThemeLight"] = "false";
    await vi.waitFor(() => expect(told).toEqual(["dark"]));
    document.body.dataset["jpThemeLight"] = "true";
    await vi.waitFor(() => expect(told).toEqual(["dark", "light"]));
    delete document.body.dataset["jpThemeLight"];
    query.matches = true;
    query.dispatchEvent(new Event("change"));
    expect(told).toEqual(["dark", "light", "dark"]);
    end.abort();
    expect(disconnect).toHaveBeenCalledTimes(1);
    query.matches = false;
    query.dispatchEvent(new Event("change"));
    document.body.dataset["jpThemeLight"] = "true";
    await Promise.resolve();
    expect(told).toEqual(["dark", "light", "dark"]);
    remove.mockRestore();
  });
});

describe("a document that follows the page", () => {
  const plot = { type: "object", name: "Plot", id: "plot", attributes: { border_fill_color: "#00ff00" } };
  const slider = { type: "object", name: "Slider", id: "slider", attributes: { start: 0, end: 9, value: 1 } };
  const state = (): DocumentState => ({
    session: "s",
    revision: 0,
    json: JSON.stringify({ version: "3.9.2", title: "", roots: [plot, slider] }),
    buffers: {},
    requires: ["bokeh", "bokeh-widgets"],
  });
  const theme = {
    UIElement: { stylesheets: ["dark"] },
    Plot: { background_fill_color: "#111111", border_fill_color: "#111111" },
    AbstractSlider: { bar_color: "#222222" },
  };

  async function shown(host: FakeHost): Promise<[Client, unknown[]]> {
    host.ids = ["slider"]; // happy-dom has no fonts to measure
    const client = new Client(host);
    client.add_place(new FakePlace());
    await until(() => expect(page_registry().replicas()[0]?.document).toBeDefined());
    const document = required(page_registry().replicas()[0]?.document) as Document;
    const value = (id: string, attr: string) => value_of(required(document.get_model_by_id(id)), attr);
    const colours = ["background_fill_color", "border_fill_color"].map((attr) => value("plot", attr));
    return [client, [...colours, value("slider", "bar_color"), value("slider", "stylesheets")]];
  }

  test("is dark from the first in a dark page, before Python knows; what is set stays, and nothing is sent", async () => {
    query.matches = true;
    const host = new FakeHost(state());
    host.theme = theme;
    const [client, dark] = await shown(host);
    expect(dark).toEqual(["#111111", "#00ff00", "#222222", ["dark"]]);
    expect(host.of_kind("patch").filter((patch) => JSON.stringify(patch).includes("ModelChanged"))).toEqual([]);
    await client.dispose();
  });

  test.each([
    ["a light page", false, true, theme],
    ["a page without Python", true, false, theme],
    ["a document of another theme", true, true, null],
  ])("is as Python has it in %s", async (_name, is_dark, is_live, given) => {
    query.matches = is_dark;
    const host = new FakeHost(state());
    host.is_live = is_live;
    host.theme = given;
    const [client, light] = await shown(host);
    expect(light).toEqual(["#ffffff", "#00ff00", "#e6e6e6", []]);
    await client.dispose();
  });

  test("is as Python has it once Python knows the page", async () => {
    query.matches = true;
    const host = new FakeHost();
    host.ids = ["slider"];
    host.theme = theme;
    const client = new Client(host);
    client.add_place(new FakePlace());
    const { json, ...rest } = state();
    const message = {
      ...rest,
      kind: "document" as const,
      client: client.id,
      seq: 0,
      json,
      buffers: [],
      packed: null,
      transfer: null,
    };
    client.handle(message, []);
    await until(() => expect(page_registry().replicas()[0]?.document).toBeDefined());
    const document = required(page_registry().replicas()[0]?.document) as Document;
    expect(value_of(required(document.get_model_by_id("plot")), "background_fill_color")).toBe("#ffffff");
    await client.dispose();
  });
});
