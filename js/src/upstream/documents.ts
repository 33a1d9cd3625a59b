/** What a closed document, and a living one that is patched, keeps. */

import type { HasProps } from "@bokeh/bokehjs/build/js/lib/core/has_props";
import type { Document } from "@bokeh/bokehjs/build/js/lib/document/document";
import { wrap } from "./ledger";
import { model_prototype, optional_module, property } from "./reflection";
import { type BokehRoot, type Cause, type DocumentInternals, type State, states } from "./state";

/** A document with fewer models than this is not worth an extra pruning. */
const PRUNE_SLACK = 64;

const models_after_pruning = new WeakMap<Document, number>();

/**
 * Frees a document after all of its root views were removed: what BokehJS, its timers and its
 * callbacks hold of it. A patch that arrives later finds a document that does nothing.
 */
export function release_document(bokeh: BokehRoot, document: Document): void {
  const skip: ReadonlySet<Cause> = states.get(bokeh)?.skip ?? new Set();
  const internals = document as unknown as DocumentInternals;
  const models = [...internals.all_models];
  if (!skip.has("interactive_state")) {
    reset_interaction(internals);
  }
  internals._hold_models_freeze = false;
  internals._all_models_freeze_count = 0; // a document that failed to build is still frozen
  document.clear({ sync: false });
  if (!skip.has("web_sources")) {
    destroy_models(models);
  }
  if (!skip.has("recompute_timer")) {
    stop_recomputing(internals);
  }
  if (!skip.has("document_registry")) {
    unlist(bokeh, document);
  }
  internals._callbacks?.clear();
  internals._document_callbacks?.clear();
  internals._message_callbacks?.clear();
  internals._new_models?.clear();
  internals.event_manager?.subscribed_models?.clear();
  delete internals.views_manager;
  models_after_pruning.delete(document);
}

/**
 * Bounds what a document keeps of models that patches took out of it.
 *
 * Models that the patch removed leave `_new_models`, which would hold them until the browser next
 * sends something; and when the document has doubled since it was last pruned it is pruned at
 * once, so that the cost for each patch stays constant on average.
 */
export function after_patch(document: Document): void {
  const internals = document as unknown as DocumentInternals;
  const size = internals._all_models.size;
  const before = models_after_pruning.get(document);
  if (before === undefined) {
    models_after_pruning.set(document, size);
  } else if (size > 2 * before + PRUNE_SLACK) {
    internals._recompute_all_models();
    models_after_pruning.set(document, internals._all_models.size);
  }
  const fresh = internals._new_models;
  if (fresh !== undefined) {
    for (const model of fresh) {
      if (!internals._all_models.has(model.id)) {
        fresh.delete(model);
      }
    }
  }
}

/**
 * A document is listed in `Bokeh.documents` from its construction, for ever; so are the views of
 * its roots in `Bokeh.index` if somebody else has embedded them.
 *
 * Upstream: https://github.com/bokeh/bokeh/issues/5355
 */
function unlist(bokeh: BokehRoot, document: Document): void {
  const position = bokeh.documents.indexOf(document);
  if (position >= 0) {
    bokeh.documents.splice(position, 1);
  }
}

/**
 * A document whose JSON is refused half-way stays listed with what it had built.
 *
 * Upstream: no issue known.
 */
export function failed_document(state: State): void {
  const { bokeh, document_class } = state;
  wrap<object>(state, "failed_document", document_class, "from_json", (_class, call) => {
    const known = new Set(bokeh.documents);
    try {
      return call();
    } catch (error) {
      for (const document of bokeh.documents.filter((document) => !known.has(document))) {
        release_document(bokeh, document);
      }
      throw error;
    }
  });
}

/**
 * After a patch a timer of 30 seconds, which ends in a recomputation, holds the document.
 *
 * Upstream: https://github.com/bokeh/bokeh/issues/15289
 */
function stop_recomputing(document: DocumentInternals): void {
  document._cancel_recompute_all_models?.();
  if (document._recompute_timeout !== undefined) {
    document._recompute_timeout = Number.POSITIVE_INFINITY; // a late patch starts it no more
  }
}

/**
 * The timer starts anew with each patch: in a document that is patched more often than every 30
 * seconds the models that were removed are never detached.
 *
 * Upstream: https://github.com/bokeh/bokeh/issues/15289
 */
export function stale_models(state: State): void {
  wrap<DocumentInternals>(
    state,
    "stale_models",
    state.document_class.prototype,
    "_schedule_recompute_all_models",
    (document, call) => (document._recompute_timer == null ? call() : undefined),
  );
}

/**
 * BokehJS counts the models that came in with a patch as new, and so sends each of them back in
 * full when it next sends something.
 *
 * Upstream: no issue known.
 */
export function received_models(state: State): void {
  let receiving: Set<HasProps> | undefined;
  const prototype = state.document_class.prototype;
  wrap<DocumentInternals>(state, "received_models", prototype, "apply_json_patch", (document, call) => {
    const outer = receiving;
    receiving = document._new_models;
    try {
      return call();
    } finally {
      receiving = outer;
    }
  });
  const module = optional_module(state.bokeh, "core/serialization/deserializer");
  const deserializer: unknown = property(property(module, "Deserializer"), "prototype");
  wrap<object>(state, "received_models", deserializer, "decode", (self, call) => {
    const fresh = receiving;
    const finalize: unknown = property(self, "finalize");
    if (fresh === undefined || typeof finalize != "function") {
      return call();
    }
    receiving = undefined; // what is decoded inside is a part of this
    Reflect.set(self, "finalize", (model: HasProps) => {
      Reflect.apply(finalize, self, [model]);
      fresh.delete(model);
    });
    try {
      return call();
    } finally {
      Reflect.set(self, "finalize", finalize);
    }
  });
}

/**
 * The document remembers the plot that was dragged or scrolled last, and a callback of its view,
 * until the next painting of that plot.
 *
 * Upstream: no issue known.
 */
export function reset_interaction(document: DocumentInternals): void {
  document._interactive_plot = null;
  document._interactive_timestamp = null;
  document._interactive_finalize = null;
}

/**
 * A data source that polls (`AjaxDataSource`) has a destructor that nobody calls, and one that
 * listens (`ServerSentDataSource`) has none: both go on for ever.
 *
 * Upstream: no issue known.
 */
function destroy_models(models: readonly HasProps[]): void {
  for (const model of models) {
    model.destroy();
    const undos: unknown = property(model, EVENT_SOURCES);
    if (Array.isArray(undos)) {
      for (const source of undos as EventSource[]) {
        source.close();
      }
    }
  }
}

const EVENT_SOURCES = Symbol("event sources of a model");

/** Notes the connections that a `ServerSentDataSource` opens; see {@link destroy_models}. */
export function web_sources(state: State): void {
  const model: unknown = model_prototype(state, "ServerSentDataSource");
  wrap<object>(state, "web_sources", model, "setup", (self, call) => {
    const opened: EventSource[] = [];
    const Original = globalThis.EventSource;
    globalThis.EventSource = class extends Original {
      constructor(url: string | URL, init?: EventSourceInit) {
        super(url, init);
        opened.push(this);
      }
    };
    try {
      return call();
    } finally {
      globalThis.EventSource = Original;
      if (opened.length > 0) {
        Reflect.set(self, EVENT_SOURCES, opened);
      }
    }
  });
}
