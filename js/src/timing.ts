/** When a client does what it does later; everything here can be called off. */

const FRAME_LIMIT_MS = 100;
const FIRST_REPEAT_MS = 2000;
const LAST_REPEAT_MS = 30_000;

/**
 * Calls back when what was drawn before can have been painted: after the next frame, or a tenth of
 * a second where there are none.
 *
 * @returns what calls it off.
 */
export function after_frame(callback: () => void): () => void {
  const cancel = (): void => {
    cancelAnimationFrame(frame);
    clearTimeout(timer);
  };
  const done = (): void => {
    cancel();
    callback();
  };
  const timer = setTimeout(done, FRAME_LIMIT_MS);
  const frame = requestAnimationFrame(done);
  return cancel;
}

/**
 * The same for what may be said without a picture: in a hidden tab, where nothing is painted and
 * timers wait for a second, it calls back at once.
 *
 * @returns what calls it off.
 */
export function when_painted(callback: () => void): () => void {
  if (!document.hidden) {
    return after_frame(callback);
  }
  let is_wanted = true;
  queueMicrotask(() => {
    if (is_wanted) {
      callback();
    }
  });
  return () => {
    is_wanted = false;
  };
}

/** Settles when a document that was just built has been painted: BokehJS lays out in one frame and paints in another. */
export async function painted(): Promise<void> {
  await new Promise<void>((resolve) => after_frame(resolve));
  await new Promise<void>((resolve) => after_frame(resolve));
}

/** Asks until an answer comes, ever more rarely. */
export class Request {
  readonly #ask: () => void;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #wait_ms = FIRST_REPEAT_MS;

  constructor(ask: () => void) {
    this.#ask = ask;
  }

  /** Whether an answer is awaited. */
  get is_open(): boolean {
    return this.#timer !== undefined;
  }

  start(): void {
    if (!this.is_open) {
      this.#wait_ms = FIRST_REPEAT_MS;
      this.#wait();
      this.#ask();
    }
  }

  /** Asks at once, whether an answer is awaited or not: what is awaited will not come. */
  again(): void {
    this.stop();
    this.start();
  }

  /** The answer comes, but not all of it is here: no reason to ask again yet. */
  restart_wait(): void {
    if (this.is_open) {
      clearTimeout(this.#timer);
      this.#wait();
    }
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #wait(): void {
    this.#timer = setTimeout(() => {
      this.#wait_ms = Math.min(2 * this.#wait_ms, LAST_REPEAT_MS);
      this.#wait();
      this.#ask();
    }, this.#wait_ms);
  }
}
