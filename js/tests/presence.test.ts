/** When a client acknowledges, and says that it is there. */

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Presence } from "../src/presence";
import type { ClientMessage } from "../src/protocol";

const sent: ClientMessage[] = [];
let revision = 0;
let views = ["v"];
let is_shown = true;
let presence: Presence;

beforeEach(() => {
  vi.useFakeTimers();
  sent.length = 0;
  revision = 0;
  views = ["v"];
  is_shown = true;
  presence = new Presence({
    client: "c",
    views: () => views,
    acknowledged_seq: () => 0,
    position: () => (is_shown ? { session: "s", revision } : null),
    send: (message) => sent.push(message),
  });
});

afterEach(() => {
  presence.call_off();
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

const kinds = (): string[] => sent.map(({ kind }) => kind);

describe("acknowledgements", () => {
  const arrive = (count: number, size: number): void => {
    for (let i = 0; i < count; i++) {
      revision += 1;
      presence.acknowledge_later(size);
    }
  };
  const acknowledged = (): number[] => sent.map((message) => (message as { revision: number }).revision);

  test("the first small patch after a while is acknowledged in the next frame", () => {
    arrive(1, 10);
    vi.advanceTimersByTime(20);
    expect(acknowledged()).toEqual([1]);
  });

  test("a small patch that keeps the page busy is acknowledged in the next frame, with what the costliest took", () => {
    const costs = (): number[] => sent.map((message) => (message as { cost_ms: number }).cost_ms);
    const apply = (cost_ms: number): void => {
      revision += 1;
      presence.acknowledge_later(10, performance.now() - cost_ms);
      vi.advanceTimersByTime(0);
    };
    apply(0);
    vi.advanceTimersByTime(20);
    apply(20); // nobody knows yet
    apply(3);
    vi.advanceTimersByTime(100);
    expect(costs()).toEqual([0, 20]);
    apply(20);
    vi.advanceTimersByTime(100);
    apply(20);
    vi.advanceTimersByTime(20);
    expect(costs()).toEqual([0, 20, 20, 20]);
    apply(0); // it is cheap again
    vi.advanceTimersByTime(20);
    apply(0);
    vi.advanceTimersByTime(20);
    expect(costs()).toEqual([0, 20, 20, 20, 0]);
  });

  test("in a hidden tab, where timers wait, is said at once, and nothing is measured", async () => {
    const hidden = vi.spyOn(document, "hidden", "get").mockReturnValue(true);
    revision += 1;
    presence.acknowledge_later(10, performance.now() - 500);
    await Promise.resolve();
    expect(sent.map((message) => (message as { cost_ms: number }).cost_ms)).toEqual([0]);
    expect(vi.getTimerCount()).toBe(0);
    presence.acknowledge_later();
    presence.call_off();
    await Promise.resolve();
    hidden.mockRestore();
    expect(sent.length).toBe(1);
  });

  test("one speaks for all small patches of a tenth of a second", () => {
    arrive(1, 10);
    vi.advanceTimersByTime(20);
    arrive(1, 10);
    vi.advanceTimersByTime(20);
    arrive(1, 10);
    vi.advanceTimersByTime(30);
    expect(acknowledged()).toEqual([1]);
    vi.advanceTimersByTime(70);
    expect(acknowledged()).toEqual([1, 3]);
  });

  test("four are enough", () => {
    arrive(1, 10);
    vi.advanceTimersByTime(20);
    arrive(3, 10);
    vi.advanceTimersByTime(20);
    expect(acknowledged()).toEqual([1]);
    arrive(1, 10);
    vi.advanceTimersByTime(20);
    expect(acknowledged()).toEqual([1, 5]);
  });

  test("a large patch does not wait", () => {
    arrive(1, 10);
    vi.advanceTimersByTime(20);
    arrive(1, 10);
    arrive(1, 1_000_000);
    vi.advanceTimersByTime(20);
    expect(acknowledged()).toEqual([1, 3]);
  });

  test("what is called off is not said", () => {
    arrive(1, 10);
    presence.call_off();
    vi.advanceTimersByTime(500);
    expect(acknowledged()).toEqual([]);
    arrive(1, 10);
    vi.advanceTimersByTime(20);
    expect(acknowledged()).toEqual([2]);
  });
});

describe("a kernel that is not heard", () => {
  test("for half a minute is told where the page is, and then ever more rarely", () => {
    presence.heard();
    revision = 7;
    vi.advanceTimersByTime(29_999);
    expect(sent).toEqual([]);
    vi.advanceTimersByTime(1);
    expect(sent).toEqual([{ kind: "ack", client: "c", session: "s", revision: 7, cost_ms: 0, views: ["v"], tick: 1 }]);
    vi.advanceTimersByTime(59_999);
    expect(sent.length).toBe(1);
    vi.advanceTimersByTime(1);
    expect(sent.length).toBe(2);
    vi.advanceTimersByTime(3_600_000);
    expect(sent.length).toBeLessThan(17);
  });

  test("is not told so while it is heard, and begins anew when it is", () => {
    for (let i = 0; i < 100; i++) {
      presence.heard();
      vi.advanceTimersByTime(10_000);
    }
    expect(sent).toEqual([]);
    vi.advanceTimersByTime(80_000);
    expect(sent.length).toBe(2);
    presence.heard();
    vi.advanceTimersByTime(60_000);
    expect(sent.length).toBe(3);
  });

  test("is told that there are views even if they show nothing", () => {
    is_shown = false;
    presence.heard();
    vi.advanceTimersByTime(30_000);
    expect(sent).toEqual([{ kind: "hi", client: "c", view: "v", views: ["v"], scheme: "light", tick: 1 }]);
  });

  test("is told nothing where nothing is shown", () => {
    views = [];
    presence.heard();
    expect(vi.getTimerCount()).toBe(0);
    views = ["v"];
    presence.heard();
    presence.call_off();
    vi.advanceTimersByTime(3_600_000);
    expect(sent).toEqual([]);
  });
});

describe("a kernel that asks where the page is", () => {
  const settle = (): string[] => {
    vi.advanceTimersByTime(150);
    presence.request.stop();
    return kinds();
  };

  test("hears it, if nothing is missing", () => {
    revision = 7;
    presence.answer({ session: "s", revision: 7 });
    expect(settle()).toEqual(["ack"]);
  });

  test.each([
    ["s", 8],
    ["t", 1],
  ])("is asked for the document otherwise: %s %i", (session, asked) => {
    revision = 7;
    presence.answer({ session, revision: asked });
    expect(settle()).toEqual(["attach"]);
  });

  test("is not asked again for a document that could not be shown, but for a later one", () => {
    revision = 7;
    presence.cannot_show({ session: "s", revision: 8 });
    presence.answer({ session: "s", revision: 8 });
    expect(settle()).toEqual(["ack"]);
    presence.answer({ session: "s", revision: 9 });
    expect(settle()).toEqual(["ack", "attach"]);
    presence.answer({ session: "t", revision: 1 });
    expect(settle()).toEqual(["ack", "attach", "attach"]);
    presence.cannot_show(null);
    presence.answer({ session: "s", revision: 8 });
    expect(settle()).toEqual(["ack", "attach", "attach", "attach"]);
  });

  test("is not asked for a later one either where nothing could be shown", () => {
    is_shown = false;
    presence.cannot_show({ session: "s", revision: 8 });
    presence.answer({ session: "s", revision: 9 });
    expect(settle()).toEqual(["hi"]);
  });
});

describe("a line that is back", () => {
  test("is asked for the document, if it is not the one that is shown", () => {
    revision = 7;
    presence.compare();
    vi.advanceTimersByTime(60_000);
    expect(sent).toMatchObject([{ kind: "attach", session: "s", revision: 7 }]);
  });

  test("is asked until the document comes, where nothing is shown", () => {
    is_shown = false;
    presence.compare();
    vi.advanceTimersByTime(60_000);
    expect(kinds().length).toBeGreaterThan(1);
    expect(sent[0]).toMatchObject({ kind: "attach", session: null, revision: null });
  });
});
