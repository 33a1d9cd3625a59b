/** Whether the page is light or dark: as JupyterLab and Notebook say, elsewhere as the user wants pages to be. */

import type { Scheme } from "./protocol";
import type { BokehRoot } from "./upstream";

const ATTRIBUTE = "data-jp-theme-light";

/** None where there is no such thing, as in a DOM without a window system. */
const dark_query = (): MediaQueryList | undefined => globalThis.matchMedia?.("(prefers-color-scheme: dark)");

export function current_scheme(): Scheme {
  const light = document.body?.getAttribute(ATTRIBUTE) ?? null;
  if (light !== null) {
    return light == "false" ? "dark" : "light";
  }
  return dark_query()?.matches ? "dark" : "light";
}

/** Calls `on_change` when the page has turned light or dark, until `signal` is aborted. */
export function follow_scheme(on_change: (scheme: Scheme) => void, signal: AbortSignal): void {
  let last = current_scheme();
  const look = (): void => {
    const scheme = current_scheme();
    if (scheme != last) {
      last = scheme;
      on_change(scheme);
    }
  };
  const observer = new MutationObserver(look);
  observer.observe(document.body, { attributes: true, attributeFilter: [ATTRIBUTE] });
  dark_query()?.addEventListener("change", look, { signal });
  signal.addEventListener("abort", () => observer.disconnect(), { once: true });
}

/** Values of a theme: those of a class hold for what is derived from it, too. */
export type ThemeAttrs = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

interface ModelClass {
  readonly __name__?: string;
}

/** Builds something in which the values of a theme are the defaults of models, by BokehJS's own themes. */
export function with_theme<T>(bokeh: BokehRoot, attrs: ThemeAttrs | null, build: () => T): T {
  if (attrs === null) {
    return build();
  }
  const { use_theme } = bokeh.require("core/properties") as { use_theme?(theme: object | null): void };
  const get = (model: object, attr: string): unknown => {
    for (let cls: unknown = model.constructor; typeof cls == "function"; cls = Object.getPrototypeOf(cls)) {
      const values = attrs[(cls as ModelClass).__name__ ?? ""];
      if (values !== undefined && Object.hasOwn(values, attr)) {
        return values[attr];
      }
    }
    return undefined;
  };
  use_theme?.({ get });
  try {
    return build();
  } finally {
    use_theme?.(null);
  }
}
