/** Work-arounds for what JupyterLab and ipywidgets keep of closed widgets, one function each. */

import type { WidgetModel } from "@jupyter-widgets/base";

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
