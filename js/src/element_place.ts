/** What a place that shows a document looks like while it waits, and when something fails. */

import type { OutputRegion } from "./output_region";
import type { Place } from "./places";

const MAX_NOTICES = 5;

const PASSES = "bokeh-widget-passes";

/** A place of the page, with an element for the document, one for what is said of it, and one for its callbacks. */
export function make_place(element: HTMLElement, notices: HTMLElement, output: OutputRegion): Place {
  return {
    element,
    show_output(change) {
      output.show(change);
    },
    retract_notices() {
      for (const line of [...notices.children].filter(({ classList }) => classList.contains(PASSES))) {
        line.remove();
      }
    },
    show_notice(level, text, passes) {
      if (notices.lastElementChild?.firstElementChild?.textContent == text) {
        return; // what fails ten times a second says so once
      }
      const line = document.createElement("div");
      line.classList.add("bokeh-widget-notice", `bokeh-widget-${level}`);
      line.classList.toggle(PASSES, passes);
      const said = document.createElement("span");
      said.textContent = text;
      line.append(said, make_dismiss_button(line));
      notices.append(line);
      while (notices.childElementCount > MAX_NOTICES) {
        notices.firstElementChild?.remove();
      }
    },
    show_progress(part) {
      show_progress(element, part);
    },
    set_busy(busy) {
      if (busy) {
        element.setAttribute("aria-busy", "true");
      } else {
        element.removeAttribute("aria-busy");
      }
    },
  };
}

function make_dismiss_button(line: HTMLElement): HTMLElement {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "×";
  button.title = "Dismiss";
  button.setAttribute("aria-label", "Dismiss");
  button.addEventListener("click", () => line.remove());
  return button;
}

/** A bar and a number in a place that waits; part of the element that the document is built into. */
function show_progress(element: HTMLElement, part: number | null): void {
  const shown = element.querySelector<HTMLElement>(":scope > .bokeh-widget-progress");
  if (part === null) {
    shown?.remove();
    return;
  }
  const line = shown ?? document.createElement("div");
  if (shown === null) {
    const bar = document.createElement("progress");
    bar.max = 1;
    line.classList.add("bokeh-widget-progress");
    line.append(bar, document.createElement("span"));
    element.append(line);
  }
  const [bar, text] = line.children;
  (bar as HTMLProgressElement).value = part;
  (text as HTMLElement).textContent = `Loading the document: ${Math.floor(100 * part)} %`;
}
