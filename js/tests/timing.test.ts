import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { type Arrival, Arrivals } from "../src/arrivals";
import type { ChunkMessage, DocumentMessage, PatchMessage } from "../src/protocol";
import { after_frame, Request } from "../src/timing";

const TIMERS = ["setTimeout", "clearTimeout", "requestAnimationFrame", "cancelAnimationFrame", "performance"] as const;

beforeEach(() => {
  vi.useFakeTimers({ toFake: [...TIMERS] });
});

afterEach(() => {
  vi.useRealTimers();
});

describe("after a frame", () => {
  test("is when the browser paints", () => {
    let calls = 0;
    after_frame(() => calls++);
    expect(calls).toBe(0);
    vi.advanceTimersToNextFrame();
    expect(calls).toBe(1);
    vi.advanceTimersByTime(1000);
    expect([calls, vi.getTimerCount()]).toEqual([1, 0]);
  });

  test("is a tenth of a second later where nothing is painted", () => {
    const frame = vi.spyOn(globalThis, "requestAnimationFrame").mockReturnValue(0);
    let calls = 0;
    after_frame(() => calls++);
    vi.advanceTimersByTime(99);
    expect(calls).toBe(0);
    vi.advanceTimersByTime(1);
    expect(calls).toBe(1);
    frame.mockRestore();
  });

  test("is never where it is called off", () => {
    let calls = 0;
    after_frame(() => calls++)();
    vi.advanceTimersByTime(1000);
    expect([calls, vi.getTimerCount()]).toEqual([0, 0]);
  });
});

describe("a request", () => {
  test("is made again, ever more rarely, until it is answered", () => {
    const at: number[] = [];
    const start = performance.now();
    const request = new Request(() => at.push((performance.now() - start) / 1000));
    request.start();
    request.start();
    expect([at, request.is_open]).toEqual([[0], true]);
    vi.advanceTimersByTime(120_000);
    expect(at).toEqual([0, 2, 6, 14, 30, 60, 90, 120]);
    request.stop();
    expect([request.is_open, vi.getTimerCount()]).toEqual([false, 0]);
    request.start();
    vi.advanceTimersByTime(2000);
    expect(at.slice(8)).toEqual([120, 122]); // as soon as ever
  });

  test("is not made again while the answer is coming", () => {
    let calls = 0;
    const request = new Request(() => calls++);
    request.restart_wait();
    expect(vi.getTimerCount()).toBe(0);
    request.start();
    for (let i = 0; i < 10; i++) {
      vi.advanceTimersByTime(1500);
      request.restart_wait();
    }
    expect(calls).toBe(1);
    vi.advanceTimersByTime(2000);
    expect(calls).toBe(2);
  });
});

describe("arrivals", () => {
  let complete: Arrival[] = [];
  let missing = 0;
  let arrivals: Arrivals;

  beforeEach(() => {
    complete = [];
    missing = 0;
    arrivals = new Arrivals(
      (arrival) => complete.push(arrival),
      () => missing++,
    );
  });

  const patch = (revision: number, fields: Partial<PatchMessage> = {}): PatchMessage => ({
    kind: "patch",
    session: "s",
    revision,
    origin: null,
    seq: null,
    events: [],
    buffers: [],
    requires: [],
    packed: null,
    transfer: null,
    ...fields,
  });
  const held = (revision: number, session = "s") => ({ message: patch(revision, { session }), buffers: new Map() });
  const chunk = (index: number, transfer = "t"): ChunkMessage => ({
    kind: "chunk",
    client: null,
    transfer,
    index,
    count: 2,
    offset: 2 * index,
    sizes: [4],
  });
  const half = [new Uint8Array([1, 2])];
  const transferred = (id = "t") => ({ buffers: ["b0"], transfer: { id, count: 2 } });

  test("with their buffers are complete", () => {
    const message = patch(1, { buffers: ["b0"] });
    arrivals.add(message, [new Uint8Array([5])]);
    expect(complete).toEqual([{ message, buffers: new Map([["b0", new Uint8Array([5]).buffer]]) }]);
    expect(() => arrivals.add(message, [])).toThrow("names 1 buffers, but 0 came");
    expect(arrivals.is_waiting).toBe(false);
  });

  test("after their chunks are complete at once", () => {
    expect(arrivals.add_chunk(chunk(0), half)).toBe(0.5);
    arrivals.add_chunk(chunk(1), half);
    const document: DocumentMessage = { ...patch(1, transferred()), kind: "document", client: null, json: "" };
    arrivals.add(document, []);
    expect([
      ...(complete[0]?.buffers.get("b0") ? new Uint8Array(complete[0].buffers.get("b0") as ArrayBuffer) : []),
    ]).toEqual([1, 2, 1, 2]);
    expect(vi.getTimerCount()).toBe(0);
  });

  test("before a chunk wait for it, and not for ever", () => {
    arrivals.add_chunk(chunk(1), half);
    arrivals.add(patch(1, transferred()), []);
    expect([complete.length, arrivals.is_waiting]).toEqual([0, true]);
    vi.advanceTimersByTime(99);
    expect(missing).toBe(0);
    vi.advanceTimersByTime(1);
    expect(missing).toBe(1);
    arrivals.add_chunk(chunk(0), half); // it was late
    expect([complete.length, arrivals.is_waiting, vi.getTimerCount()]).toEqual([1, false, 0]);
  });

  test("of which chunks still come are waited for", () => {
    arrivals.add(patch(1, transferred()), []);
    vi.advanceTimersByTime(90);
    arrivals.add_chunk(chunk(0), half);
    vi.advanceTimersByTime(90);
    expect(missing).toBe(0);
    vi.advanceTimersByTime(10);
    expect(missing).toBe(1);
  });

  test("without their chunks are forgotten when there are many", () => {
    for (const id of ["t", "u", "v"]) {
      arrivals.add(patch(1, transferred(id)), []);
    }
    for (const id of ["t", "u", "v"]) {
      arrivals.add_chunk(chunk(0, id), half);
      arrivals.add_chunk(chunk(1, id), half);
    }
    expect(complete.map(({ message }) => (message as PatchMessage).transfer?.id)).toEqual(["u", "v"]);
  });

  test("after a gap are held until it is filled, in any order", () => {
    arrivals.hold(held(4));
    arrivals.hold(held(3));
    arrivals.hold(held(4));
    expect(arrivals.next("s", 1)).toBeNull();
    expect(arrivals.next("s", 2)?.message.revision).toBe(3);
    expect(arrivals.next("s", 3)?.message.revision).toBe(4);
    expect(arrivals.next("s", 4)).toBeNull();
    expect([missing, arrivals.is_waiting, vi.getTimerCount()]).toEqual([0, false, 0]);
  });

  test("after a gap are waited for as long as others fill it", () => {
    arrivals.hold(held(5));
    vi.advanceTimersByTime(60);
    arrivals.hold(held(3)); // no progress
    vi.advanceTimersByTime(39);
    expect(missing).toBe(0);
    expect(arrivals.next("s", 2)?.message.revision).toBe(3); // progress
    vi.advanceTimersByTime(99);
    expect(missing).toBe(0);
    vi.advanceTimersByTime(1);
    expect(missing).toBe(1);
    expect(arrivals.next("s", 4)?.message.revision).toBe(5); // a document brought 4
  });

  test("after a gap are given up when there are too many", () => {
    for (let revision = 2; revision <= 101; revision++) {
      arrivals.hold(held(revision));
    }
    expect(missing).toBe(0);
    arrivals.hold(held(102));
    expect(missing).toBe(1);
    expect(arrivals.next("s", 2)?.message.revision).toBe(3);
    expect(arrivals.next("s", 1)).toBeNull();
  });

  test("of another session or an old revision go", () => {
    arrivals.hold(held(2));
    arrivals.hold(held(3, "other"));
    expect(arrivals.next("s", 2)).toBeNull();
    expect(arrivals.is_waiting).toBe(false);
    arrivals.hold(held(4));
    arrivals.add_chunk(chunk(0), half);
    arrivals.add(patch(1, transferred()), []);
    arrivals.clear();
    arrivals.add_chunk(chunk(1), half);
    expect([arrivals.is_waiting, vi.getTimerCount(), complete]).toEqual([false, 0, []]);
  });
});
