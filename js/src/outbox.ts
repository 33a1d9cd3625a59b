/**
 * When something may be sent: how many frames are on their way to each peer. Pure: a clock is given.
 *
 * bokeh_widget/_outbox.py keeps the same rules; tests/flow/outbox.json are cases for both.
 */

export interface OutboxOptions {
  /** So many frames may be on their way to a peer. */
  readonly window: number;
  /** A peer that has not acknowledged a frame for so long is not waited for. */
  readonly expiry_ms: number;
  /** While no acknowledgement can be read, a frame counts as on its way for so long. */
  readonly refill_ms: number;
  /** A peer that has not acknowledged a frame for so long is reminded; by default when it is not waited for any more. */
  readonly remind_ms?: number;
}

interface Frame {
  readonly number: number;
  readonly at_ms: number;
  /** What part of the window it takes. */
  readonly weight: number;
}

interface Peer {
  acknowledged: number;
  /** Oldest first. */
  in_flight: Frame[];
  /** Something was acknowledged although none was expected to be read. */
  reads: boolean;
  reminder: Reminder | null;
  /** What part of the window a frame takes, however light, since the peer needs so long for it. */
  at_least: number;
}

interface Reminder {
  readonly next_ms: number;
  readonly interval_ms: number;
}

/** Of the frames on their way the oldest and so many of the newest are known. */
const MAX_KNOWN = 64;

/**
 * Who needs longer than the second for a frame can do nothing else beside painting: it gets one at a time.
 * What takes no longer than the first counts for nothing: other work is in it.
 */
const [EASY_MS, BUSY_MS] = [10, 30];

const ROUNDING = 1e-9;

const MAX_REMINDER_MS = 30_000;

export class Outbox {
  readonly #options: OutboxOptions;
  readonly #peers = new Map<string, Peer>();
  #blocked = false;

  constructor(options: OutboxOptions) {
    this.#options = options;
  }

  /** A peer has everything up to a number, whatever it had before. */
  attach(peer: string, number: number): void {
    const in_flight = this.#peers.get(peer)?.in_flight ?? [];
    this.#peers.set(peer, {
      acknowledged: number,
      in_flight: in_flight.filter((frame) => frame.number > number),
      reads: false,
      reminder: null,
      at_least: this.#peers.get(peer)?.at_least ?? 0,
    });
  }

  leave(peer: string): void {
    this.#peers.delete(peer);
  }

  /**
   * A peer has everything up to a number.
   *
   * @param cost_ms for how long the latest frame kept it busy.
   */
  acknowledge(peer: string, number: number, _now_ms: number, cost_ms = 0): void {
    const state = this.#peers.get(peer);
    if (state === undefined) {
      return;
    }
    state.at_least = Math.min(1, Math.max(0, cost_ms - EASY_MS) / (BUSY_MS - EASY_MS));
    if (number <= state.acknowledged) {
      return;
    }
    state.acknowledged = number;
    state.reads = true;
    state.in_flight = state.in_flight.filter((frame) => frame.number > number);
    state.reminder = null;
  }

  /** @param weight what part of the window it takes; more follows while less than 1 is on its way. */
  sent(number: number, now_ms: number, weight = 1 / this.#options.window): void {
    for (const { in_flight, at_least } of this.#peers.values()) {
      in_flight.push({ number, at_ms: now_ms, weight: Math.max(weight, at_least) });
      if (in_flight.length > MAX_KNOWN + 1) {
        in_flight.splice(1, 1);
      }
    }
  }

  /** From here on no acknowledgement is expected to be read. */
  block(_now_ms: number): void {
    this.#blocked = true;
    for (const peer of this.#peers.values()) {
      peer.reads = false;
    }
  }

  unblock(): void {
    this.#blocked = false;
  }

  /** Whether something may be sent now. */
  is_ready(now_ms: number): boolean {
    const peers = [...this.#peers.values()];
    const keeping_up = peers.filter((peer) => !this.#lags(peer, now_ms));
    const gates = keeping_up.length > 0 ? keeping_up : peers;
    return gates.every((peer) => {
      const slot_ms = this.#slot_ms(peer);
      const { window, expiry_ms } = this.#options;
      // by time alone no more than the window, however light
      const at_least = slot_ms == expiry_ms ? 0 : 1 / window;
      const younger = peer.in_flight.filter(({ at_ms }) => now_ms - at_ms < slot_ms);
      return younger.reduce((sum, { weight }) => sum + Math.max(weight, at_least), 0) < 1 - ROUNDING;
    });
  }

  /** After which time from now it becomes ready by itself; null if it is. */
  wait_ms(now_ms: number): number | null {
    if (this.is_ready(now_ms)) {
      return null;
    }
    const times = new Set<number>();
    for (const peer of this.#peers.values()) {
      for (const { at_ms } of peer.in_flight) {
        times.add(at_ms + this.#slot_ms(peer)).add(at_ms + this.#options.expiry_ms);
      }
    }
    const later = [...times].filter((time) => time > now_ms).sort((a, b) => a - b);
    const ready = later.find((time) => this.is_ready(time));
    return ready === undefined ? null : ready - now_ms;
  }

  /** Who is to be reminded now of what he has not acknowledged; he counts as reminded. */
  overdue(now_ms: number): string[] {
    const found: string[] = [];
    for (const [name, peer] of this.#peers) {
      const due_ms = this.#due_ms(peer);
      if (due_ms !== null && due_ms <= now_ms) {
        const interval_ms = Math.min((peer.reminder?.interval_ms ?? this.#remind_ms) * 2, MAX_REMINDER_MS);
        peer.reminder = { next_ms: now_ms + interval_ms, interval_ms };
        found.push(name);
      }
    }
    return found;
  }

  /** After which time from now somebody is to be reminded; null if nobody is. */
  reminder_ms(now_ms: number): number | null {
    const due = [...this.#peers.values()].flatMap((peer) => this.#due_ms(peer) ?? []);
    return due.length == 0 ? null : Math.max(0, Math.min(...due) - now_ms);
  }

  #due_ms(peer: Peer): number | null {
    const oldest = peer.in_flight[0];
    if (oldest === undefined) {
      return null;
    }
    return Math.max(oldest.at_ms + this.#remind_ms, peer.reminder?.next_ms ?? 0);
  }

  get #remind_ms(): number {
    return this.#options.remind_ms ?? this.#options.expiry_ms;
  }

  #lags({ in_flight }: Peer, now_ms: number): boolean {
    const oldest = in_flight[0];
    return oldest !== undefined && now_ms - oldest.at_ms >= this.#options.expiry_ms;
  }

  #slot_ms(peer: Peer): number {
    return this.#blocked && !peer.reads ? this.#options.refill_ms : this.#options.expiry_ms;
  }
}
