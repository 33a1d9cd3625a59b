/** Messages whose buffers come before them in chunks, in any order. Pure. */

import { type ChunkMessage, exact_buffer, ProtocolError, type Transfer } from "./protocol";

interface Whole {
  readonly sizes: readonly number[];
  readonly total: number;
  /** Each is made when its first bytes come. */
  readonly buffers: (ArrayBuffer | undefined)[];
  readonly indices: Set<number>;
  received: number;
}

/** A transfer whose message never comes is not kept for ever: so many are. */
const MAX_TRANSFERS = 2;
/** Chunks that come once more after their message are told by these. */
const MAX_TAKEN = 8;

export class Transfers {
  readonly #by_id = new Map<string, Whole>();
  #taken: string[] = [];

  /** Puts a chunk into its place; what part of its transfer is here now, from 0 to 1. */
  add({ transfer, index, offset, sizes }: ChunkMessage, buffers: readonly BufferSource[]): number {
    if (this.#taken.includes(transfer)) {
      return 1;
    }
    let whole = this.#by_id.get(transfer);
    if (whole === undefined) {
      const total = sizes.reduce((sum, size) => sum + size, 0);
      whole = { sizes, total, buffers: sizes.map(() => undefined), indices: new Set(), received: 0 };
      this.#by_id.set(transfer, whole);
      for (const oldest of [...this.#by_id.keys()].slice(0, -MAX_TRANSFERS)) {
        this.#by_id.delete(oldest);
      }
    }
    if (!whole.indices.has(index)) {
      whole.indices.add(index);
      let at = offset;
      for (const buffer of buffers) {
        put(whole, at, buffer);
        at += buffer.byteLength;
      }
      whole.received += at - offset;
    }
    return whole.total == 0 ? 1 : Math.min(1, whole.received / whole.total);
  }

  /** The buffers of a message, once; null while chunks are missing. */
  take({ id, count }: Transfer): ArrayBuffer[] | null {
    const whole = this.#by_id.get(id);
    if (whole === undefined || whole.indices.size < count) {
      return null;
    }
    this.#by_id.delete(id);
    this.#taken = [...this.#taken, id].slice(-MAX_TAKEN);
    if (whole.total != whole.received) {
      throw new ProtocolError(`transfer from the kernel: ${whole.received} bytes came of ${whole.total}`);
    }
    return whole.buffers.map((buffer) => buffer ?? new ArrayBuffer(0));
  }

  clear(): void {
    this.#by_id.clear();
  }
}

/**
 * Copies bytes to where they belong, at once: chunks that were kept until the last one has come
 * would outlive the garbage collector's first look, and cost 40 ms each.
 */
function put(whole: Whole, offset: number, source: BufferSource): void {
  let bytes = bytes_of(source);
  if (offset + bytes.byteLength > whole.total) {
    throw new ProtocolError(`transfer from the kernel: byte ${offset + bytes.byteLength} came of ${whole.total}`);
  }
  let start = 0;
  for (const [number, size] of whole.sizes.entries()) {
    const at = offset - start;
    if (bytes.byteLength == 0) {
      return;
    }
    if (at < size) {
      if (at == 0 && bytes.byteLength == size) {
        whole.buffers[number] = exact_buffer(bytes);
        return;
      }
      const part = bytes.subarray(0, size - at);
      whole.buffers[number] ??= new ArrayBuffer(size);
      new Uint8Array(whole.buffers[number]).set(part, at);
      bytes = bytes.subarray(part.byteLength);
      offset += part.byteLength;
    }
    start += size;
  }
}

function bytes_of(source: BufferSource): Uint8Array<ArrayBuffer> {
  return source instanceof ArrayBuffer
    ? new Uint8Array(source)
    : new Uint8Array(source.buffer, source.byteOffset, source.byteLength);
}
