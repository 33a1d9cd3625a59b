/** Views that nobody removes, and what removed ones leave running. */

import { undo_all, wrap } from "./ledger";
import { clear_timer, entry, is_view, optional_module, owner_of, property, view_prototype } from "./reflection";
import type { State, ViewLike } from "./state";

/**
 * Views that their parent builds and does not remove: a dropdown's menu, the dialog of an
 * `ExamineTool`, … A view whose parent is gone is removed, too.
 *
 * Upstream: https://github.com/bokeh/bokeh/issues/15048
 */
export function forgotten_views(state: State, view: ViewLike): void {
  const children = state.children.get(view);
  if (children !== undefined && children.size > 0) {
    // later: a parent that removes its children after itself comes first
    queueMicrotask(() => {
      for (const reference of [...children]) {
        const child = reference.deref();
        if (child !== undefined) {
          remove_quietly(state, child);
        }
      }
    });
  }
}

/**
 * When `title`, `description` or `menu` changes, an input and a dropdown build a new view for it
 * and forget the old one.
 *
 * Upstream: https://github.com/bokeh/bokeh/issues/15319
 */
export function replaced_views(state: State): void {
  const input = view_prototype(state, "TextInput");
  const parts = [
    [owner_of(input, "_build_title"), "_build_title", "title"],
    [owner_of(input, "_build_description"), "_build_description", "description"],
    [view_prototype(state, "Dropdown"), "_build_menu", "menu"],
  ] as const;
  for (const [prototype, method, field] of parts) {
    wrap<ViewLike>(state, "replaced_views", prototype, method, async (view, call) => {
      const old: unknown = property(view, field);
      await call();
      if (old !== property(view, field) && is_view(state, old)) {
        remove_quietly(state, old);
      }
    });
  }
}

/**
 * A view that is removed while it builds a part of itself gets that part afterwards: nobody
 * removes it, or it was removed before it connected.
 *
 * Upstream: https://github.com/bokeh/bokeh/issues/15358
 */
export function late_views(state: State): void {
  wrap<ViewLike>(state, "late_views", state.view_class.prototype, "connect_signals", (view, call) => {
    const result = call();
    if (view.is_destroyed || view.parent?.is_destroyed === true || view.root.is_destroyed) {
      queueMicrotask(() => {
        remove_quietly(state, view);
        state.signal_class.disconnect_receiver(view);
        undo_all(state, view);
      });
    }
    return result;
  });
}

/**
 * When building a view fails, the parts that were built stay connected to their models.
 *
 * Upstream: no issue known.
 */
export function failed_build(state: State): void {
  const manager = property(optional_module(state.bokeh, "core/view_manager"), "ViewManager");
  const roots = new WeakMap<object, Set<ViewLike>>();
  const { prototype } = state.view_class;
  wrap<ViewLike>(state, "failed_build", prototype, "initialize", (view, call) => {
    if (view.parent == null) {
      roots.get(view.owner)?.add(view);
    }
    return call();
  });
  wrap<object>(state, "failed_build", property(manager, "prototype"), "build_view", async (self, call, [model]) => {
    const begun = entry(roots, self, () => new Set<ViewLike>());
    const mine = (): ViewLike[] => [...begun].filter((view) => view.model === model);
    try {
      return await call();
    } catch (error) {
      for (const view of mine()) {
        remove_quietly(state, view);
      }
      throw error;
    } finally {
      for (const view of mine()) {
        begun.delete(view);
      }
    }
  });
}

/**
 * A tooltip that is scrolled repositions itself in the next frame, and thereby puts itself back
 * into the page, even if it was removed meanwhile.
 *
 * Upstream: no issue known.
 */
export function tooltip_revival(state: State): void {
  const prototype = view_prototype(state, "Tooltip");
  wrap<ViewLike>(state, "tooltip_revival", prototype, "_reposition", (view, call) => {
    return view.is_destroyed ? undefined : call();
  });
}

/**
 * Timers that a removed view leaves running: a plot's messages, tiles, presses of a pointer.
 *
 * Upstream: no issue known.
 */
export function timers(_state: State, view: ViewLike): void {
  const messages: unknown = property(view, "_messages");
  if (messages instanceof Map) {
    for (const timer of messages.values()) {
      clear_timer(timer);
    }
    messages.clear();
  }
  clear_timer(property(view, "prefetch_timer"));
  clear_timer(property(view, "render_timer"));
  const bus: unknown = property(view, "ui_event_bus");
  for (const gestures of [
    property(bus, "ui_gestures"),
    property(view, "_ui_gestures"),
    property(view, "ui_gestures"),
  ]) {
    if (gestures != null) {
      clear_timer(property(gestures, "press_timer"));
      Reflect.set(gestures, "press_timer", null);
    }
  }
}

/**
 * JupyterLab puts its own `ResizeObserver` in the place of the browser's: it delays what it observes
 * while a notebook is scrolled, and a delay that was ever used keeps the observer, and that the callback.
 *
 * Upstream: no issue known (JupyterLab 4.4 and later).
 */
export function resize_observer(_state: State, view: ViewLike): void {
  for (const observer of [property(view, "_resize_observer"), property(view, "_observer")]) {
    if (observer instanceof ResizeObserver && Object.hasOwn(observer, "callback")) {
      Reflect.set(observer, "callback", ignore);
    }
  }
}

function ignore(): void {
  // at module level on purpose: a closure would hold the view again
}

/** Removes a view that may be half built. */
function remove_quietly(state: State, view: ViewLike): void {
  try {
    view.remove();
  } catch {
    // a part that its remove() expects was never built
  }
  if (!view.is_destroyed) {
    remove_half_built(state, view);
  }
}

/** Does what is common to all views when the view's own `remove()` has failed before it. */
export function remove_half_built(state: State, view: ViewLike): void {
  const element: unknown = property(view, "el");
  if (element instanceof Element) {
    element.remove();
  }
  const observer: unknown = property(view, "_resize_observer");
  if (observer instanceof ResizeObserver) {
    observer.disconnect();
  }
  state.view_class.prototype.remove.call(view);
}
