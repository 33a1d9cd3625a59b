/** Listeners that views put on page-global targets and never take off. */

import { in_scope, page_targets, scope_listeners, wrap } from "./ledger";
import { invoke, optional_module, owner_of, property, view_prototype } from "./reflection";
import type { State, ViewLike } from "./state";

/**
 * `PlotView.connect_signals` listens to `visualViewport` with an anonymous function, which keeps
 * the plot, its document and every model for as long as the page lives.
 *
 * Upstream: https://github.com/bokeh/bokeh/issues/15290
 */
export function visual_viewport(state: State): void {
  const plot_view = property(optional_module(state.bokeh, "models/plots/plot_canvas"), "PlotView");
  scope_listeners(state, "visual_viewport", property(plot_view, "prototype"), "connect_signals");
}

/**
 * `FullscreenToolView.initialize` listens to `fullscreenchange` of the page and never stops.
 *
 * Upstream: no issue known.
 */
export function fullscreen(state: State): void {
  scope_listeners(state, "fullscreen", view_prototype(state, "FullscreenTool"), "initialize");
}

/**
 * An input with a tooltip as its description listens to `mousedown` and `blur` of the page, once
 * more with each rendering.
 *
 * Upstream: no issue known.
 */
export function description(state: State): void {
  const prototype = owner_of(view_prototype(state, "TextInput"), "_build_description_el");
  scope_listeners(state, "description", prototype, "_build_description_el");
}

/**
 * `HelpButtonView` listens to `mousedown` and `blur` of the page, once more with each rendering.
 *
 * Upstream: no issue known.
 */
export function help_button(state: State): void {
  for (const method of ["render", "connect_signals"]) {
    // older releases do in connect_signals() what newer ones do in render()
    scope_listeners(state, "help_button", view_prototype(state, "HelpButton"), method);
  }
}

/**
 * `AutocompleteInputView` listens to clicks on the page from the opening of its menu until the
 * user clicks elsewhere, which may be never.
 *
 * Upstream: no issue known.
 */
export function autocomplete_menu(state: State): void {
  scope_listeners(state, "autocomplete_menu", view_prototype(state, "AutocompleteInput"), "_show_menu");
}

/**
 * A dialog that is dragged listens to the page until the pointer is released, which a closed one
 * does not get to know.
 *
 * Upstream: no issue known.
 */
export function dialog_drag(state: State): void {
  wrap<ViewLike>(state, "dialog_drag", view_prototype(state, "Dialog"), "render", (view, call) => {
    const element: unknown = property(view, "el");
    if (!(element instanceof EventTarget)) {
      return call();
    }
    const add = (type: string, listener: EventListener, options?: AddEventListenerOptions): void => {
      const scoped: EventListener = (event) => {
        in_scope(state, view, "dialog_drag", page_targets(), () => listener.call(element, event));
      };
      const handler = type == "pointerdown" ? scoped : listener;
      EventTarget.prototype.addEventListener.call(element, type, handler, options);
    };
    Object.defineProperty(element, "addEventListener", { configurable: true, value: add });
    try {
      return call();
    } finally {
      Reflect.deleteProperty(element, "addEventListener");
    }
  });
}

/**
 * `MultiChoiceView` makes a new choices.js object with each rendering and never destroys one;
 * each listens to the page.
 *
 * Upstream: no issue known.
 */
export function multi_choice(state: State): void {
  wrap<ViewLike>(state, "multi_choice", view_prototype(state, "MultiChoice"), "render", (view, call) => {
    destroy_choices(state, view);
    return call();
  });
}

export function destroy_choices(_state: State, view: ViewLike): void {
  const choices: unknown = property(view, "choice_el");
  if (choices != null) {
    Reflect.set(view, "choice_el", undefined);
    invoke(choices, "destroy");
  }
}

/**
 * A toolbar's overflow menu and the pane of a `PaletteSelect` listen to the page while they are
 * open, and their views do not close them when they are removed.
 *
 * Upstream: no issue known.
 */
export function open_menus(_state: State, view: ViewLike): void {
  for (const name of ["_overflow_menu", "_pane"]) {
    const menu: unknown = property(view, name);
    if (menu != null && property(menu, "_on_mousedown") != null) {
      invoke(menu, "remove");
    }
  }
}

/**
 * A canvas's event bus stops listening to the page where it listens to its own element, and never
 * stops listening to its focus. The browser holds the element that captured the pointer until the
 * pointer does something more, which after a close in the middle of a drag may be never; the
 * element's listeners then hold the document.
 *
 * Upstream: no issue known.
 */
export function event_bus(_state: State, view: ViewLike): void {
  const bus: unknown = property(view, "ui_event_bus");
  const area: unknown = property(bus, "hit_area");
  if (!(area instanceof Element)) {
    return;
  }
  const handlers = { focus: "on_focus", blur: "on_blur", keydown: "on_key_down", keyup: "on_key_up" };
  for (const [type, name] of Object.entries(handlers)) {
    const handler: unknown = property(bus, name);
    if (typeof handler == "function") {
      area.removeEventListener(type, handler as EventListener);
    }
  }
  area.remove(); // or it would hold the elements around it, too
}
