/** Messages whose buffers come before them in chunks, in any order. Pure. */

import { type ChunkMessage, ProtocolError, type Transfer } from "./protocol";

interface Chunks {
  readonly pieces: Map<number, readonly Uint8Array[]>;
  received: number;
}

/** A transfer whose message never comes is not kept for ever: so many are. */
const MAX_TRANSFERS = 2;
/** Chunks that come once more after their message are told by these. */
const MAX_TAKEN = 8;

export class Transfers {
  readonly #by_id = new Map<string, Chunks>();
  #taken: string[] = [];

  /** Keeps a chunk; what part of its transfer is here now, from 0 to 1. */
  add({ transfer, index, size }: ChunkMessage, buffers: readonly BufferSource[]): number {
    if (this.#taken.includes(transfer)) {
      return 1;
    }
    let chunks = this.#by_id.get(transfer);
    if (chunks === undefined) {
      chunks = { pieces: new Map(), received: 0 };
      this.#by_id.set(transfer, chunks);
      for (const oldest of [...this.#by_id.keys()].slice(0, -MAX_TRANSFERS)) {
        this.#by_id.delete(oldest);
      }
    }
    if (!chunks.pieces.has(index)) {
      const pieces = buffers.map(bytes_of);
      chunks.pieces.set(index, pieces);
      chunks.received += pieces.reduce((total, { byteLength }) => total + byteLength, 0);
    }
    return size == 0 ? 1 : Math.min(1, chunks.received / size);
  }

  /** The buffers of a message, once; null while chunks are missing. */
  take({ id, count, sizes }: Transfer): ArrayBuffer[] | null {
    const { pieces, received } = this.#by_id.get(id) ?? { pieces: new Map<number, Uint8Array[]>(), received: 0 };
    const order = Array.from({ length: count }, (_, index) => pieces.get(index));
    if (order.some((piece) => piece === undefined)) {
      return null;
    }
    this.#by_id.delete(id);
    this.#taken = [...this.#taken, id].slice(-MAX_TAKEN);
    const total = sizes.reduce((sum, size) => sum + size, 0);
    if (total != received) {
      throw new ProtocolError(`transfer from the kernel: ${received} bytes came of ${total}`);
    }
    return cut(order.flat() as Uint8Array[], sizes);
  }

  clear(): void {
    this.#by_id.clear();
  }
}

function bytes_of(source: BufferSource): Uint8Array {
  return source instanceof ArrayBuffer
    ? new Uint8Array(source)
    : new Uint8Array(source.buffer, source.byteOffset, source.byteLength);
}

/** Copies each byte once, into the memory that BokehJS then works on. */
function cut(pieces: readonly Uint8Array[], sizes: readonly number[]): ArrayBuffer[] {
  let next = 0;
  let rest = new Uint8Array(0) as Uint8Array;
  return sizes.map((size) => {
    const whole = new Uint8Array(size);
    let filled = 0;
    while (filled < size) {
      if (rest.byteLength == 0) {
        rest = pieces[next++] as Uint8Array;
        continue;
      }
      const part = rest.subarray(0, size - filled);
      whole.set(part, filled);
      filled += part.byteLength;
      rest = rest.subarray(part.byteLength);
    }
    return whole.buffer;
  });
}
