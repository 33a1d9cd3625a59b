import { afterEach, expect, test, vi } from "vitest";
import { Client } from "../src/client";
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
