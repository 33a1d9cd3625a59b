import { describe, expect, test } from "vitest";
import { type ChunkMessage, ProtocolError } from "../src/protocol";
import { Transfers } from "../src/transfer";

const chunk = (index: number, offset: number, sizes: number[], { transfer = "t", count = 3 } = {}): ChunkMessage => ({
  kind: "chunk",
  client: null,
  transfer,
  index,
  count,
  offset,
  sizes,
});
const bytes = (...values: number[]): Uint8Array<ArrayBuffer> => new Uint8Array(values);
const view = (...values: number[]): DataView<ArrayBuffer> =>
  new DataView(bytes(99, ...values, 99).buffer, 1, values.length);
const values = (buffers: ArrayBuffer[] | null) => buffers?.map((buffer) => [...new Uint8Array(buffer)]) ?? null;

describe("a transfer", () => {
  test("is put into the buffers of its message, wherever the chunks end", () => {
    const transfers = new Transfers();
    const sizes = [3, 0, 4];
    expect(transfers.add(chunk(0, 0, sizes), [view(1, 2)])).toBeCloseTo(2 / 7);
    expect(transfers.add(chunk(1, 2, sizes), [view(3), bytes(), bytes(4, 5).buffer])).toBeCloseTo(5 / 7);
    expect(transfers.take({ id: "t", count: 3 })).toBeNull();
    expect(transfers.add(chunk(2, 5, sizes), [view(6, 7)])).toBe(1);
    const taken = transfers.take({ id: "t", count: 3 });
    expect(values(taken)).toEqual([[1, 2, 3], [], [4, 5, 6, 7]]);
    expect(taken?.every((buffer) => buffer instanceof ArrayBuffer)).toBe(true);
    expect(transfers.take({ id: "t", count: 3 })).toBeNull(); // once
  });

  test("is not copied where a chunk carries whole buffers", () => {
    const transfers = new Transfers();
    const [first, second] = [bytes(1, 2), bytes(3)];
    transfers.add(chunk(0, 0, [2, 0, 1], { count: 1 }), [first, second]);
    const taken = transfers.take({ id: "t", count: 1 });
    expect(taken?.[0]).toBe(first.buffer);
    expect(taken?.[2]).toBe(second.buffer);
  });

  test("does not keep the message that brought a part", () => {
    const transfers = new Transfers();
    const part = bytes(1, 2);
    transfers.add(chunk(0, 0, [3], { count: 2 }), [part]);
    part.fill(9);
    transfers.add(chunk(1, 2, [3], { count: 2 }), [bytes(3)]);
    expect(values(transfers.take({ id: "t", count: 2 }))).toEqual([[1, 2, 3]]);
  });

  test("may come twice and in any order", () => {
    const transfers = new Transfers();
    for (const index of [2, 0, 2, 1, 0]) {
      transfers.add(chunk(index, index, [3]), [bytes(index)]);
    }
    expect(values(transfers.take({ id: "t", count: 3 }))).toEqual([[0, 1, 2]]);
    expect(transfers.add(chunk(1, 1, [3]), [bytes(9)])).toBe(1); // late: it starts nothing anew
    expect(transfers.take({ id: "t", count: 1 })).toBeNull();
  });

  test("of no bytes is complete", () => {
    const transfers = new Transfers();
    expect(transfers.add(chunk(0, 0, [0], { count: 1 }), [])).toBe(1);
    expect(values(transfers.take({ id: "t", count: 1 }))).toEqual([[]]);
  });

  test("whose message does not come is not kept for ever", () => {
    const transfers = new Transfers();
    for (const transfer of ["a", "b", "c"]) {
      transfers.add(chunk(0, 0, [1], { transfer, count: 1 }), [bytes(1)]);
    }
    const taken = ["a", "b", "c"].map((id) => values(transfers.take({ id, count: 1 })));
    expect(taken).toEqual([null, [[1]], [[1]]]);
    transfers.add(chunk(0, 0, [1], { transfer: "d", count: 1 }), [bytes(1)]);
    transfers.clear();
    expect(transfers.take({ id: "d", count: 1 })).toBeNull();
  });

  test("of fewer or more bytes than it says is refused", () => {
    const transfers = new Transfers();
    transfers.add(chunk(0, 0, [3], { count: 1 }), [bytes(1, 2)]);
    expect(() => transfers.take({ id: "t", count: 1 })).toThrow("2 bytes came of 3");
    expect(() => transfers.add(chunk(0, 2, [3], { transfer: "u" }), [bytes(1, 2)])).toThrow(ProtocolError);
  });
});
