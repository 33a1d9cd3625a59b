/** What a client says of itself: which views it has, which revision they show, and that it needs a document. */

import { type ClientMessage, PROTOCOL_VERSION } from "./protocol";
import { current_scheme } from "./scheme";
import { Request, when_painted } from "./timing";

type Ticked = Extract<ClientMessage, { tick: number }>;
type Bare<T> = T extends Ticked ? Omit<T, "client" | "tick" | "views"> : never;

/** A revision of a document. */
export interface Position {
  readonly session: string;
  readonly revision: number;
}

export interface PresenceOptions {
  readonly client: string;
  /** Ids of all views. */
  views(): string[];
  /** The last own patch that was acknowledged. */
  acknowledged_seq(): number;
  /** What is shown now. */
  position(): Position | null;
  send(message: ClientMessage): void;
}

const GONE_EVERY_MS = 1000;

/**
 * A page that the kernel does not hear counts as gone after 25 s, and is sent nothing from then on. So one that hears
 * nothing for longer says that it is there: the line may have been cut for a while, or the computer asleep.
 */
const QUIET_MS = 30_000;
const MAX_QUIET_MS = 300_000;

/**
 * An acknowledgement costs the kernel two status messages and JupyterLab two repaints of its
 * toolbar: while patches are small, one speaks for several of them.
 */
const ACK_EVERY_MS = 100;
const ACK_EVERY_PATCHES = 4;
const SMALL_BYTES = 64_000;
/** What takes longer leaves the page no time for another one before it is painted: the kernel is told at once. */
const CHEAP_MS = 10;

export class Presence {
  readonly #options: PresenceOptions;
  /** Asks for the document until it comes. */
  readonly request = new Request(() => this.attach(null));
  #tick = 0;
  #said_gone_ms = Number.NEGATIVE_INFINITY;
  #cancel_ack: (() => void) | null = null;
  #is_frame_awaited = false;
  #unacknowledged = 0;
  /** The most since the last acknowledgement; null if nothing was measured. */
  #cost_ms: number | null = null;
  #last_cost_ms = 0;
  #measuring: ReturnType<typeof setTimeout> | undefined;
  #acknowledged_ms = Number.NEGATIVE_INFINITY;
  #failed: Position | null = null;
  #heard_ms = Number.NEGATIVE_INFINITY;
  #quiet_ms = QUIET_MS;
  #quiet_timer: ReturnType<typeof setTimeout> | undefined;

  constructor(options: PresenceOptions) {
    this.#options = options;
  }

  hi(view: string): void {
    this.#send({ kind: "hi", view, scheme: current_scheme() });
  }

  gone(view: string): void {
    this.#send({ kind: "gone", view });
  }

  bye(): void {
    this.#send({ kind: "bye" });
  }

  /** Starts from a document, or asks for one. */
  attach(position: Position | null): void {
    const { session, revision } = position ?? { session: null, revision: null };
    const seq = this.#options.acknowledged_seq();
    this.#send({ kind: "attach", session, revision, protocol: PROTOCOL_VERSION, seq });
  }

  /** The kernel sends to a client that shows nothing: it has not heard that the views are gone. */
  gone_again(): void {
    const now = performance.now();
    if (this.#tick > 0 && now - this.#said_gone_ms >= GONE_EVERY_MS) {
      this.#said_gone_ms = now;
      this.gone("");
    }
  }

  /**
   * Says what is shown once the user can see it: one message for all until then.
   *
   * @param size of what came, in bytes: what is small may wait for more of its kind.
   * @param began_ms when the page began to apply it.
   */
  acknowledge_later(size = Number.POSITIVE_INFINITY, began_ms: number | null = null): void {
    this.#unacknowledged += 1;
    if (began_ms !== null && this.#measuring === undefined && !document.hidden) {
      // BokehJS does most of the work in promises: the next task begins when they are done. In a hidden tab, where
      // nothing is painted, it begins up to a second later
      this.#measuring = setTimeout(() => this.#measured(performance.now() - began_ms));
    }
    const wait_ms = this.#acknowledged_ms + ACK_EVERY_MS - performance.now();
    const is_light = size <= SMALL_BYTES && this.#last_cost_ms <= CHEAP_MS;
    const may_wait = is_light && this.#unacknowledged < ACK_EVERY_PATCHES;
    if (may_wait && wait_ms > 0) {
      if (this.#cancel_ack === null) {
        const timer = setTimeout(() => this.#acknowledge_after_frame(), wait_ms);
        this.#cancel_ack = () => clearTimeout(timer);
      }
      return;
    }
    if (!this.#is_frame_awaited) {
      this.#cancel_ack?.();
      this.#acknowledge_after_frame();
    }
  }

  #measured(cost_ms: number): void {
    this.#measuring = undefined;
    this.#last_cost_ms = cost_ms;
    this.#cost_ms = Math.max(this.#cost_ms ?? 0, cost_ms);
  }

  #acknowledge_after_frame(): void {
    this.#is_frame_awaited = true;
    this.#cancel_ack = when_painted(() => {
      this.#cancel_ack = null;
      this.#is_frame_awaited = false;
      this.#unacknowledged = 0;
      this.#acknowledged_ms = performance.now();
      if (this.#options.position() !== null) {
        this.here();
      }
      this.#cost_ms = null;
    });
  }

  /** The kernel asks where the page is, or took what is missing here to be on its way. */
  answer({ session, revision }: Position): void {
    const position = this.#options.position();
    const failed = this.#failed;
    if (position?.session == session && position.revision >= revision) {
      this.acknowledge_later();
    } else if (failed?.session == session && (position === null || failed.revision >= revision)) {
      this.here(); // another try would end in the same way
    } else {
      this.request.again(); // everything before this message has come
    }
  }

  /** Asks for the document unless what is shown is the newest. */
  compare(): void {
    const position = this.#options.position();
    if (position === null) {
      this.request.again();
    } else {
      this.attach(position);
    }
  }

  /** A document could not be shown; null if one could. */
  cannot_show(document: Position | null): void {
    this.#failed = document;
  }

  /** Says that the page is there, and what it shows if that is known. */
  here(): void {
    const position = this.#options.position();
    const [view] = this.#options.views();
    if (position !== null) {
      const { session, revision } = position;
      this.#send({ kind: "ack", session, revision, cost_ms: Math.round(this.#cost_ms ?? this.#last_cost_ms) });
    } else if (view !== undefined) {
      this.hi(view);
    }
  }

  /** The kernel has said something: while it does not for long, it is told that the page is there. */
  heard(): void {
    this.#heard_ms = performance.now();
    if (this.#quiet_timer === undefined || this.#quiet_ms > QUIET_MS) {
      clearTimeout(this.#quiet_timer);
      this.#quiet_timer = undefined;
      this.#quiet_ms = QUIET_MS;
      if (this.#options.views().length > 0) {
        this.#listen(QUIET_MS);
      }
    }
  }

  #listen(wait_ms: number): void {
    this.#quiet_timer = setTimeout(() => {
      const left_ms = this.#heard_ms + this.#quiet_ms - performance.now();
      if (left_ms > 0) {
        this.#listen(left_ms);
        return;
      }
      this.#heard_ms = performance.now();
      this.#quiet_ms = Math.min(2 * this.#quiet_ms, MAX_QUIET_MS);
      this.#listen(this.#quiet_ms);
      this.here();
    }, wait_ms);
  }

  /** Nothing is asked and nothing is said by itself from here on. */
  call_off(): void {
    this.request.stop();
    clearTimeout(this.#measuring);
    this.#measuring = undefined;
    clearTimeout(this.#quiet_timer);
    this.#quiet_timer = undefined;
    this.#cancel_ack?.();
    this.#cancel_ack = null;
    this.#is_frame_awaited = false;
    this.#unacknowledged = 0;
  }

  /** Later messages have higher ticks: what an older one says of the views is known to be old. */
  #send(message: Bare<Ticked>): void {
    this.#tick += 1;
    const { client } = this.#options;
    const views = message.kind == "bye" ? {} : { views: this.#options.views() };
    this.#options.send({ client, ...message, ...views, tick: this.#tick } as ClientMessage);
  }
}
