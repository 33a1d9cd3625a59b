/** What BokehJS gives no name for screen readers. */

import { wrap } from "./ledger";
import { optional_module, owner_of, property, view_prototype } from "./reflection";
import type { State, ViewLike } from "./state";

/**
 * The handles of sliders and the buttons of spinners have no name at all, and an input without a title has none: screen
 * readers say nothing but a role and a value. They get that of the title, and where there is none that of the model.
 *
 * Upstream: bokeh#12259.
 */
export function accessible_names(state: State): void {
  const slider = owner_of(view_prototype(state, "Slider"), "_update_title");
  wrap<ViewLike>(state, "accessible_names", slider, "_update_title", (view, call) => {
    const result = call();
    const element = property(view, "slider_el");
    const handles = element instanceof Element ? [...element.querySelectorAll(".noUi-handle")] : [];
    for (const [index, handle] of handles.entries()) {
      const ends = handles.length == 2 ? [" from", " to"] : [];
      handle.setAttribute("aria-label", `${name_of(view)}${ends[index] ?? ""}`);
    }
    return result;
  });
  const input_view = property(optional_module(state.bokeh, "models/widgets/input_widget"), "InputWidgetView");
  wrap<ViewLike>(state, "accessible_names", property(input_view, "prototype"), "render", (view, call) => {
    const result = call();
    const input = property(view, "input_el");
    if (input instanceof Element && property(view.model, "title") == "") {
      input.setAttribute("aria-label", name_of(view));
    }
    for (const [button, name] of Object.entries(BUTTONS)) {
      const element = property(view, button);
      if (element instanceof Element) {
        element.setAttribute("aria-label", name);
      }
    }
    return result;
  });
}

/** Those of a spinner. */
const BUTTONS: Readonly<Record<string, string>> = { btn_up_el: "Increase", btn_down_el: "Decrease" };

function name_of(view: ViewLike): string {
  const { model } = view;
  const texts = ["title", "name", "description", "placeholder"].map((attr) => property(model, attr));
  return texts.find((text): text is string => typeof text == "string" && text != "") ?? model.type;
}
