/** When BokehJS paints, and who waits for it. */

import { wrap } from "./ledger";
import { optional_module } from "./reflection";
import type { State } from "./state";

interface Throttled {
  (): Promise<void>;
  stop(): void;
}

/**
 * A painting that is put off to a later time, and then dropped for one that is due at once, never tells that it is
 * done. A view waits for all of its paintings, one after the other, and so is never ready from then on, as after most
 * streams: who removes it, or waits until it is painted, waits in vain. The one painting speaks for the other.
 *
 * Upstream: no issue known; bokeh#11285 is about the same function.
 */
export function dropped_paintings(state: State): void {
  const module = optional_module(state.bokeh, "core/util/throttle");
  wrap<object>(state, "dropped_paintings", module, "throttle", (_self, call, args) => {
    const [paint] = args as [() => void];
    const waiting = new Set<() => void>();
    const settle = (): void => {
      for (const done of waiting) {
        done();
      }
      waiting.clear();
    };
    (args as unknown[])[0] = (): void => {
      try {
        paint();
      } finally {
        settle();
      }
    };
    const throttled = call() as Throttled;
    const settled = (): Promise<void> =>
      new Promise((resolve, reject) => {
        waiting.add(resolve);
        const forget = (): void => void waiting.delete(resolve);
        throttled().then(resolve, reject).finally(forget);
      });
    return Object.assign(settled, {
      stop(): void {
        throttled.stop();
        settle();
      },
    });
  });
}
