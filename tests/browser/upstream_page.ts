/** What test_upstream.py calls in the page: documents opened and closed without any kernel. */

import type { View } from "@bokeh/bokehjs/build/js/lib/core/view";
import type { Document } from "@bokeh/bokehjs/build/js/lib/document/document";
import { type SavedPicture, saved_picture_of } from "../../js/src/fallback";
import { type PictureType, picture_of } from "../../js/src/picture";
import {
  after_patch,
  type BokehRoot,
  type Cause,
  instrument,
  release_document,
  release_view,
} from "../../js/src/upstream";

interface Shown extends View {
  build(target: Element): void;
}

interface Tree {
  readonly views: Shown[];
  readonly place: HTMLElement;
}

interface Opened {
  readonly document: Document;
  readonly trees: (Tree | undefined)[];
}

type Buffers = Record<string, string>;

declare global {
  interface Window {
    Bokeh: BokehRoot;
    upstream: typeof api;
  }
}

const opened = new Map<number, Opened>();
let serial = 0;

function exact(buffers: Buffers): Map<string, ArrayBuffer> {
  const decode = (text: string): ArrayBuffer =>
    Uint8Array.from(atob(text), (character) => character.charCodeAt(0)).buffer;
  return new Map(Object.entries(buffers).map(([id, text]) => [id, decode(text)]));
}

function required<T>(value: T | null | undefined): T {
  if (value === null || value === undefined) {
    throw new Error("the test expects something that is not there");
  }
  return value;
}

/** Every document, model and view that was made since {@link watch}, weakly. */
const made = {
  documents: new Set<WeakRef<object>>(),
  models: new Set<WeakRef<object>>(),
  views: new Set<WeakRef<object>>(),
};

/** Notes what is made from now on: faster to ask than the debugger's `queryObjects`. */
function watch(bokeh: BokehRoot): void {
  const hook = (module: string, name: string, method: string, into: Set<WeakRef<object>>): void => {
    const { prototype } = (bokeh.require(module) as Record<string, { prototype: object }>)[name] as {
      prototype: Record<string, (this: object, ...args: unknown[]) => unknown>;
    };
    const original = required(prototype[method]);
    prototype[method] = function (...args) {
      into.add(new WeakRef(this));
      return original.apply(this, args);
    };
  };
  hook("core/view", "View", "initialize", made.views);
  hook("core/has_props", "HasProps", "initialize", made.models);
  hook("document", "Document", "_push_all_models_freeze", made.documents);
}

async function next_frames(count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    await new Promise((resolve) => requestAnimationFrame(resolve));
  }
}

async function build_tree(document: Document): Promise<Tree> {
  const bokeh = window.Bokeh;
  const { ViewManager } = bokeh.require("core/view_manager") as {
    ViewManager: new (roots: View[], global: unknown) => { build_view(model: unknown): Promise<Shown> };
  };
  const place = window.document.body.appendChild(window.document.createElement("div"));
  const manager = new ViewManager([], bokeh.index);
  const views: Shown[] = [];
  for (const root of document.roots()) {
    const view = await manager.build_view(root);
    view.build(place);
    views.push(view);
  }
  return { views, place };
}

async function close_tree(tree: Tree): Promise<void> {
  for (const view of tree.views) {
    await release_view(view);
  }
  tree.place.remove();
}

const api = {
  /** The objects that the document of a handle consists of, for the scenarios. */
  opened,

  setup(skip: Cause[]): void {
    watch(window.Bokeh);
    instrument(window.Bokeh, { skip: new Set(skip) });
  },

  /** How many documents, models and views are alive; collect garbage before. */
  alive(): [number, number, number] {
    const count = (refs: Set<WeakRef<object>>): number => {
      const objects = new Set<object>();
      for (const ref of refs) {
        const object = ref.deref();
        if (object === undefined) {
          refs.delete(ref);
        } else {
          objects.add(object);
        }
      }
      return objects.size;
    };
    return [count(made.documents), count(made.models), count(made.views)];
  },

  from_json(json: string, buffers: Buffers = {}): number {
    const { Document: DocumentClass } = window.Bokeh.require("document") as {
      Document: { from_json(json: unknown, events: unknown[], buffers: unknown): Document };
    };
    const document = DocumentClass.from_json(JSON.parse(json), [], exact(buffers));
    opened.set(++serial, { document, trees: [] });
    return serial;
  },

  /** Shows a document in one place more. */
  async show(handle: number): Promise<void> {
    const { document, trees } = required(opened.get(handle));
    trees.push(await build_tree(document));
  },

  async open(json: string, view_count = 1, buffers: Buffers = {}): Promise<number> {
    const handle = api.from_json(json, buffers);
    const { document, trees } = required(opened.get(handle));
    for (let i = 0; i < view_count; i++) {
      trees.push(await build_tree(document));
    }
    await next_frames(2);
    return handle;
  },

  view(handle: number, index = 0): Shown {
    return required(required(required(opened.get(handle)).trees[index]).views[0]);
  },

  document(handle: number): Document {
    return required(opened.get(handle)).document;
  },

  async close_view(handle: number, index: number): Promise<void> {
    const { trees } = required(opened.get(handle));
    const tree = required(trees[index]);
    trees[index] = undefined;
    await close_tree(tree);
  },

  async close(handle: number): Promise<void> {
    const { document, trees } = required(opened.get(handle));
    opened.delete(handle);
    for (const tree of trees) {
      if (tree !== undefined) {
        await close_tree(tree);
      }
    }
    release_document(window.Bokeh, document);
  },

  /** Closes what a failed test has left open. */
  async close_all(): Promise<void> {
    for (const handle of [...opened.keys()]) {
      await api.close(handle);
    }
    for (const document of [...window.Bokeh.documents]) {
      release_document(window.Bokeh, document);
    }
  },

  async cycle(json: string, count: number): Promise<void> {
    for (let i = 0; i < count; i++) {
      await api.close(await api.open(json));
    }
  },

  /** Shows the document in one more place and closes that, several times. */
  async come_and_go(handle: number, count: number): Promise<void> {
    for (let i = 0; i < count; i++) {
      const tree = await build_tree(api.document(handle));
      await next_frames(1);
      await close_tree(tree);
    }
  },

  patch(handle: number, patch: string, buffers: Buffers = {}): void {
    const document = api.document(handle);
    document.apply_json_patch(JSON.parse(patch), exact(buffers));
    after_patch(document);
  },

  /** The picture of all roots of the first place. */
  async picture(handle: number, type: PictureType): Promise<object> {
    const { blob, ...rest } = await picture_of(required(required(opened.get(handle)).trees[0]).views, type);
    const bytes = [...new Uint8Array(await blob.arrayBuffer())].map((byte) => String.fromCharCode(byte));
    return { ...rest, data: btoa(bytes.join("")) };
  },

  /** What a notebook is saved with. */
  saved_picture(handle: number): SavedPicture | null {
    return saved_picture_of(required(required(opened.get(handle)).trees[0]).views);
  },

  next_frames,
  instrument,
};

window.upstream = api;
