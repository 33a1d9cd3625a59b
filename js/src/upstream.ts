/**
 * Work-arounds for what BokehJS keeps after a document or a view of it is closed.
 *
 * Each cause has a name ({@link Cause}), one function, and the upstream issue if there is one.
 * `tests/browser/test_upstream.py` proves for each that nothing is left with it and something is
 * left without it: when the second half fails, that work-around can go.
 *
 * A class that an older or newer BokehJS does not have is passed over; what the whole rests on is
 * looked up by {@link essentials} and reported by name when it is missing.
 */

import type { HasProps } from "@bokeh/bokehjs/build/js/lib/core/has_props";
import type { View } from "@bokeh/bokehjs/build/js/lib/core/view";
import type { Document } from "@bokeh/bokehjs/build/js/lib/document/document";

/** The object that `bokeh.min.js` attaches to its root. */
export interface BokehRoot {
  readonly version: string;
  readonly documents: Document[];
  readonly index: unknown;
  readonly Models: unknown;
  readonly embed: unknown;
  require(name: string): unknown;
}

/** The names of the work-arounds; a test passes some of them to switch them off. */
export type Cause =
  | "autocomplete_menu"
  | "derived_glyphs"
  | "description"
  | "dialog_drag"
  | "dirty_signals"
  | "document_registry"
  | "event_callbacks"
  | "examiner"
  | "failed_build"
  | "failed_document"
  | "forgotten_views"
  | "fullscreen"
  | "help_button"
  | "interactive_state"
  | "late_views"
  | "math_classes"
  | "math_provider"
  | "multi_choice"
  | "open_menus"
  | "range_bounds"
  | "received_models"
  | "recompute_timer"
  | "replaced_views"
  | "signals"
  | "stale_models"
  | "timers"
  | "tooltip_revival"
  | "visual_viewport"
  | "web_sources"
  | "webgl";

export interface InstrumentOptions {
  /** Work-arounds to leave out: for tests that prove that they are still needed. */
  readonly skip?: ReadonlySet<Cause>;
}

type Undo = () => void;

/** What of a view is touched here; most of it is private to BokehJS. */
interface ViewLike {
  readonly model: HasProps;
  readonly parent: ViewLike | null;
  readonly root: ViewLike;
  readonly owner: object;
  readonly is_destroyed: boolean;
  readonly ready?: Promise<unknown>;
  remove(): void;
}

interface SignalLike {
  connect(slot: object, context?: object | null): boolean;
  disconnect(slot: object, context?: object | null): boolean;
}

interface SignalStatics {
  readonly prototype: SignalLike;
  disconnect_receiver(receiver: object): void;
}

/** The private half of a BokehJS document; what a release does not have is undefined. */
interface DocumentInternals {
  readonly all_models: Iterable<HasProps>;
  readonly event_manager?: { readonly subscribed_models?: Set<unknown> };
  _all_models: Map<string, HasProps>;
  _all_models_freeze_count: number;
  _callbacks?: Map<unknown, unknown>;
  _document_callbacks?: Map<unknown, unknown>;
  _hold_models_freeze?: boolean;
  _interactive_finalize?: unknown;
  _interactive_plot: unknown;
  _interactive_timestamp: number | null;
  _message_callbacks?: Map<unknown, unknown>;
  _new_models?: Set<HasProps>;
  _recompute_timeout?: number;
  _recompute_timer?: number | null;
  views_manager?: unknown;
  _cancel_recompute_all_models?(): void;
  _recompute_all_models(): void;
}

/** The listeners and connections that one view made and BokehJS does not undo. */
type Ledger = Map<string, Undo[]>;

interface Scope {
  readonly view: ViewLike;
  readonly undos: Undo[];
}

/** What is known about one instance of BokehJS. */
interface State {
  readonly bokeh: BokehRoot;
  readonly skip: ReadonlySet<Cause>;
  readonly view_class: { readonly prototype: ViewLike };
  readonly signal_class: SignalStatics;
  readonly document_class: { readonly prototype: object };
  readonly wrapped: WeakMap<object, Set<string>>;
  readonly children: WeakMap<ViewLike, Set<WeakRef<ViewLike>>>;
  readonly references: WeakMap<ViewLike, WeakRef<ViewLike>>;
  readonly ledgers: WeakMap<ViewLike, Ledger>;
  scope: Scope | null;
}

/** How long a view may finish what it is doing before it is removed all the same. */
const READY_LIMIT_MS = 2000;

/** A document with fewer models than this is not worth an extra pruning. */
const PRUNE_SLACK = 64;

/** With so many children of a view, those that are no more are struck off the list. */
const CHILDREN_PER_SWEEP = 64;

const states = new WeakMap<BokehRoot, State>();
const states_by_view_class = new WeakMap<object, State>();
const models_after_pruning = new WeakMap<Document, number>();

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

// ---------------------------------------------------------------------------------------------
// What everything rests on

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

// ---------------------------------------------------------------------------------------------
// Listeners on page-global targets

/**
 * `PlotView.connect_signals` listens to `visualViewport` with an anonymous function, which keeps
 * the plot, its document and every model for as long as the page lives.
 *
 * Upstream: https://github.com/bokeh/bokeh/issues/15290
 */
function visual_viewport(state: State): void {
  const plot_view = property(optional_module(state.bokeh, "models/plots/plot_canvas"), "PlotView");
  scope_listeners(state, "visual_viewport", property(plot_view, "prototype"), "connect_signals");
}

/**
 * `FullscreenToolView.initialize` listens to `fullscreenchange` of the page and never stops.
 *
 * Upstream: no issue known.
 */
function fullscreen(state: State): void {
  scope_listeners(state, "fullscreen", view_prototype(state, "FullscreenTool"), "initialize");
}

/**
 * An input with a tooltip as its description listens to `mousedown` and `blur` of the page, once
 * more with each rendering.
 *
 * Upstream: no issue known.
 */
function description(state: State): void {
  const prototype = owner_of(view_prototype(state, "TextInput"), "_build_description_el");
  scope_listeners(state, "description", prototype, "_build_description_el");
}

/**
 * `HelpButtonView` listens to `mousedown` and `blur` of the page, once more with each rendering.
 *
 * Upstream: no issue known.
 */
function help_button(state: State): void {
  for (const method of ["render", "connect_signals"]) {
    // older releases do in connect_signals() what newer ones do in render()
    scope_listeners(state, "help_button", view_prototype(state, "HelpButton"), method);
  }
}

/**
 * `AutocompleteInputView` listens to clicks on the page from the opening of its menu until the
 * user clicks elsewhere, which may be never.
 *
 * Upstream: no issue known.
 */
function autocomplete_menu(state: State): void {
  scope_listeners(state, "autocomplete_menu", view_prototype(state, "AutocompleteInput"), "_show_menu");
}

/**
 * A dialog that is dragged listens to the page until the pointer is released, which a closed one
 * does not get to know.
 *
 * Upstream: no issue known.
 */
function dialog_drag(state: State): void {
  wrap<ViewLike>(state, "dialog_drag", view_prototype(state, "Dialog"), "render", (view, call) => {
    const element: unknown = property(view, "el");
    if (!(element instanceof EventTarget)) {
      return call();
    }
    const add = (type: string, listener: EventListener, options?: AddEventListenerOptions): void => {
      const scoped: EventListener = (event) => {
        in_scope(state, view, "dialog_drag", page_targets(), () => listener.call(element, event));
      };
      const handler = type == "pointerdown" ? scoped : listener;
      EventTarget.prototype.addEventListener.call(element, type, handler, options);
    };
    Object.defineProperty(element, "addEventListener", { configurable: true, value: add });
    try {
      return call();
    } finally {
      Reflect.deleteProperty(element, "addEventListener");
    }
  });
}

/**
 * `MultiChoiceView` makes a new choices.js object with each rendering and never destroys one;
 * each listens to the page.
 *
 * Upstream: no issue known.
 */
function multi_choice(state: State): void {
  wrap<ViewLike>(state, "multi_choice", view_prototype(state, "MultiChoice"), "render", (view, call) => {
    destroy_choices(state, view);
    return call();
  });
}

function destroy_choices(_state: State, view: ViewLike): void {
  const choices: unknown = property(view, "choice_el");
  if (choices != null) {
    Reflect.set(view, "choice_el", undefined);
    invoke(choices, "destroy");
  }
}

/**
 * A toolbar's overflow menu and the pane of a `PaletteSelect` listen to the page while they are
 * open, and their views do not close them when they are removed.
 *
 * Upstream: no issue known.
 */
function open_menus(_state: State, view: ViewLike): void {
  for (const name of ["_overflow_menu", "_pane"]) {
    const menu: unknown = property(view, name);
    if (menu != null && property(menu, "_on_mousedown") != null) {
      invoke(menu, "remove");
    }
  }
}

// ---------------------------------------------------------------------------------------------
// Views

/**
 * Views that their parent builds and does not remove: a dropdown's menu, the dialog of an
 * `ExamineTool`, … A view whose parent is gone is removed, too.
 *
 * Upstream: https://github.com/bokeh/bokeh/issues/15048
 */
function forgotten_views(state: State, view: ViewLike): void {
  const children = state.children.get(view);
  if (children !== undefined && children.size > 0) {
    // later: a parent that removes its children after itself comes first
    queueMicrotask(() => {
      for (const reference of [...children]) {
        const child = reference.deref();
        if (child !== undefined) {
          remove_quietly(state, child);
        }
      }
    });
  }
}

/**
 * When `title`, `description` or `menu` changes, an input and a dropdown build a new view for it
 * and forget the old one.
 *
 * Upstream: https://github.com/bokeh/bokeh/issues/15319
 */
function replaced_views(state: State): void {
  const input = view_prototype(state, "TextInput");
  const parts = [
    [owner_of(input, "_build_title"), "_build_title", "title"],
    [owner_of(input, "_build_description"), "_build_description", "description"],
    [view_prototype(state, "Dropdown"), "_build_menu", "menu"],
  ] as const;
  for (const [prototype, method, field] of parts) {
    wrap<ViewLike>(state, "replaced_views", prototype, method, async (view, call) => {
      const old: unknown = property(view, field);
      await call();
      if (old !== property(view, field) && is_view(state, old)) {
        remove_quietly(state, old);
      }
    });
  }
}

/**
 * A view that is removed while it builds a part of itself gets that part afterwards: nobody
 * removes it, or it was removed before it connected.
 *
 * Upstream: https://github.com/bokeh/bokeh/issues/15358
 */
function late_views(state: State): void {
  wrap<ViewLike>(state, "late_views", state.view_class.prototype, "connect_signals", (view, call) => {
    const result = call();
    if (view.is_destroyed || view.parent?.is_destroyed === true || view.root.is_destroyed) {
      queueMicrotask(() => {
        remove_quietly(state, view);
        state.signal_class.disconnect_receiver(view);
        undo_all(state, view);
      });
    }
    return result;
  });
}

/**
 * When building a view fails, the parts that were built stay connected to their models.
 *
 * Upstream: no issue known.
 */
function failed_build(state: State): void {
  const manager = property(optional_module(state.bokeh, "core/view_manager"), "ViewManager");
  const roots = new WeakMap<object, Set<ViewLike>>();
  const { prototype } = state.view_class;
  wrap<ViewLike>(state, "failed_build", prototype, "initialize", (view, call) => {
    if (view.parent == null) {
      roots.get(view.owner)?.add(view);
    }
    return call();
  });
  wrap<object>(state, "failed_build", property(manager, "prototype"), "build_view", async (self, call, [model]) => {
    const begun = entry(roots, self, () => new Set<ViewLike>());
    const mine = (): ViewLike[] => [...begun].filter((view) => view.model === model);
    try {
      return await call();
    } catch (error) {
      for (const view of mine()) {
        remove_quietly(state, view);
      }
      throw error;
    } finally {
      for (const view of mine()) {
        begun.delete(view);
      }
    }
  });
}

/**
 * A tooltip that is scrolled repositions itself in the next frame, and thereby puts itself back
 * into the page, even if it was removed meanwhile.
 *
 * Upstream: no issue known.
 */
function tooltip_revival(state: State): void {
  const prototype = view_prototype(state, "Tooltip");
  wrap<ViewLike>(state, "tooltip_revival", prototype, "_reposition", (view, call) => {
    return view.is_destroyed ? undefined : call();
  });
}

/**
 * Timers that a removed view leaves running: a plot's messages, tiles, presses of a pointer.
 *
 * Upstream: no issue known.
 */
function timers(_state: State, view: ViewLike): void {
  const messages: unknown = property(view, "_messages");
  if (messages instanceof Map) {
    for (const timer of messages.values()) {
      clear_timer(timer);
    }
    messages.clear();
  }
  clear_timer(property(view, "prefetch_timer"));
  clear_timer(property(view, "render_timer"));
  const bus: unknown = property(view, "ui_event_bus");
  for (const gestures of [
    property(bus, "ui_gestures"),
    property(view, "_ui_gestures"),
    property(view, "ui_gestures"),
  ]) {
    if (gestures != null) {
      clear_timer(property(gestures, "press_timer"));
      Reflect.set(gestures, "press_timer", null);
    }
  }
}

// ---------------------------------------------------------------------------------------------
// Signals, and other things by which a living model holds a removed view

/**
 * `Signal.connect(slot)` without a receiver is never undone: visuals, plots, range and selection
 * tools connect to their models so, and a model that lives on holds the removed view.
 *
 * Upstream: no issue known.
 */
function signals(state: State): void {
  const prototype = state.signal_class.prototype;
  wrap<SignalLike>(state, "signals", prototype, "connect", (signal, call, [slot, context]) => {
    const connected = call();
    const { scope } = state;
    if (connected === true && context == null && scope !== null && is_object(slot)) {
      scope.undos.push(() => signal.disconnect(slot));
    }
    return connected;
  });
}

/**
 * `FileInputView` adds an event callback to its model and never takes it off.
 *
 * Upstream: no issue known.
 */
function event_callbacks(state: State): void {
  const model: unknown = property(property(optional_module(state.bokeh, "model"), "Model"), "prototype");
  wrap<object>(state, "event_callbacks", model, "on_event", (self, call, [, callback]) => {
    call();
    state.scope?.undos.push(() => {
      const all: unknown = property(self, "js_event_callbacks");
      const entries = all instanceof Map ? [...all] : Object.entries(is_object(all) ? all : {});
      for (const [event, callbacks] of entries as [string, unknown[]][]) {
        const others = callbacks.filter((other) => other !== callback);
        if (all instanceof Map) {
          all.set(event, others);
        } else {
          Reflect.set(all as object, event, others);
        }
      }
    });
  });
}

/**
 * `Signal.disconnect_receiver` stops at the first connection that something else has cut in the
 * same task; the others stay. A second pass, after BokehJS has dropped the cut ones, finds them.
 *
 * Upstream: no issue known.
 */
function dirty_signals(state: State, view: ViewLike): void {
  const defer: unknown = property(optional_module(state.bokeh, "core/util/defer"), "defer");
  if (typeof defer == "function") {
    const later: unknown = Reflect.apply(defer, undefined, []);
    void Promise.resolve(later).then(() => state.signal_class.disconnect_receiver(view));
  }
}

/**
 * `DataRange1d` remembers the bounds of each plot view that it served, and counts the removed
 * ones in.
 *
 * Upstream: no issue known.
 */
function range_bounds(_state: State, view: ViewLike): void {
  const ranges: unknown = property(property(view, "_range_manager"), "ranges");
  if (typeof ranges != "function") {
    return;
  }
  const { x_ranges, y_ranges } = Reflect.apply(ranges, property(view, "_range_manager"), []) as {
    x_ranges: Iterable<object>;
    y_ranges: Iterable<object>;
  };
  for (const range of [...x_ranges, ...y_ranges]) {
    for (const name of ["_plot_bounds", "plots"]) {
      const served: unknown = property(range, name);
      if (served instanceof Map || served instanceof Set) {
        served.delete(view);
      }
    }
  }
}

/**
 * A glyph renderer makes up the glyphs for its other states. They connect to what they share with
 * the real one (mappers, transforms, …), which then holds them.
 *
 * Upstream: no issue known.
 */
function derived_glyphs(_state: State, view: ViewLike): void {
  const names = ["glyph", "selection_glyph", "nonselection_glyph", "hover_glyph", "muted_glyph"];
  if (property(view, "decimated_glyph") == null) {
    return;
  }
  const real = new Set(names.map((name) => property(view.model, name)));
  for (const name of [...names, "decimated_glyph"]) {
    const model: unknown = property(property(view, name), "model");
    if (model != null && !real.has(model)) {
      invoke(model, "destroy");
    }
  }
}

/**
 * The components inside an `Examiner` listen to BokehJS's diagnostics and are never unmounted. A
 * component holds its listener, so diagnostics need not hold it, too.
 *
 * Upstream: no issue known.
 */
function examiner(state: State): void {
  const diagnostics: unknown = property(optional_module(state.bokeh, "core/diagnostics"), "diagnostics");
  const listeners: unknown = property(diagnostics, "listeners");
  if (!(listeners instanceof Set) || !is_object(diagnostics)) {
    return;
  }
  type Listener = (subject: unknown) => void;
  const proxies = new WeakMap<Listener, Listener>();
  const dead = new FinalizationRegistry<Listener>((proxy) => listeners.delete(proxy));
  const prototype: unknown = Object.getPrototypeOf(diagnostics);
  wrap<object>(state, "examiner", prototype, "connect", (_self, _call, [listener]) => {
    const held = new WeakRef(listener as Listener);
    const proxy: Listener = (subject) => held.deref()?.(subject);
    proxies.set(listener as Listener, proxy);
    dead.register(listener as Listener, proxy);
    listeners.add(proxy);
  });
  wrap<object>(state, "examiner", prototype, "disconnect", (_self, _call, [listener]) => {
    listeners.delete(proxies.get(listener as Listener));
  });
}

// ---------------------------------------------------------------------------------------------
// WebGL and MathJax

/**
 * The buffers and textures of a glyph that is drawn with WebGL live in a context that the whole
 * page shares, until someone frees them: nobody does. The context itself, one per page, stays.
 *
 * Upstream: no issue known.
 */
function webgl(_state: State, view: ViewLike): void {
  const glyph: unknown = property(view, "glglyph");
  if (!is_object(glyph)) {
    return;
  }
  Reflect.set(view, "glglyph", undefined);
  for (const [name, value] of Object.entries(glyph)) {
    for (const part of Array.isArray(value) ? (value as unknown[]) : [value]) {
      if (!is_object(part)) {
        continue;
      }
      if (property(part, "regl_wrapper") != null) {
        const buffer: unknown = property(part, "buffer");
        if (buffer != null) {
          Reflect.set(part, "buffer", undefined);
          invoke(buffer, "destroy");
        }
      } else if (name == "_tex") {
        invoke(part, "destroy"); // not those of dashes: they are a cache that glyphs share
      }
    }
  }
}

/**
 * Math text that is drawn before MathJax has loaded waits on the page-wide `ready` signal of its
 * provider, once more with each painting, and never leaves it.
 *
 * Upstream: no issue known.
 */
function math_provider(state: State): void {
  for (const name of ["Div", "TeX"]) {
    const prototype = owner_of(view_prototype(state, name), "provider");
    if (!is_object(prototype) || !first_time(state, prototype, "math_provider")) {
      continue;
    }
    const getter = Object.getOwnPropertyDescriptor(prototype, "provider")?.get;
    if (getter === undefined) {
      continue;
    }
    const facades = new WeakMap<ViewLike, object>();
    Object.defineProperty(prototype, "provider", {
      configurable: true,
      get(this: ViewLike): unknown {
        const provider: unknown = getter.call(this);
        return is_object(provider) ? entry(facades, this, () => provider_of_view(state, this, provider)) : provider;
      },
    });
  }
}

/** The provider as one view sees it: waiting for it ends with the view. */
function provider_of_view(state: State, view: ViewLike, provider: object): object {
  const connect = (slot: () => void): boolean => {
    const ready = property(provider, "ready") as SignalLike;
    const undos = entry(ledger_of(state, view), "math_provider", () => []);
    if (undos.length > 0 || view.is_destroyed) {
      return false; // it waits already
    }
    const once = (): void => {
      ready.disconnect(once);
      slot();
    };
    undos.push(() => ready.disconnect(once));
    return ready.connect(once);
  };
  const ready = { connect };
  return new Proxy(provider, {
    get(target, name) {
      if (name == "ready") {
        return ready;
      }
      const value: unknown = Reflect.get(target, name, target);
      return typeof value == "function" ? (value.bind(target) as unknown) : value;
    },
    set: (target, name, value) => Reflect.set(target, name, value, target),
  });
}

/**
 * Each formula registers a class of its own for tags with MathJax, for ever, and derives it from
 * that of the formula before: some 55 kB each. The class is replaced by the common base when the
 * formula has been typeset, its name goes after the next one, which begins by looking it up.
 *
 * Upstream: https://github.com/mathjax/MathJax/issues/3591
 */
function math_classes(state: State): void {
  const providers = optional_module(state.bokeh, "models/text/providers");
  const table = new Set<Map<unknown, unknown>>();
  for (const name of ["BundleProvider", "CDNProvider"]) {
    const prototype: unknown = property(property(providers, name), "prototype");
    if (!is_object(prototype) || !first_time(state, prototype, "math_classes")) {
      continue;
    }
    const getter = Object.getOwnPropertyDescriptor(prototype, "MathJax")?.get;
    if (getter === undefined) {
      continue;
    }
    const cleaned = new WeakMap<object, object>();
    Object.defineProperty(prototype, "MathJax", {
      configurable: true,
      get(this: object): unknown {
        const mathjax: unknown = getter.call(this);
        return is_object(mathjax) ? entry(cleaned, mathjax, () => clean_mathjax(mathjax, table)) : mathjax;
      },
    });
  }
}

/** MathJax whose `tex2svg` takes back what it has registered for one formula. */
function clean_mathjax(mathjax: object, tables: Set<Map<unknown, unknown>>): object {
  const tex2svg: unknown = property(mathjax, "tex2svg");
  if (typeof tex2svg != "function") {
    return mathjax;
  }
  const clean = (...args: unknown[]): unknown => {
    const undo = tables.size == 0 ? find_tag_tables(tables) : undefined;
    const before = [...tables].map((table) => [table, [...table.keys()]] as const);
    try {
      return Reflect.apply(tex2svg, mathjax, args);
    } finally {
      undo?.();
      for (const [table, names] of before) {
        for (const name of names.filter(is_formula_tag)) {
          table.delete(name);
        }
      }
      for (const table of tables) {
        for (const name of [...table.keys()].filter(is_formula_tag)) {
          table.set(name, table.get("none")); // what it derives from, as do all others
        }
      }
    }
  };
  return new Proxy(Object.create(mathjax) as object, {
    get: (_target, name) => (name == "tex2svg" ? clean : (Reflect.get(mathjax, name) as unknown)),
  });
}

function is_formula_tag(name: unknown): boolean {
  return typeof name == "string" && /^(configTags|MathtoolsTags)-\d+$/.test(name);
}

/**
 * Notes the tables in which MathJax registers tags. They are private to it, so the first formula,
 * which is typeset synchronously, is watched doing so.
 */
function find_tag_tables(tables: Set<Map<unknown, unknown>>): Undo {
  const set = Map.prototype.set;
  Map.prototype.set = function (this: Map<unknown, unknown>, name: unknown, value: unknown) {
    if (is_formula_tag(name)) {
      tables.add(this);
    }
    return set.call(this, name, value);
  };
  return () => {
    Map.prototype.set = set;
  };
}

// ---------------------------------------------------------------------------------------------
// Documents

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
function failed_document(state: State): void {
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
function stale_models(state: State): void {
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
function received_models(state: State): void {
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
function reset_interaction(document: DocumentInternals): void {
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
function web_sources(state: State): void {
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

// ---------------------------------------------------------------------------------------------
// The lists of both kinds of work-arounds

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
];

/** What is done for each view that is removed. */
const CLEANERS: readonly (readonly [Cause, (state: State, view: ViewLike) => void])[] = [
  ["multi_choice", destroy_choices],
  ["open_menus", open_menus],
  ["timers", timers],
  ["range_bounds", range_bounds],
  ["derived_glyphs", derived_glyphs],
  ["webgl", webgl],
  ["dirty_signals", dirty_signals],
  ["forgotten_views", forgotten_views],
];

// ---------------------------------------------------------------------------------------------
// Helpers

/** Wraps a method that the class itself defines, once for each cause. */
function wrap<Self extends object>(
  state: State,
  cause: string,
  holder: unknown,
  name: string,
  around: (self: Self, call: () => unknown, args: readonly unknown[]) => unknown,
): void {
  if (!is_object(holder) || !Object.hasOwn(holder, name)) {
    return;
  }
  const original: unknown = Reflect.get(holder, name);
  if (typeof original != "function" || !first_time(state, holder, `${cause} ${name}`)) {
    return;
  }
  Object.defineProperty(holder, name, {
    configurable: true,
    writable: true,
    value: function (this: Self, ...args: unknown[]): unknown {
      return around(this, () => Reflect.apply(original, this, args) as unknown, args);
    },
  });
}

function first_time(state: State, holder: object, what: string): boolean {
  const done = entry(state.wrapped, holder, () => new Set<string>());
  return !done.has(what) && done.add(what) !== undefined;
}

/** Books the listeners that a method of a view puts on page-global targets on that view. */
function scope_listeners(state: State, cause: Cause, prototype: unknown, method: string): void {
  wrap<ViewLike>(state, cause, prototype, method, (view, call) =>
    in_scope(state, view, `${cause} ${method}`, page_targets(), call),
  );
}

function page_targets(): EventTarget[] {
  const targets = [window, document, document.documentElement, document.body, window.visualViewport];
  return targets.filter((target) => target !== null);
}

/**
 * Runs code of a view and books what it connects.
 *
 * @param key of work that is done repeatedly: what it booked the last time is undone first.
 */
function in_scope(
  state: State,
  view: ViewLike,
  key: string | null,
  targets: readonly EventTarget[],
  run: () => unknown,
): unknown {
  const undos: Undo[] = [];
  const ledger = ledger_of(state, view);
  if (key !== null) {
    undo(ledger, key);
  }
  const outer = state.scope;
  state.scope = { view, undos };
  const restore = targets.map((target) => intercept(target, undos));
  try {
    return run();
  } finally {
    for (const put_back of restore.reverse()) {
      put_back();
    }
    state.scope = outer;
    if (view.is_destroyed) {
      for (const off of undos) {
        off();
      }
    } else if (undos.length > 0) {
      entry(ledger, key ?? "", () => []).push(...undos);
    }
  }
}

/** Books each listener that is added to a target until the returned function is called. */
function intercept(target: EventTarget, undos: Undo[]): Undo {
  const own = Object.getOwnPropertyDescriptor(target, "addEventListener");
  const add = target.addEventListener;
  Object.defineProperty(target, "addEventListener", {
    configurable: true,
    writable: true,
    value: (...args: Parameters<EventTarget["addEventListener"]>): void => {
      add.apply(target, args);
      undos.push(() => target.removeEventListener(...args));
    },
  });
  return () => {
    if (own === undefined) {
      Reflect.deleteProperty(target, "addEventListener");
    } else {
      Object.defineProperty(target, "addEventListener", own);
    }
  };
}

function ledger_of(state: State, view: ViewLike): Ledger {
  return entry(state.ledgers, view, () => new Map<string, Undo[]>());
}

function undo(ledger: Ledger, key: string): void {
  const undos = ledger.get(key) ?? [];
  ledger.delete(key);
  for (const off of undos) {
    off();
  }
}

function undo_all(state: State, view: ViewLike): void {
  const ledger = state.ledgers.get(view);
  for (const key of [...(ledger?.keys() ?? [])]) {
    undo(ledger as Ledger, key);
  }
}

/** Removes a view that may be half built. */
function remove_quietly(state: State, view: ViewLike): void {
  try {
    view.remove();
  } catch {
    // a part that its remove() expects was never built
  }
  if (!view.is_destroyed) {
    remove_half_built(state, view);
  }
}

/** Does what is common to all views when the view's own `remove()` has failed before it. */
function remove_half_built(state: State, view: ViewLike): void {
  const element: unknown = property(view, "el");
  if (element instanceof Element) {
    element.remove();
  }
  const observer: unknown = property(view, "_resize_observer");
  if (observer instanceof ResizeObserver) {
    observer.disconnect();
  }
  state.view_class.prototype.remove.call(view);
}

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

function state_of(view: ViewLike): State | undefined {
  let prototype: unknown = Object.getPrototypeOf(view);
  while (is_object(prototype)) {
    const state = states_by_view_class.get(prototype);
    if (state !== undefined) {
      return state;
    }
    prototype = Object.getPrototypeOf(prototype);
  }
  return undefined;
}

/** The prototypes of all view classes that the registered models name, each once. */
function* view_classes(state: State): Generator<object> {
  const names: unknown = property(state.bokeh.Models, "names");
  const seen = new Set<object>();
  for (const name of Array.isArray(names) ? (names as string[]) : []) {
    let prototype: unknown = view_prototype(state, name);
    while (is_object(prototype) && prototype !== Object.prototype && !seen.has(prototype)) {
      seen.add(prototype);
      yield prototype;
      prototype = Object.getPrototypeOf(prototype);
    }
  }
}

function model_prototype(state: State, name: string): unknown {
  const get: unknown = property(state.bokeh.Models, "get");
  return typeof get == "function" ? property(Reflect.apply(get, state.bokeh.Models, [name]), "prototype") : undefined;
}

function view_prototype(state: State, model: string): unknown {
  return property(property(model_prototype(state, model), "default_view"), "prototype");
}

/** The prototype in a chain that itself has the property. */
function owner_of(prototype: unknown, name: string): unknown {
  let owner = prototype;
  while (is_object(owner) && !Object.hasOwn(owner, name)) {
    owner = Object.getPrototypeOf(owner);
  }
  return owner;
}

function is_view(state: State, value: unknown): value is ViewLike {
  return is_object(value) && Object.prototype.isPrototypeOf.call(state.view_class.prototype, value);
}

function is_object(value: unknown): value is object {
  return (typeof value == "object" && value !== null) || typeof value == "function";
}

function property(holder: unknown, name: string | symbol): unknown {
  return is_object(holder) ? (Reflect.get(holder, name) as unknown) : undefined;
}

function invoke(holder: unknown, method: string): void {
  const found: unknown = property(holder, method);
  if (typeof found == "function") {
    Reflect.apply(found, holder, []);
  }
}

function clear_timer(timer: unknown): void {
  if (typeof timer == "number") {
    clearTimeout(timer);
  }
}

/** A module of BokehJS, or undefined if this release has none of that name. */
function optional_module(bokeh: BokehRoot, name: string): unknown {
  try {
    return bokeh.require(name);
  } catch {
    return undefined;
  }
}

/** The value of a key, made when it is missing. */
function entry<Key extends object | string, Value>(
  map: { get(key: Key): Value | undefined; set(key: Key, value: Value): unknown },
  key: Key,
  make: () => Value,
): Value {
  let value = map.get(key);
  if (value === undefined) {
    value = make();
    map.set(key, value);
  }
  return value;
}
