import { describe, expect, test } from "vitest";
import { exact_buffer, named_buffers, ProtocolError, parse_kernel_message } from "../src/protocol";
import { frame_names, from_base64, load, load_invalid } from "./golden";
import { required } from "./page";

const bytes_of = (buffer: ArrayBuffer): number[] => [...new Uint8Array(buffer)];

describe("parse_kernel_message", () => {
  test.each(load_invalid("kernel_messages"))("refuses $description", ({ content, buffers, error }) => {
    const read = (): void => {
      const message = required(parse_kernel_message(content));
      named_buffers("buffers" in message ? message.buffers : [], buffers.map(from_base64));
    };
    expect(read).toThrow(ProtocolError);
    expect(read).toThrow(error);
  });

  test.each([null, undefined, 5, "patch", [], {}, { do: "focus" }])("leaves %j to ipywidgets", (content) => {
    expect(parse_kernel_message(content)).toBeNull();
  });

  test.each(frame_names("to_client").filter((name) => name != "kernel_state"))("needs each field of %s", (name) => {
    const { content } = load(name);
    expect(parse_kernel_message(content)).toBe(content);
    for (const field of Object.keys(content).filter((key) => key != "kind")) {
      const { [field]: _, ...rest } = content;
      expect(() => parse_kernel_message(rest), field).toThrow(`field "${field}" has the value undefined`);
    }
  });

  test("takes fields that a later release may add", () => {
    const content = { kind: "notice", level: "warning", text: "t", urgency: 3 };
    expect(parse_kernel_message(content)).toBe(content);
  });
});

describe("exact_buffer", () => {
  const memory = new Uint8Array([1, 2, 3, 4, 5, 6, 7, 8]).buffer;

  test("hands a whole buffer on without a copy", () => {
    expect(exact_buffer(memory)).toBe(memory);
    expect(exact_buffer(new Uint8Array(memory))).toBe(memory);
    expect(exact_buffer(new DataView(memory))).toBe(memory);
    expect(exact_buffer(new Float64Array(memory))).toBe(memory);
  });

  test.each([
    ["a Uint8Array", new Uint8Array(memory, 2, 3), [3, 4, 5]],
    ["a DataView", new DataView(memory, 2, 3), [3, 4, 5]],
    ["an Int16Array", new Int16Array(memory, 2, 2), [3, 4, 5, 6]],
    ["the start", new Uint8Array(memory, 0, 2), [1, 2]],
    ["the end", new Uint8Array(memory, 6), [7, 8]],
    ["nothing", new Uint8Array(memory, 4, 0), []],
  ])("cuts %s out of a larger buffer", (_what, view, expected) => {
    const cut = exact_buffer(view);
    expect(cut).toBeInstanceOf(ArrayBuffer);
    expect(cut).not.toBe(memory);
    expect(bytes_of(cut)).toEqual(expected);
  });

  test("keeps the values of numbers at an odd place in memory", () => {
    const unaligned = new Uint8Array(17);
    unaligned.set(new Uint8Array(new Float64Array([1.5, Number.NaN]).buffer), 1);
    expect([...new Float64Array(exact_buffer(unaligned.subarray(1)))]).toEqual([1.5, Number.NaN]);
  });

  test("copies shared memory, which BokehJS does not take", () => {
    const shared = new Uint8Array(new SharedArrayBuffer(3));
    shared.set([7, 8, 9]);
    const copied = exact_buffer(shared as unknown as BufferSource);
    expect(copied).toBeInstanceOf(ArrayBuffer);
    expect(bytes_of(copied)).toEqual([7, 8, 9]);
  });

  test("takes an empty buffer", () => {
    expect(exact_buffer(new ArrayBuffer(0)).byteLength).toBe(0);
    expect(exact_buffer(new Uint8Array(0)).byteLength).toBe(0);
  });
});

describe("named_buffers", () => {
  test("pairs names and buffers in their order", () => {
    const memory = new Uint8Array([1, 2, 3]).buffer;
    const named = named_buffers(["p1", "p0"], [new DataView(memory, 1), new Uint8Array(memory, 0, 1)]);
    expect([...named.keys()]).toEqual(["p1", "p0"]);
    expect([...named.values()].map(bytes_of)).toEqual([[2, 3], [1]]);
  });

  test("takes none", () => {
    expect(named_buffers([], []).size).toBe(0);
  });
});
