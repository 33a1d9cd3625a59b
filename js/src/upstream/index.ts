/**
 * Work-arounds for what BokehJS keeps after a document or a view of it is closed, for names that it does not give, and
 * for what it computes in vain.
 *
 * Each cause has a name ({@link Cause}), one function, and the upstream issue if there is one.
 * `tests/browser/test_upstream.py` proves for each that nothing is left with it and something is
 * left without it: when the second half fails, that work-around can go.
 *
 * A class that an older or newer BokehJS does not have is passed over; what the whole rests on is
 * looked up by {@link essentials} and reported by name when it is missing.
 */

import type { View } from "@bokeh/bokehjs/build/js/lib/core/view";
import { failed_document, received_models, reset_interaction, stale_models, web_sources } from "./documents";
import { math_classes, math_provider, webgl } from "./drawing";
import { in_scope, undo_all, wrap } from "./ledger";
import {
  autocomplete_menu,
  description,
  destroy_choices,
  dialog_drag,
  event_bus,
  fullscreen,
  help_button,
  multi_choice,
  open_menus,
  visual_viewport,
} from "./listeners";
import { accessible_names } from "./names";
import { image_readback, lazy_index } from "./needless";
import { dropped_paintings } from "./painting";
import { entry, optional_module, property, view_classes } from "./reflection";
import { shapes } from "./shapes";
import { derived_glyphs, dirty_signals, event_callbacks, examiner, range_bounds, signals } from "./signals";
import {
  type BokehRoot,
  type Cause,
  type DocumentInternals,
  type InstrumentOptions,
  type State,
  state_of,
  states,
  states_by_view_class,
  type ViewLike,
} from "./state";
import {
  failed_build,
  forgotten_views,
  late_views,
  remove_half_built,
  replaced_views,
  resize_observer,
  timers,
  tooltip_revival,
} from "./views";

export { after_patch, release_document } from "./documents";
export { painted_as_vectors } from "./drawing";
export type { BokehRoot, Cause, InstrumentOptions } from "./state";

/** How long a view may finish what it is doing before it is removed all the same. */
const READY_LIMIT_MS = 2000;

/** With so many children of a view, those that are no more are struck off the list. */
const CHILDREN_PER_SWEEP = 64;

/**
 * Prepares an instance of BokehJS, before any view is built by it.
 *
 * Call it again when a further bundle (widgets, tables, …) or an extension has been loaded: the
 * classes that came with it are prepared, those that were are left alone.
 *
 * @throws Error that names what is missing, if this BokehJS lacks what the work-arounds rest on.
 */
export function instrument(bokeh: BokehRoot, options: InstrumentOptions = {}): void {
  let state = states.get(bokeh);
  if (state === undefined) {
    state = {
      bokeh,
      skip: options.skip ?? new Set(),
      ...essentials(bokeh),
      wrapped: new WeakMap(),
      children: new WeakMap(),
      references: new WeakMap(),
      ledgers: new WeakMap(),
      scope: null,
    };
    states.set(bokeh, state);
    states_by_view_class.set(state.view_class.prototype, state);
    track_views(state);
  }
  scope_views(state);
  const { skip } = state;
  for (const [cause, install] of WORK_AROUNDS) {
    if (!skip.has(cause)) {
      install(state);
    }
  }
}

/**
 * Removes a root view that a `ViewManager` of ours built, with everything it left behind.
 *
 * Waits for what the view is still doing, since half a view cannot be removed whole, but not for
 * ever: what it builds afterwards is removed as it comes.
 */
export async function release_view(view: View): Promise<void> {
  const self = view as unknown as ViewLike;
  await settled(self.ready);
  const document = self.model.document as unknown as DocumentInternals | null;
  const state = state_of(self);
  const skipped = state?.skip.has("interactive_state") ?? false;
  if (document !== null && !skipped && plots_of(self).has(document._interactive_plot)) {
    reset_interaction(document);
  }
  try {
    self.remove();
  } finally {
    if (!self.is_destroyed && state !== undefined) {
      remove_half_built(state, self);
    }
  }
  await Promise.resolve(); // the views that nobody owns are removed in a microtask
}

/** The parts without which nothing here works, or an error that names the missing one. */
function essentials(bokeh: BokehRoot): Pick<State, "view_class" | "signal_class" | "document_class"> {
  const part = (module: string, name: string, ...methods: string[]): unknown => {
    const found = property(optional_module(bokeh, module), name);
    for (const method of methods) {
      const [holder, key] = method.startsWith(".") ? [found, method.slice(1)] : [property(found, "prototype"), method];
      if (typeof property(holder, key) != "function") {
        const label = method.startsWith(".") ? method : `.prototype.${method}`;
        throw new Error(
          `BokehJS ${bokeh.version} is not supported: it has no ${name}${label} (${module}); ` +
            "install a release of bokeh that this version of bokeh_widget names as supported",
        );
      }
    }
    return found;
  };
  const view_class = part("core/view", "View", "initialize", "connect_signals", "remove");
  const signal_class = part("core/signaling", "Signal", "connect", "disconnect", ".disconnect_receiver");
  const document_class = part(
    "document",
    "Document",
    "clear",
    "apply_json_patch",
    "create_json_patch",
    "_recompute_all_models",
    ".from_json",
  );
  part("core/view_manager", "ViewManager", "build_view", "remove");
  if (!Array.isArray(bokeh.documents)) {
    throw new Error(`BokehJS ${bokeh.version} is not supported: it has no list \`documents\``);
  }
  return {
    view_class: view_class as State["view_class"],
    signal_class: signal_class as State["signal_class"],
    document_class: document_class as State["document_class"],
  };
}

/**
 * Knows of each view its children, and undoes a view's ledger when the view is removed.
 *
 * Children are known weakly: one that BokehJS drops, and that nothing else holds, is no leak.
 */
function track_views(state: State): void {
  const { prototype } = state.view_class;
  wrap<ViewLike>(state, "tracking", prototype, "initialize", (view, call) => {
    const { parent } = view;
    if (parent != null) {
      const children = entry(state.children, parent, () => new Set());
      if (children.size % CHILDREN_PER_SWEEP == CHILDREN_PER_SWEEP - 1) {
        for (const child of children) {
          if (child.deref() === undefined) {
            children.delete(child);
          }
        }
      }
      children.add(entry(state.references, view, () => new WeakRef(view)));
    }
    return call();
  });
  wrap<ViewLike>(state, "tracking", prototype, "remove", (view, call) => {
    if (view.is_destroyed) {
      return;
    }
    call();
    const reference = state.references.get(view);
    if (view.parent != null && reference !== undefined) {
      state.children.get(view.parent)?.delete(reference);
    }
    undo_all(state, view);
    for (const [cause, clean] of CLEANERS) {
      if (!state.skip.has(cause)) {
        clean(state, view);
      }
    }
  });
}

/** Knows which view is being set up, of all classes that are registered by now. */
function scope_views(state: State): void {
  for (const prototype of view_classes(state)) {
    for (const method of ["initialize", "connect_signals"]) {
      wrap<ViewLike>(state, "scope", prototype, method, (view, call) =>
        state.scope?.view === view ? call() : in_scope(state, view, null, [], call),
      );
    }
  }
}

/** What is installed into the classes of BokehJS. */
const WORK_AROUNDS: readonly (readonly [Cause, (state: State) => void])[] = [
  ["visual_viewport", visual_viewport],
  ["fullscreen", fullscreen],
  ["description", description],
  ["help_button", help_button],
  ["autocomplete_menu", autocomplete_menu],
  ["dialog_drag", dialog_drag],
  ["multi_choice", multi_choice],
  ["replaced_views", replaced_views],
  ["late_views", late_views],
  ["failed_build", failed_build],
  ["tooltip_revival", tooltip_revival],
  ["signals", signals],
  ["event_callbacks", event_callbacks],
  ["examiner", examiner],
  ["math_provider", math_provider],
  ["math_classes", math_classes],
  ["failed_document", failed_document],
  ["stale_models", stale_models],
  ["received_models", received_models],
  ["web_sources", web_sources],
  ["shapes", shapes],
  ["accessible_names", accessible_names],
  ["dropped_paintings", dropped_paintings],
  ["lazy_index", lazy_index],
  ["image_readback", image_readback],
];

/** What is done for each view that is removed. */
const CLEANERS: readonly (readonly [Cause, (state: State, view: ViewLike) => void])[] = [
  ["multi_choice", destroy_choices],
  ["open_menus", open_menus],
  ["timers", timers],
  ["resize_observer", resize_observer],
  ["event_bus", event_bus],
  ["range_bounds", range_bounds],
  ["derived_glyphs", derived_glyphs],
  ["webgl", webgl],
  ["dirty_signals", dirty_signals],
  ["forgotten_views", forgotten_views],
];

/** Waits for a view to come to rest; a view that never does, or fails, is not waited for. */
async function settled(ready: Promise<unknown> | undefined): Promise<void> {
  if (ready === undefined) {
    return;
  }
  let timer: ReturnType<typeof setTimeout> | undefined;
  const limit = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, READY_LIMIT_MS);
  });
  await Promise.race([ready.then(nothing, nothing), limit]);
  clearTimeout(timer);
}

function nothing(): void {
  // a failure is the concern of whoever awaits the result
}

/** The models of all views in a tree. */
function plots_of(root: ViewLike): ReadonlySet<unknown> {
  const models = new Set<unknown>();
  const views: unknown = property(root, "views");
  const all_views: unknown = property(views, "all_views");
  if (typeof all_views == "function") {
    try {
      for (const view of Reflect.apply(all_views, views, []) as Iterable<ViewLike>) {
        models.add(view.model);
      }
    } catch {
      // half a tree: what was found is what can have been dragged
    }
  }
  return models;
}
