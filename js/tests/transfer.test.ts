import { describe, expect, test } from "vitest";
import { type ChunkMessage, ProtocolError } from "../src/protocol";
import { Transfers } from "../src/transfer";

const chunk = (index: number, { transfer = "t", count = 3, size = 7 } = {}): ChunkMessage => ({
  kind: "chunk",
  client: null,
  transfer,
  index,
  count,
  size,
});
const bytes = (...values: number[]): Uint8Array<ArrayBuffer> => new Uint8Array(values);
const view = (...values: number[]): DataView<ArrayBuffer> =>
  new DataView(bytes(99, ...values, 99).buffer, 1, values.length);
const values = (buffers: ArrayBuffer[] | null) => buffers?.map((buffer) => [...new Uint8Array(buffer)]) ?? null;

describe("a transfer", () => {
  test("is cut into the buffers of its message, wherever the chunks end", () => {
    const transfers = new Transfers();
    expect(transfers.add(chunk(0), [view(1, 2)])).toBeCloseTo(2 / 7);
    expect(transfers.add(chunk(1), [view(3), bytes(), bytes(4, 5).buffer])).toBeCloseTo(5 / 7);
    expect(transfers.take({ id: "t", count: 3, sizes: [3, 0, 4] })).toBeNull();
    expect(transfers.add(chunk(2), [view(6, 7)])).toBe(1);
    const taken = transfers.take({ id: "t", count: 3, sizes: [3, 0, 4] });
    expect(values(taken)).toEqual([[1, 2, 3], [], [4, 5, 6, 7]]);
    expect(taken?.every((buffer) => buffer instanceof ArrayBuffer)).toBe(true);
    expect(transfers.take({ id: "t", count: 3, sizes: [3, 0, 4] })).toBeNull(); // once
  });

  test("may come twice and in any order", () => {
    const transfers = new Transfers();
    for (const index of [2, 0, 2, 1, 0]) {
      transfers.add(chunk(index, { size: 3 }), [bytes(index)]);
    }
    expect(values(transfers.take({ id: "t", count: 3, sizes: [3] }))).toEqual([[0, 1, 2]]);
    expect(transfers.add(chunk(1), [bytes(9)])).toBe(1); // late: it starts nothing anew
    expect(transfers.take({ id: "t", count: 1, sizes: [1] })).toBeNull();
  });

  test("of no bytes is complete", () => {
    const transfers = new Transfers();
    expect(transfers.add(chunk(0, { count: 1, size: 0 }), [])).toBe(1);
    expect(values(transfers.take({ id: "t", count: 1, sizes: [0] }))).toEqual([[]]);
  });

  test("whose message does not come is not kept for ever", () => {
    const transfers = new Transfers();
    for (const transfer of ["a", "b", "c"]) {
      transfers.add(chunk(0, { transfer, count: 1, size: 1 }), [bytes(1)]);
    }
    const taken = ["a", "b", "c"].map((id) => values(transfers.take({ id, count: 1, sizes: [1] })));
    expect(taken).toEqual([null, [[1]], [[1]]]);
    transfers.add(chunk(0, { transfer: "d", count: 1, size: 1 }), [bytes(1)]);
    transfers.clear();
    expect(transfers.take({ id: "d", count: 1, sizes: [1] })).toBeNull();
  });

  test("of other bytes than its message says is refused", () => {
    const transfers = new Transfers();
    transfers.add(chunk(0, { count: 1 }), [bytes(1, 2)]);
    expect(() => transfers.take({ id: "t", count: 1, sizes: [3] })).toThrow(ProtocolError);
  });
});
