/** What a place that shows a document looks like while it waits, and when something fails. */

import type { Place } from "./places";

const MAX_NOTICES = 5;

/** A place of the page, with an element for the document and one for what is said of it. */
export function make_place(element: HTMLElement, notices: HTMLElement): Place {
  return {
    element,
    show_notice(level, text) {
      const last = notices.lastElementChild;
      if (last?.textContent == text) {
        return; // a callback that fails ten times a second says so once
      }
      const line = document.createElement("div");
      line.classList.add("bokeh-widget-notice", `bokeh-widget-${level}`);
      line.textContent = text;
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
