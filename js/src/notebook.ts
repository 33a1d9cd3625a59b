/** Tells nbclassic where the AMD module is; loaded with each of its pages. */

interface Require {
  config(options: { map: Record<string, Record<string, string>> }): void;
}

const { requirejs } = globalThis as unknown as { requirejs?: Require };
requirejs?.config({ map: { "*": { "bokeh-widget": "nbextensions/bokeh-widget/index" } } });

/** nbclassic calls this; everything has been done above. */
export function load_ipython_extension(): void {
  // nothing is left to do
}
