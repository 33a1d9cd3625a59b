/** Wrapping methods of BokehJS, and the book of what a view connects and does not undo. */

import { entry, is_object } from "./reflection";
import type { Cause, Ledger, State, Undo, ViewLike } from "./state";

/** Wraps a method that the class itself defines, once for each cause. */
export function wrap<Self extends object>(
  state: State,
  cause: string,
  holder: unknown,
  name: string,
  around: (self: Self, call: () => unknown, args: readonly unknown[]) => unknown,
): void {
  if (!is_object(holder) || !Object.hasOwn(holder, name)) {
    return;
  }
  const original: unknown = Reflect.get(holder, name);
  if (typeof original != "function" || !first_time(state, holder, `${cause} ${name}`)) {
    return;
  }
  Object.defineProperty(holder, name, {
    configurable: true,
    writable: true,
    value: function (this: Self, ...args: unknown[]): unknown {
      return around(this, () => Reflect.apply(original, this, args) as unknown, args);
    },
  });
}

export function first_time(state: State, holder: object, what: string): boolean {
  const done = entry(state.wrapped, holder, () => new Set<string>());
  return !done.has(what) && done.add(what) !== undefined;
}

/** Books the listeners that a method of a view puts on page-global targets on that view. */
export function scope_listeners(state: State, cause: Cause, prototype: unknown, method: string): void {
  wrap<ViewLike>(state, cause, prototype, method, (view, call) =>
    in_scope(state, view, `${cause} ${method}`, page_targets(), call),
  );
}

export function page_targets(): EventTarget[] {
  const targets = [window, document, document.documentElement, document.body, window.visualViewport];
  return targets.filter((target) => target !== null);
}

/**
 * Runs code of a view and books what it connects.
 *
 * @param key of work that is done repeatedly: what it booked the last time is undone first.
 */
export function in_scope(
  state: State,
  view: ViewLike,
  key: string | null,
  targets: readonly EventTarget[],
  run: () => unknown,
): unknown {
  const undos: Undo[] = [];
  const ledger = ledger_of(state, view);
  if (key !== null) {
    undo(ledger, key);
  }
  const outer = state.scope;
  state.scope = { view, undos };
  const restore = targets.map((target) => intercept(target, undos));
  try {
    return run();
  } finally {
    for (const put_back of restore.reverse()) {
      put_back();
    }
    state.scope = outer;
    if (view.is_destroyed) {
      for (const off of undos) {
        off();
      }
    } else if (undos.length > 0) {
      entry(ledger, key ?? "", () => []).push(...undos);
    }
  }
}

/** Books each listener that is added to a target until the returned function is called. */
function intercept(target: EventTarget, undos: Undo[]): Undo {
  const own = Object.getOwnPropertyDescriptor(target, "addEventListener");
  const add = target.addEventListener;
  Object.defineProperty(target, "addEventListener", {
    configurable: true,
    writable: true,
    value: (...args: Parameters<EventTarget["addEventListener"]>): void => {
      add.apply(target, args);
      undos.push(() => target.removeEventListener(...args));
    },
  });
  return () => {
    if (own === undefined) {
      Reflect.deleteProperty(target, "addEventListener");
    } else {
      Object.defineProperty(target, "addEventListener", own);
    }
  };
}

export function ledger_of(state: State, view: ViewLike): Ledger {
  return entry(state.ledgers, view, () => new Map<string, Undo[]>());
}

export function undo(ledger: Ledger, key: string): void {
  const undos = ledger.get(key) ?? [];
  ledger.delete(key);
  for (const off of undos) {
    off();
  }
}

export function undo_all(state: State, view: ViewLike): void {
  const ledger = state.ledgers.get(view);
  for (const key of [...(ledger?.keys() ?? [])]) {
    undo(ledger as Ledger, key);
  }
}
