/** What a client sends of its changes: one frame on its way at a time, kept until Python has it. */

import { Outbox } from "./outbox";
import { PendingChanges } from "./pending";
import type { ClientMessage } from "./protocol";
import type { Replica } from "./replica";

type ChangesMessage = Extract<ClientMessage, { kind: "patch" }>;

interface Frame {
  readonly message: ChangesMessage;
  readonly buffers: Map<string, ArrayBuffer>;
}

const KERNEL = "kernel";

/**
 * A kernel may take as long as it likes for its callbacks: what is changed meanwhile waits in the replica, where it is
 * joined. A frame that is not acknowledged for so long is sent again, since it may be lost.
 */
const AGAIN_MS = 3000;
const OUTBOX = {
  window: 1,
  expiry_ms: Number.POSITIVE_INFINITY,
  refill_ms: Number.POSITIVE_INFINITY,
  remind_ms: AGAIN_MS,
} as const;

export class Uplink {
  readonly pending = new PendingChanges();

  readonly #client: string;
  readonly #send: (message: ChangesMessage, buffers: ArrayBuffer[]) => void;
  readonly #outbox = new Outbox(OUTBOX);
  #replica: Replica | null = null;
  /** Oldest first: those that Python may not have, and those whose acknowledgement is not applied yet. */
  #frames: Frame[] = [];
  #seq = 0;
  #acknowledged = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(client: string, send: (message: ChangesMessage, buffers: ArrayBuffer[]) => void) {
    this.#client = client;
    this.#send = send;
    this.#outbox.attach(KERNEL, 0);
  }

  /** Number of the last frame. */
  get seq(): number {
    return this.#seq;
  }

  /** Number of the last frame that Python has. */
  get acknowledged(): number {
    return this.#acknowledged;
  }

  get in_flight(): number {
    return this.#unacknowledged().length;
  }

  #unacknowledged(): Frame[] {
    return this.#frames.filter(({ message }) => message.seq > this.#acknowledged);
  }

  /** From here on the changes of this replica are sent; what waited in another was sent before. */
  follow(replica: Replica): void {
    if (this.#replica !== null && this.#replica.session != replica.session) {
      this.#forget_frames();
    }
    this.#replica = replica;
    this.pump();
  }

  /** Sends what is due again and what waits, if it may be sent, and looks again when the next is due. */
  readonly pump = (): void => {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const replica = this.#replica;
    if (replica === null) {
      return;
    }
    const [oldest] = this.#unacknowledged();
    if (oldest !== undefined && this.#outbox.overdue(performance.now()).length > 0) {
      this.#send(oldest.message, [...oldest.buffers.values()]); // without it the kernel takes none of the others
    }
    let patience_ms = Number.POSITIVE_INFINITY;
    if (replica.waiting > 0 && this.#outbox.is_ready(performance.now())) {
      patience_ms = replica.patience_ms;
      if (patience_ms == 0) {
        this.#send_changes(replica);
        patience_ms = Number.POSITIVE_INFINITY;
      }
    }
    const wait_ms = Math.min(patience_ms, this.#outbox.reminder_ms(performance.now()) ?? Number.POSITIVE_INFINITY);
    if (Number.isFinite(wait_ms)) {
      this.#timer = setTimeout(this.pump, wait_ms);
    }
  };

  /** Sends what waits, whether it may be sent or not: the replica goes. */
  flush(): void {
    if (this.#replica !== null && this.#replica.waiting > 0) {
      this.#send_changes(this.#replica);
    }
  }

  #send_changes(replica: Replica): void {
    const { events, buffers } = replica.take_changes();
    if (events.length == 0) {
      return;
    }
    this.#seq += 1;
    const message: ChangesMessage = {
      kind: "patch",
      client: this.#client,
      session: replica.session,
      seq: this.#seq,
      revision: replica.revision,
      events,
      buffers: [...buffers.keys()],
    };
    this.pending.sent(this.#seq, events);
    this.#frames.push({ message, buffers });
    this.#outbox.sent(this.#seq, performance.now());
    this.#send(message, [...buffers.values()]);
  }

  /** Python has everything up to a number: what waits may follow. */
  acknowledge(seq: number): void {
    if (seq > this.#acknowledged) {
      this.#acknowledged = seq;
      this.#outbox.acknowledge(KERNEL, seq, performance.now());
      this.pump();
    }
  }

  /**
   * The replica contains everything up to a number, in Python's order.
   *
   * @returns whether it may differ from Python's document for all that.
   */
  settled(seq: number): boolean {
    this.#frames = this.#frames.filter(({ message }) => message.seq > seq);
    return this.pending.acknowledged(seq);
  }

  /** Brings a new replica, which contains everything up to a number, to what the user sees now. */
  replay(replica: Replica, seq: number): void {
    for (const { message, buffers } of this.#frames) {
      // a message is for Python alone, and BokehJS cannot read those that it writes
      const events = message.events.filter((event) => (event as { kind: string }).kind != "MessageSent");
      if (message.seq > seq && message.session == replica.session && events.length > 0) {
        try {
          replica.apply(events, copies_of(buffers), replica.revision);
        } catch {
          this.pending.doubt(message.seq); // it is about what the document has no longer
        }
      }
    }
  }

  /** Nothing is shown any more, or nobody listens: nothing is sent from here on. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#replica = null;
    this.#forget_frames();
    this.pending.clear();
  }

  #forget_frames(): void {
    this.#frames = [];
    this.#acknowledged = this.#seq; // what is forgotten is not sent again: the kernel must not wait for it
    this.#outbox.attach(KERNEL, this.#seq);
  }
}

/** The document writes to its columns, and a frame must not be altered. */
function copies_of(buffers: Map<string, ArrayBuffer>): Map<string, ArrayBuffer> {
  return new Map(Array.from(buffers, ([name, buffer]) => [name, buffer.slice(0)]));
}
