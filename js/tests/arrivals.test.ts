/** What came and cannot be used yet: how long it is waited for. */

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { type Arrival, Arrivals } from "../src/arrivals";
import type { ChunkMessage, DocumentMessage, PatchMessage } from "../src/protocol";

const PATIENCE_MS = 100;

let arrived: Arrival[];
let missing: number;
let arrivals: Arrivals;

/** A patch whose only buffer comes in two chunks. */
function in_chunks(revision: number, session = "s"): PatchMessage {
  return {
    kind: "patch",
    session,
    revision,
    origin: null,
    seq: null,
    events: [],
    buffers: ["b"],
    requires: [],
    packed: null,
    transfer: { id: `t${revision}`, count: 2 },
  };
}

const whole = (revision: number): PatchMessage => ({ ...in_chunks(revision), buffers: [], transfer: null });

function document_in_chunks(revision: number): DocumentMessage {
  const { session, buffers, requires, packed, transfer } = in_chunks(revision);
  return {
    kind: "document",
    client: null,
    seq: null,
    json: "{}",
    session,
    revision,
    buffers,
    requires,
    packed,
    transfer,
  };
}

const chunk = (revision: number, index: number): ChunkMessage => ({
  kind: "chunk",
  client: null,
  transfer: `t${revision}`,
  index,
  count: 2,
  offset: index,
  sizes: [2],
});

beforeEach(() => {
  vi.useFakeTimers();
  arrived = [];
  missing = 0;
  arrivals = new Arrivals(
    (arrival) => arrived.push(arrival),
    () => {
      missing += 1;
    },
  );
});

afterEach(() => {
  arrivals.clear();
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

describe("a message without all of its chunks", () => {
  test("is missing after a while, unless they come", () => {
    arrivals.add_chunk(chunk(2, 0), [new Uint8Array([1])]);
    arrivals.add(in_chunks(2), []);
    expect(arrivals.is_waiting).toBe(true);
    vi.advanceTimersByTime(PATIENCE_MS - 1);
    expect([missing, arrived]).toEqual([0, []]);
    arrivals.add_chunk(chunk(2, 1), [new Uint8Array([2])]);
    vi.advanceTimersByTime(10 * PATIENCE_MS);
    expect(missing).toBe(0);
    expect(
      arrived.map(({ message, buffers }) => [message.revision, [...new Uint8Array(buffers.get("b") ?? [])]]),
    ).toEqual([[2, [1, 2]]]);

    arrivals.add(in_chunks(3), []);
    vi.advanceTimersByTime(PATIENCE_MS);
    expect(missing).toBe(1);
  });

  test("is not missed once the document contains it", () => {
    arrivals.add(in_chunks(2), []);
    arrivals.add(document_in_chunks(3), []);
    expect(arrivals.next("s", 3)).toBeNull();
    expect(arrivals.is_waiting).toBe(false);
    vi.advanceTimersByTime(10 * PATIENCE_MS);
    expect(missing).toBe(0);
  });

  test("is not missed once another document is shown", () => {
    arrivals.add(in_chunks(7, "older"), []);
    expect(arrivals.next("s", 1)).toBeNull();
    expect(arrivals.is_waiting).toBe(false);
  });

  test("is missed all the same if the document is older", () => {
    arrivals.add(in_chunks(4), []);
    expect(arrivals.next("s", 3)).toBeNull();
    expect(arrivals.is_waiting).toBe(true);
    vi.advanceTimersByTime(PATIENCE_MS);
    expect(missing).toBe(1);
  });
});

describe("a patch after a gap", () => {
  test("follows the one before it, and what is older or of another session goes", () => {
    for (const revision of [2, 5, 4]) {
      arrivals.hold({ message: whole(revision), buffers: new Map() });
    }
    expect(arrivals.next("s", 3)?.message.revision).toBe(4);
    expect(arrivals.next("s", 4)?.message.revision).toBe(5);
    expect(arrivals.is_waiting).toBe(false);
    arrivals.hold({ message: whole(7), buffers: new Map() });
    expect(arrivals.next("t", 6)).toBeNull();
    expect(arrivals.is_waiting).toBe(false);
  });
});
