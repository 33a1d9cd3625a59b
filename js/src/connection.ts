/** What the front end knows of the line to its kernel, and the notice that says so while it is cut. */

export type ConnectionStatus = "connected" | "connecting" | "disconnected";

interface Signal<T> {
  connect(slot: (sender: unknown, value: T) => void): void;
  disconnect(slot: (sender: unknown, value: T) => void): void;
}

/** What JupyterLab, Notebook 7 and Voila tell of a kernel; other front ends may tell less. */
export interface KernelConnection {
  readonly statusChanged: Signal<string>;
  readonly connectionStatusChanged?: Signal<ConnectionStatus>;
  readonly connectionStatus?: ConnectionStatus;
  /** The page has let go of it, since its notebook is closed: what sends then gets an error. */
  readonly isDisposed?: boolean;
}

const KERNEL_IS_GONE: ReadonlySet<string> = new Set(["restarting", "autorestarting", "terminating", "dead"]);

/** A line that is back sooner is not worth a word: JupyterLab's first attempt follows at once. */
export const QUIET_CUT_MS = 500;

const TEXTS: Readonly<Record<Exclude<ConnectionStatus, "connected">, string>> = {
  connecting: "Disconnected from the kernel: what is shown may be old. The page is trying to connect again.",
  disconnected:
    "Disconnected from the kernel: what is shown may be old, and the page has given up. " +
    'Choose "Reconnect to Kernel" in the Kernel menu, or reload the page.',
};

/** Follows the line to one kernel, for all places that show a widget of it. */
export class Connection {
  readonly #on_back: () => void;
  readonly #places = new Set<HTMLElement>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #is_cut = false;
  #text = "";

  /** @param on_back the line was cut, and is there again: what was sent meanwhile may be lost. */
  constructor(on_back: () => void) {
    this.#on_back = on_back;
  }

  /** Shows the notice in a place whenever there is one; returns what ends that. */
  add_place(element: HTMLElement): () => void {
    this.#places.add(element);
    this.#show_in(element);
    return () => this.#places.delete(element);
  }

  set(status: ConnectionStatus): void {
    if (status != "connected") {
      this.#is_cut = true;
      if (status == "disconnected") {
        this.#say(TEXTS.disconnected);
      } else if (this.#text == "") {
        this.#timer ??= setTimeout(() => this.#say(TEXTS.connecting), QUIET_CUT_MS);
      } else {
        this.#say(TEXTS.connecting); // somebody asked it to try once more
      }
    } else if (this.#is_cut) {
      this.end();
      this.#on_back();
    }
  }

  /** Nothing is to be said of the line any more. */
  end(): void {
    this.#is_cut = false;
    this.#say("");
  }

  #say(text: string): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#text = text;
    for (const element of this.#places) {
      this.#show_in(element);
    }
  }

  #show_in(element: HTMLElement): void {
    element.textContent = this.#text;
    element.hidden = this.#text == "";
  }
}

/**
 * Follows a kernel until the signal aborts.
 *
 * @param on_gone the kernel has stopped or is restarted: it tells nobody, neither models nor views are closed.
 */
export function follow_kernel(
  kernel: KernelConnection | null | undefined,
  connection: Connection,
  signal: AbortSignal,
  on_gone: () => void,
): void {
  if (kernel == null) {
    return;
  }
  const lines = kernel.connectionStatusChanged;
  const on_line = (_sender: unknown, status: ConnectionStatus): void => connection.set(status);
  const forget_line = (): void => {
    lines?.disconnect(on_line);
    connection.end();
  };
  const on_status = (_sender: unknown, status: string): void => {
    if (KERNEL_IS_GONE.has(status)) {
      forget_line(); // a kernel that is gone does not come back with the line
      on_gone();
    }
  };
  kernel.statusChanged.connect(on_status);
  lines?.connect(on_line);
  if (kernel.connectionStatus === "disconnected") {
    connection.set("disconnected");
  }
  const forget = (): void => {
    kernel.statusChanged.disconnect(on_status);
    forget_line();
  };
  signal.addEventListener("abort", forget, { once: true });
}
