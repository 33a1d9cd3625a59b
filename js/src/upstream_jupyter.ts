/** Work-arounds for what JupyterLab and ipywidgets keep of closed widgets, one function each. */

import type { WidgetModel } from "@jupyter-widgets/base";
import { FALLBACK, WIDGET_VIEW } from "./fallback";

function ignore(): void {
  // at module level on purpose: a closure would hold the model again
}

/**
 * JupyterLab's comm handler never disconnects its slot on the kernel's status, so that the comm,
 * its handlers and through them the model and its last view stay for as long as the kernel.
 * No upstream issue known.
 */
export function release_comm(model: WidgetModel): void {
  model.comm?.on_msg(ignore);
  model.comm?.on_close(ignore);
}

interface Listening {
  _events?: Readonly<Record<string, readonly { readonly callback: unknown }[] | undefined>>;
}

function custom_message_handlers(model: WidgetModel): unknown[] {
  const { _events } = model as unknown as Listening;
  return (_events?.["msg:custom"] ?? []).map(({ callback }) => callback);
}

/**
 * A view of ipywidgets adds a listener for custom messages to its model and never takes it off, so
 * that each closed view lives as long as its model. No upstream issue known.
 *
 * @returns takes off what `initialize` has added.
 */
export function track_message_handlers(model: WidgetModel, initialize: () => void): () => void {
  const before = new Set(custom_message_handlers(model));
  initialize();
  const added = custom_message_handlers(model).filter((callback) => !before.has(callback));
  return () => {
    for (const callback of added) {
      model.off("msg:custom", callback as () => void);
    }
  };
}

interface MimeModel {
  readonly data: Readonly<Record<string, unknown>>;
  readonly metadata: Readonly<Record<string, unknown>>;
}

interface Renderer {
  readonly node: HTMLElement;
  renderModel(model: MimeModel): Promise<void>;
  /** That of a widget is a panel. */
  addWidget?(widget: Renderer): void;
}

/** The part of a notebook's rendermime registry that is used. */
export interface Renderers {
  createRenderer(mime_type: string, ...rest: unknown[]): Renderer;
}

/**
 * Where a saved notebook has a widget without its model, ipywidgets says so, although the output has
 * a picture, a page or a line of text, too. No upstream issue known.
 */
export function show_fallbacks_of_lost_widgets(renderers: Renderers): void {
  const create = renderers.createRenderer.bind(renderers);
  renderers.createRenderer = (mime_type, ...rest) => {
    const renderer = create(mime_type, ...rest);
    if (mime_type == WIDGET_VIEW) {
      const render = renderer.renderModel.bind(renderer);
      renderer.renderModel = async (model) => {
        await render(model);
        if (typeof model.metadata[FALLBACK] != "string" || !says_lost(renderer.node)) {
          return;
        }
        const png = model.data["image/png"];
        if (typeof png == "string") {
          show_picture(renderer.node, png, model.metadata["image/png"]);
          return;
        }
        // by the front end's own renderers, which know whom the user trusts
        const other_type = "text/html" in model.data ? "text/html" : "text/plain";
        const other = create(other_type, ...rest);
        await other.renderModel(model);
        renderer.node.replaceChildren();
        renderer.addWidget?.(other);
      };
    }
    return renderer;
  };
}

function says_lost(node: HTMLElement): boolean {
  return node.textContent?.startsWith("Error displaying widget") ?? false;
}

function show_picture(node: HTMLElement, png: string, size: unknown): void {
  const { width } = (size ?? {}) as { readonly width?: number };
  const picture = document.createElement("img");
  picture.src = `data:image/png;base64,${png}`;
  picture.alt = "Picture of a saved plot";
  picture.title = "Picture of a saved plot. Run the cell to make it live.";
  picture.style.maxWidth = "100%";
  if (width !== undefined) {
    picture.width = width;
  }
  node.replaceChildren(picture);
}
