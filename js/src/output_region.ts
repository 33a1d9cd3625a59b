/** The part of a place below the plot that shows what callbacks printed, displayed and raised. */

import type { OutputChange } from "./outputs";
import type { DisplayBlock, ErrorBlock, OutputBlock, StreamBlock } from "./protocol";
import { type Rendered, type Rendermime, render } from "./rendermime";

interface Shown {
  readonly element: HTMLElement;
  rendered: Rendered | null;
}

/** Within so many pixels of its end, what is scrolled follows what comes. */
const AT_END_PX = 8;

export class OutputRegion {
  readonly #element: HTMLElement;
  readonly #body = document.createElement("div");
  readonly #cut = document.createElement("span");
  readonly #rendermime: Rendermime | null;
  readonly #shown = new Map<number, Shown>();

  /**
   * @param element is empty as long as there is nothing to show.
   * @param rendermime renders what is displayed; without one it is shown as text.
   * @param on_clear is called when the user clears it; nothing goes before the kernel says so.
   */
  constructor(element: HTMLElement, rendermime: Rendermime | null, on_clear: () => void) {
    this.#element = element;
    this.#rendermime = rendermime;
    element.classList.add("bokeh-widget-output");
    element.setAttribute("role", "log");
    element.setAttribute("aria-label", "Output of callbacks");
    element.hidden = true;
    const bar = document.createElement("div");
    bar.classList.add("bokeh-widget-output-bar");
    const clear = document.createElement("button");
    clear.type = "button";
    clear.textContent = "Clear";
    clear.title = "Clear the output of callbacks";
    clear.addEventListener("click", on_clear);
    bar.append(this.#cut, clear);
    this.#body.classList.add("bokeh-widget-output-body");
    element.append(bar, this.#body);
  }

  show({ blocks, first, cut }: OutputChange): void {
    const { scrollTop, scrollHeight, clientHeight } = this.#body;
    const is_at_end = scrollHeight - scrollTop - clientHeight <= AT_END_PX;
    for (const [id, { element, rendered }] of [...this.#shown]) {
      if (id < first) {
        rendered?.dispose();
        element.remove();
        this.#shown.delete(id);
      }
    }
    for (const block of blocks) {
      this.#show_block(block);
    }
    this.#cut.textContent = cut == 0 ? "" : `${cut} earlier lines are not kept`;
    this.#element.hidden = this.#shown.size == 0;
    if (is_at_end) {
      this.#body.scrollTop = this.#body.scrollHeight;
    }
  }

  dispose(): void {
    this.show({ blocks: [], first: Number.POSITIVE_INFINITY, cut: 0 });
  }

  #show_block(block: OutputBlock): void {
    const known = this.#shown.get(block.id);
    if (known?.element instanceof HTMLPreElement && block.kind == "stream") {
      known.element.textContent = block.text;
      return;
    }
    if (known?.element instanceof HTMLDetailsElement && block.kind == "error") {
      fill_summary(known.element, block); // it stays open or closed
      return;
    }
    known?.rendered?.dispose();
    const element = block.kind == "stream" ? stream(block) : block.kind == "error" ? error(block) : display();
    const shown: Shown = { element, rendered: null };
    this.#shown.set(block.id, shown);
    if (known === undefined) {
      this.#insert(block.id, element);
    } else {
      known.element.replaceWith(element);
    }
    if (block.kind == "display") {
      this.#render(block, shown);
    }
  }

  /** Puts a block where its number says: messages may come twice, and late. */
  #insert(id: number, element: HTMLElement): void {
    const later = [...this.#shown].filter(([other]) => other > id).sort(([a], [b]) => a - b)[0];
    this.#body.insertBefore(element, later?.[1].element ?? null);
  }

  #render({ data, metadata }: DisplayBlock, shown: Shown): void {
    const rendered = this.#rendermime === null ? null : render(this.#rendermime, data, metadata, shown.element);
    if (rendered === null) {
      const text = data["text/plain"];
      shown.element.append(stream_element(typeof text == "string" ? text : Object.keys(data).join(", ")));
    }
    shown.rendered = rendered;
  }
}

function stream_element(text: string): HTMLPreElement {
  const element = document.createElement("pre");
  element.textContent = text;
  return element;
}

function stream({ name, text }: StreamBlock): HTMLPreElement {
  const element = stream_element(text);
  element.classList.add(name == "stderr" ? "bokeh-widget-stderr" : "bokeh-widget-stdout");
  return element;
}

function display(): HTMLElement {
  const element = document.createElement("div");
  element.classList.add("bokeh-widget-display");
  return element;
}

function error(block: ErrorBlock): HTMLDetailsElement {
  const element = document.createElement("details");
  element.classList.add("bokeh-widget-notice", "bokeh-widget-error");
  element.append(document.createElement("summary"), stream_element(block.detail));
  fill_summary(element, block);
  return element;
}

function fill_summary(element: HTMLDetailsElement, { text, count }: ErrorBlock): void {
  const [summary] = element.children;
  if (summary !== undefined) {
    summary.textContent = count > 1 ? `${text} (${count} times)` : text;
  }
}
