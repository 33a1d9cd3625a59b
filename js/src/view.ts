/** One place in the page that shows a document: a tree of BokehJS views for each root. */

import type { HasProps } from "@bokeh/bokehjs/build/js/lib/core/has_props";
import type { View } from "@bokeh/bokehjs/build/js/lib/core/view";
import type { ViewManager } from "@bokeh/bokehjs/build/js/lib/core/view_manager";
import type { Document } from "@bokeh/bokehjs/build/js/lib/document/document";
import type { DocumentEvent } from "@bokeh/bokehjs/build/js/lib/document/events";
import { type BokehRoot, release_view } from "./upstream";

interface Rendered extends View {
  build(target: Element): void;
}

interface Kinded {
  readonly kind?: string;
  readonly attr?: string;
}

/** Sizing modes in which a plot takes the width that its place offers. */
const TAKES_WIDTH = /^(stretch_width|stretch_both|scale_width|scale_both)$/;

const SHOWN = "display: contents";

/** Laid out in the place that the shown one has, and neither seen nor felt. */
const HIDDEN = "position: absolute; inset: 0; z-index: -1; opacity: 0; visibility: hidden; pointer-events: none";

export class DocumentView {
  readonly #document: Document;
  readonly #element: HTMLElement;
  readonly #root_ids: readonly string[] | null;
  readonly #on_error: (error: unknown) => void;
  readonly #manager: ViewManager;
  /** What holds the trees; they are hidden, at their full size, until {@link reveal}. */
  readonly #stage = document.createElement("div");
  #is_hidden: boolean;
  readonly #trees = new Map<HasProps, { view: Rendered | null; place: HTMLElement }>();
  #work: Promise<void> = Promise.resolve();
  #disposed = false;

  /** @param is_hidden builds it unseen over what the element shows: see {@link reveal}. */
  constructor(
    bokeh: BokehRoot,
    document: Document,
    element: HTMLElement,
    root_ids: readonly string[] | null,
    on_error: (error: unknown) => void,
    is_hidden = false,
  ) {
    this.#document = document;
    this.#is_hidden = is_hidden;
    this.#stage.style.cssText = is_hidden ? HIDDEN : SHOWN;
    this.#element = element;
    this.#root_ids = root_ids;
    this.#on_error = on_error;
    const { ViewManager: Manager } = bokeh.require("core/view_manager") as {
      ViewManager: new (roots: View[], global: unknown) => ViewManager;
    };
    this.#manager = new Manager([], bokeh.index);
    this.serve_dialogs();
    document.on_change(this.#on_document_change);
  }

  /** BokehJS's dialogs look their views up in the document; one place of several can serve them. */
  serve_dialogs(): void {
    this.#document.views_manager ??= this.#manager;
  }

  /** The roots of the view trees that are alive. */
  get views(): View[] {
    return [...this.#trees.values()].flatMap(({ view }) => (view === null ? [] : [view]));
  }

  /** Takes the place of what was shown. */
  reveal(): void {
    if (this.#is_hidden && !this.#disposed) {
      this.#is_hidden = false;
      this.#element.style.removeProperty("position");
      this.#stage.style.cssText = SHOWN;
      this.#update_width();
    }
  }

  /** Gives its place to another one; it is to be disposed of. */
  hide(): void {
    this.#stage.style.cssText = "display: none";
  }

  /** Shows what the document holds now; settles when all of it is built. */
  async build(): Promise<void> {
    this.#update();
    await this.#work;
  }

  #shown_models(): HasProps[] {
    if (this.#root_ids === null) {
      return [...this.#document.roots()];
    }
    const found = this.#root_ids.map((id) => this.#document.get_model_by_id(id));
    return found.filter((model): model is HasProps => model !== null);
  }

  readonly #on_document_change = (event: DocumentEvent): void => {
    const { kind, attr } = event as Kinded;
    if (kind == "RootAdded" || kind == "RootRemoved") {
      this.#update();
    } else if (kind == "ModelChanged" && attr == "sizing_mode") {
      this.#update_width();
    }
  };

  /** Brings the view trees in step with the roots, one after the other. */
  #update(): void {
    // a step that failed must not keep later ones from running: the chain never rejects
    this.#work = this.#work.then(() => this.#follow_roots()).catch((error: unknown) => this.#report(error));
  }

  async #follow_roots(): Promise<void> {
    if (this.#disposed) {
      return;
    }
    const shown = this.#shown_models();
    for (const [model, tree] of [...this.#trees]) {
      if (!shown.includes(model)) {
        this.#trees.delete(model);
        await this.#release(tree);
      }
    }
    for (const model of shown) {
      if (!this.#trees.has(model) && !this.#disposed) {
        await this.#show(model);
      }
    }
    this.#update_width();
  }

  /** Never throws, whatever is made of the error. */
  #report(error: unknown): void {
    try {
      this.#on_error(error);
    } catch (failure) {
      console.error("bokeh_widget could not report an error:", failure, error);
    }
  }

  async #show(model: HasProps): Promise<void> {
    const place = document.createElement("div");
    place.style.display = "contents";
    this.#stage.append(place);
    if (this.#stage.parentElement === null) {
      this.#element.append(this.#stage);
      if (this.#is_hidden) {
        this.#element.style.position = "relative";
      }
    }
    const tree: { view: Rendered | null; place: HTMLElement } = { view: null, place };
    this.#trees.set(model, tree);
    try {
      if (model.default_view == null) {
        this.#document.notify_idle(model);
        return;
      }
      const view = (await this.#manager.build_view(model)) as Rendered;
      tree.view = view;
      if (!this.#disposed) {
        view.build(place);
      }
    } catch (error) {
      this.#report(error);
    }
  }

  /** Removes one tree. The view of an extension may throw; the other trees are to go all the same. */
  async #release(tree: { view: Rendered | null; place: HTMLElement }): Promise<void> {
    const { view, place } = tree;
    tree.view = null;
    try {
      if (view !== null) {
        await release_view(view);
      }
    } catch (error) {
      this.#report(error);
    }
    place.remove();
  }

  #update_width(): void {
    if (this.#is_hidden) {
      return; // the one that is shown says that
    }
    const takes_width = this.#shown_models().some((model) => {
      const { sizing_mode } = model as unknown as { sizing_mode?: string | null };
      return typeof sizing_mode == "string" && TAKES_WIDTH.test(sizing_mode);
    });
    this.#element.classList.toggle("bokeh-widget-takes-width", takes_width);
  }

  /** Removes every view; waits for one that is just being built, since half a view cannot go. */
  async dispose(): Promise<void> {
    if (this.#disposed) {
      return;
    }
    this.#disposed = true;
    this.#document.remove_on_change(this.#on_document_change);
    await this.#work;
    for (const tree of this.#trees.values()) {
      await this.#release(tree);
    }
    this.#trees.clear();
    this.#stage.remove();
    if (this.#is_hidden) {
      this.#element.style.removeProperty("position");
    }
    if (this.#document.views_manager === this.#manager) {
      delete this.#document.views_manager;
    }
  }
}
