/** The notice of a line that is cut: there while it is, gone by itself. */

import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Connection, type ConnectionStatus, follow_kernel, QUIET_CUT_MS } from "../src/connection";

class FakeSignal<T> {
  readonly slots = new Set<(sender: unknown, value: T) => void>();
  connect(slot: (sender: unknown, value: T) => void): void {
    this.slots.add(slot);
  }
  disconnect(slot: (sender: unknown, value: T) => void): void {
    this.slots.delete(slot);
  }
  emit(value: T): void {
    for (const slot of [...this.slots]) {
      slot(this, value);
    }
  }
}

let release: AbortController;
let back: number;
let gone: number;
let statuses: FakeSignal<string>;
let lines: FakeSignal<ConnectionStatus>;
let connection: Connection;
const place = (): HTMLElement => {
  const element = document.createElement("div");
  connection.add_place(element);
  return element;
};

beforeEach(() => {
  vi.useFakeTimers();
  release = new AbortController();
  [back, gone] = [0, 0];
  [statuses, lines] = [new FakeSignal(), new FakeSignal()];
  connection = new Connection(() => {
    back += 1;
  });
  const kernel = { statusChanged: statuses, connectionStatusChanged: lines };
  follow_kernel(kernel, connection, release.signal, () => {
    gone += 1;
  });
});

afterEach(() => {
  release.abort();
  expect([statuses.slots.size, lines.slots.size, vi.getTimerCount()]).toEqual([0, 0, 0]);
  vi.useRealTimers();
});

test("a line that is cut is said in every place until it is back, and the page asks where it stands", () => {
  const first = place();
  expect(first.hidden).toBe(true);
  lines.emit("connecting");
  vi.advanceTimersByTime(QUIET_CUT_MS);
  const later = place();
  for (const element of [first, later]) {
    expect(element.hidden).toBe(false);
    expect(element.textContent).toContain("trying to connect again");
  }
  lines.emit("disconnected");
  expect(first.textContent).toContain("Reconnect to Kernel");
  lines.emit("connecting");
  expect(first.textContent).toContain("trying to connect again");
  expect(back).toBe(0);
  lines.emit("connected");
  expect([first.hidden, later.hidden, first.textContent, back]).toEqual([true, true, "", 1]);
});

test("a line that is back at once is not worth a word, and yet the page asks", () => {
  const element = place();
  lines.emit("connecting");
  vi.advanceTimersByTime(QUIET_CUT_MS - 1);
  lines.emit("connected");
  vi.advanceTimersByTime(2 * QUIET_CUT_MS);
  expect([element.hidden, back]).toEqual([true, 1]);
  lines.emit("connected");
  expect(back).toBe(1);
});

test("a kernel that is restarted does not come back with its line", () => {
  const element = place();
  statuses.emit("restarting");
  lines.emit("connecting");
  vi.advanceTimersByTime(QUIET_CUT_MS);
  lines.emit("connected");
  expect([gone, back, element.hidden]).toEqual([1, 0, true]);
});

test("a place that is gone is not held, and a page that is released says nothing", () => {
  const element = document.createElement("div");
  const forget = connection.add_place(element);
  forget();
  lines.emit("disconnected");
  expect(element.textContent).toBe("");
  lines.emit("connecting");
  release.abort();
  vi.advanceTimersByTime(2 * QUIET_CUT_MS);
  expect(back).toBe(0);
});
