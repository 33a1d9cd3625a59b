/** When a client acknowledges. */

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Presence } from "../src/presence";
import type { ClientMessage } from "../src/protocol";

describe("acknowledgements", () => {
  const sent: ClientMessage[] = [];
  let revision = 0;
  let presence: Presence;

  beforeEach(() => {
    vi.useFakeTimers();
    sent.length = 0;
    revision = 0;
    presence = new Presence({
      client: "c",
      views: () => ["v"],
      acknowledged_seq: () => 0,
      position: () => ({ session: "s", revision }),
      send: (message) => sent.push(message),
    });
  });

  afterEach(() => {
    presence.call_off();
    expect(vi.getTimerCount()).toBe(0);
    vi.useRealTimers();
  });

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
