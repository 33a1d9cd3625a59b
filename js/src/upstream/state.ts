/** What the work-arounds touch of BokehJS, most of it private, and what is known of one instance of it. */

import type { HasProps } from "@bokeh/bokehjs/build/js/lib/core/has_props";
import type { Document } from "@bokeh/bokehjs/build/js/lib/document/document";
import { is_object } from "./reflection";

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
  | "accessible_names"
  | "autocomplete_menu"
  | "derived_glyphs"
  | "description"
  | "dialog_drag"
  | "dirty_signals"
  | "document_registry"
  | "dropped_paintings"
  | "event_bus"
  | "event_callbacks"
  | "examiner"
  | "failed_build"
  | "failed_document"
  | "forgotten_views"
  | "fullscreen"
  | "help_button"
  | "image_readback"
  | "interactive_state"
  | "late_views"
  | "lazy_index"
  | "math_classes"
  | "math_provider"
  | "multi_choice"
  | "open_menus"
  | "range_bounds"
  | "received_models"
  | "recompute_timer"
  | "replaced_views"
  | "resize_observer"
  | "shapes"
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

export type Undo = () => void;

/** What of a view is touched here; most of it is private to BokehJS. */
export interface ViewLike {
  readonly model: HasProps;
  readonly parent: ViewLike | null;
  readonly root: ViewLike;
  readonly owner: object;
  readonly is_destroyed: boolean;
  readonly ready?: Promise<unknown>;
  children(): Iterable<ViewLike>;
  remove(): void;
}

export interface SignalLike {
  connect(slot: object, context?: object | null): boolean;
  disconnect(slot: object, context?: object | null): boolean;
}

export interface SignalStatics {
  readonly prototype: SignalLike;
  disconnect_receiver(receiver: object): void;
}

/** The private half of a BokehJS document; what a release does not have is undefined. */
export interface DocumentInternals {
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
export type Ledger = Map<string, Undo[]>;

export interface Scope {
  readonly view: ViewLike;
  readonly undos: Undo[];
}

/** What is known about one instance of BokehJS. */
export interface State {
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

export const states = new WeakMap<BokehRoot, State>();

export const states_by_view_class = new WeakMap<object, State>();

export function state_of(view: ViewLike): State | undefined {
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
