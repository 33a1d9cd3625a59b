/** What came of the kernel and cannot be used yet: messages without all of their chunks, patches after a gap. */

import {
  type ChunkMessage,
  type DocumentMessage,
  named_buffers,
  type PatchMessage,
  type SyncMessage,
} from "./protocol";
import { Transfers } from "./transfer";

export interface Arrival {
  readonly message: PatchMessage | DocumentMessage | SyncMessage;
  readonly buffers: Map<string, ArrayBuffer>;
}

type Patch = Arrival & { readonly message: PatchMessage };

/** What is missing comes within this time, or it is lost. */
const PATIENCE_MS = 100;
const MAX_HELD = 100;
const MAX_INCOMPLETE = 2;

export class Arrivals {
  readonly #on_complete: (arrival: Arrival) => void;
  readonly #on_missing: () => void;
  readonly #transfers = new Transfers();
  #incomplete: (PatchMessage | DocumentMessage)[] = [];
  readonly #held = new Map<number, Patch>();
  #timer: ReturnType<typeof setTimeout> | undefined;

  /**
   * @param on_complete is given each message with its buffers.
   * @param on_missing is called when something did not come in time.
   */
  constructor(on_complete: (arrival: Arrival) => void, on_missing: () => void) {
    this.#on_complete = on_complete;
    this.#on_missing = on_missing;
  }

  /** Whether something is known to be missing. */
  get is_waiting(): boolean {
    return this.#held.size > 0 || this.#incomplete.length > 0;
  }

  add(message: PatchMessage | DocumentMessage, buffers: readonly BufferSource[]): void {
    if (message.transfer === null) {
      this.#on_complete({ message, buffers: named_buffers(message.buffers, buffers) });
    } else if (!this.#complete(message)) {
      this.#incomplete = [...this.#incomplete, message].slice(-MAX_INCOMPLETE);
      this.#be_patient();
    }
  }

  /** What part of its transfer has come, from 0 to 1. */
  add_chunk(message: ChunkMessage, buffers: readonly BufferSource[]): number {
    const part = this.#transfers.add(message, buffers);
    this.#incomplete = this.#incomplete.filter((waiting) => !this.#complete(waiting));
    this.#be_patient(); // with what is on its way
    return part;
  }

  #complete(message: PatchMessage | DocumentMessage): boolean {
    const { transfer } = message;
    const buffers = transfer === null ? null : this.#transfers.take(transfer);
    if (buffers === null) {
      return false;
    }
    this.#on_complete({ message, buffers: named_buffers(message.buffers, buffers) });
    return true;
  }

  /** Keeps a patch until those before it have come. */
  hold(patch: Patch): void {
    this.#held.set(patch.message.revision, patch);
    if (this.#held.size > MAX_HELD) {
      this.#held.delete(Math.min(...this.#held.keys()));
      this.#on_missing();
    } else if (this.#timer === undefined) {
      this.#be_patient();
    }
  }

  /** The patch that follows a revision, if it is held; older ones, and those of other sessions, go. */
  next(session: string, revision: number): Patch | null {
    for (const [number, { message }] of this.#held) {
      if (number <= revision || message.session != session) {
        this.#held.delete(number);
      }
    }
    // what is contained in the document by now does not lack its chunks any more
    this.#incomplete = this.#incomplete.filter((message) => message.session == session && message.revision > revision);
    const next = this.#held.get(revision + 1) ?? null;
    this.#held.delete(revision + 1);
    this.#be_patient();
    return next;
  }

  clear(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#transfers.clear();
    this.#incomplete = [];
    this.#held.clear();
  }

  #be_patient(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.is_waiting) {
      this.#timer = setTimeout(() => {
        this.#timer = undefined;
        this.#on_missing();
      }, PATIENCE_MS);
    }
  }
}
