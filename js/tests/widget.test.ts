import { afterEach, expect, test, vi } from "vitest";
import { Client } from "../src/client";
import { make_place } from "../src/element_place";
import { OutputRegion } from "../src/output_region";
import { follow_page } from "../src/widget";
import { FakeHost } from "./page";

const release = new AbortController();

afterEach(() => release.abort());

function turn_page(type: "pagehide" | "pageshow", persisted: boolean): void {
  window.dispatchEvent(Object.assign(new Event(type), { persisted }));
}

test("a page that goes says bye, and one that comes back from the browser's cache says hi", () => {
  const client = new Client(new FakeHost());
  const leave = vi.spyOn(client, "leave_page");
  const come_back = vi.spyOn(client, "return_to_page");
  const calls = () => [leave.mock.calls.length, come_back.mock.calls.length];

  follow_page(client, release.signal);
  turn_page("pageshow", false); // the page has just been loaded: its views say hi themselves
  expect(calls()).toEqual([0, 0]);
  turn_page("pagehide", true);
  expect(calls()).toEqual([1, 0]);
  turn_page("pageshow", true);
  expect(calls()).toEqual([1, 1]);

  release.abort();
  turn_page("pagehide", true);
  turn_page("pageshow", true);
  expect(calls()).toEqual([1, 1]);
});

test("a place that waits says how much has come, until it does not matter any more", () => {
  const element = document.createElement("div");
  const region = new OutputRegion(document.createElement("div"), null, () => undefined);
  const place = make_place(element, document.createElement("div"), region);
  place.show_progress(null);
  expect(element.childElementCount).toBe(0);
  place.show_progress(0.259);
  place.show_progress(0.5);
  expect(element.childElementCount).toBe(1);
  expect(element.textContent).toBe("Loading the document: 50 %");
  expect(element.querySelector("progress")?.value).toBe(0.5);
  place.show_progress(null);
  expect(element.childElementCount).toBe(0);
});
