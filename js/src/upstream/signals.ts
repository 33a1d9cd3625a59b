/** Signals, and other things by which a living model holds a removed view. */

import { wrap } from "./ledger";
import { invoke, is_object, optional_module, property } from "./reflection";
import type { SignalLike, State, ViewLike } from "./state";

/**
 * `Signal.connect(slot)` without a receiver is never undone: visuals, plots, range and selection
 * tools connect to their models so, and a model that lives on holds the removed view.
 *
 * Upstream: no issue known.
 */
export function signals(state: State): void {
  const prototype = state.signal_class.prototype;
  wrap<SignalLike>(state, "signals", prototype, "connect", (signal, call, [slot, context]) => {
    const connected = call();
    const { scope } = state;
    if (connected === true && context == null && scope !== null && is_object(slot)) {
      scope.undos.push(() => signal.disconnect(slot));
    }
    return connected;
  });
}

/**
 * `FileInputView` adds an event callback to its model and never takes it off.
 *
 * Upstream: no issue known.
 */
export function event_callbacks(state: State): void {
  const model: unknown = property(property(optional_module(state.bokeh, "model"), "Model"), "prototype");
  wrap<object>(state, "event_callbacks", model, "on_event", (self, call, [, callback]) => {
    call();
    state.scope?.undos.push(() => {
      const all: unknown = property(self, "js_event_callbacks");
      const entries = all instanceof Map ? [...all] : Object.entries(is_object(all) ? all : {});
      for (const [event, callbacks] of entries as [string, unknown[]][]) {
        const others = callbacks.filter((other) => other !== callback);
        if (all instanceof Map) {
          all.set(event, others);
        } else {
          Reflect.set(all as object, event, others);
        }
      }
    });
  });
}

/**
 * `Signal.disconnect_receiver` stops at the first connection that something else has cut in the
 * same task; the others stay. A second pass, after BokehJS has dropped the cut ones, finds them.
 *
 * Upstream: no issue known.
 */
export function dirty_signals(state: State, view: ViewLike): void {
  const defer: unknown = property(optional_module(state.bokeh, "core/util/defer"), "defer");
  if (typeof defer == "function") {
    const later: unknown = Reflect.apply(defer, undefined, []);
    void Promise.resolve(later).then(() => state.signal_class.disconnect_receiver(view));
  }
}

/**
 * `DataRange1d` remembers the bounds of each plot view that it served, and counts the removed
 * ones in.
 *
 * Upstream: no issue known.
 */
export function range_bounds(_state: State, view: ViewLike): void {
  const ranges: unknown = property(property(view, "_range_manager"), "ranges");
  if (typeof ranges != "function") {
    return;
  }
  const { x_ranges, y_ranges } = Reflect.apply(ranges, property(view, "_range_manager"), []) as {
    x_ranges: Iterable<object>;
    y_ranges: Iterable<object>;
  };
  for (const range of [...x_ranges, ...y_ranges]) {
    for (const name of ["_plot_bounds", "plots"]) {
      const served: unknown = property(range, name);
      if (served instanceof Map || served instanceof Set) {
        served.delete(view);
      }
    }
  }
}

/**
 * A glyph renderer makes up the glyphs for its other states. They connect to what they share with
 * the real one (mappers, transforms, …), which then holds them.
 *
 * Upstream: no issue known.
 */
export function derived_glyphs(_state: State, view: ViewLike): void {
  const names = ["glyph", "selection_glyph", "nonselection_glyph", "hover_glyph", "muted_glyph"];
  if (property(view, "decimated_glyph") == null) {
    return;
  }
  const real = new Set(names.map((name) => property(view.model, name)));
  for (const name of [...names, "decimated_glyph"]) {
    const model: unknown = property(property(view, name), "model");
    if (model != null && !real.has(model)) {
      invoke(model, "destroy");
    }
  }
}

/**
 * The components inside an `Examiner` listen to BokehJS's diagnostics and are never unmounted. A
 * component holds its listener, so diagnostics need not hold it, too.
 *
 * Upstream: no issue known.
 */
export function examiner(state: State): void {
  const diagnostics: unknown = property(optional_module(state.bokeh, "core/diagnostics"), "diagnostics");
  const listeners: unknown = property(diagnostics, "listeners");
  if (!(listeners instanceof Set) || !is_object(diagnostics)) {
    return;
  }
  type Listener = (subject: unknown) => void;
  const proxies = new WeakMap<Listener, Listener>();
  const dead = new FinalizationRegistry<Listener>((proxy) => listeners.delete(proxy));
  const prototype: unknown = Object.getPrototypeOf(diagnostics);
  wrap<object>(state, "examiner", prototype, "connect", (_self, _call, [listener]) => {
    const held = new WeakRef(listener as Listener);
    const proxy: Listener = (subject) => held.deref()?.(subject);
    proxies.set(listener as Listener, proxy);
    dead.register(listener as Listener, proxy);
    listeners.add(proxy);
  });
  wrap<object>(state, "examiner", prototype, "disconnect", (_self, _call, [listener]) => {
    listeners.delete(proxies.get(listener as Listener));
  });
}
