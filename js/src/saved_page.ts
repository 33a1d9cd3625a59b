/** The page of a plot in a saved notebook: a frame whose page holds the document, made in Python when it is displayed. */

import type { DocumentState } from "./protocol";

const SAVED = "bokeh-widget-saved";

/** What the bundles of BokehJS are called on the CDN: "bokeh-3.9.2.min.js", "bokeh-widgets-3.9.2.min.js". */
const CORE = /\/bokeh(-\d[^/]*\.js)$/;

/**
 * Writes a document into the page that a frame has.
 *
 * @param html what the output has, with the frame.
 * @param root_ids the models that are shown; null for all roots.
 * @returns null if it has no such frame.
 */
export function page_with(html: string, state: DocumentState, root_ids: readonly string[] | null): string | null {
  const parser = new DOMParser();
  const outer = parser.parseFromString(html, "text/html");
  const frame = outer.querySelector("iframe");
  const page = parser.parseFromString(frame?.getAttribute("srcdoc") ?? "", "text/html");
  const saved = page.getElementById(SAVED);
  if (frame === null || saved === null) {
    return null;
  }
  // no tag in a text of the document may end the script
  const text = `{"document":${state.json},"root_ids":${JSON.stringify(root_ids)}}`;
  saved.textContent = text.replaceAll("<", "\\u003c");
  add_bundles(page, state.requires);
  frame.setAttribute("srcdoc", `<!DOCTYPE html>\n${page.documentElement.outerHTML}`);
  return outer.body.innerHTML;
}

/** What was added to the document since may need more of BokehJS. */
function add_bundles(page: Document, requires: readonly string[]): void {
  const sources = [...page.querySelectorAll("script")].map((script) => script.getAttribute("src") ?? "");
  const core = sources.find((source) => CORE.test(source));
  for (const name of requires) {
    if (core === undefined || !/^bokeh-[a-z]+$/.test(name)) {
      continue; // the core itself, or an extension, which only Python can get
    }
    const source = core.replace(CORE, `/${name}$1`);
    if (!sources.includes(source)) {
      const script = page.createElement("script");
      script.src = source;
      page.head.append(script);
    }
  }
}
