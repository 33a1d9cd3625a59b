/** Whether the page is light or dark. */

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Scheme } from "../src/protocol";
import { current_scheme, follow_scheme } from "../src/scheme";

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
