/** One BokehJS document that follows the one in Python: built, patched, disposed. */

import type { HasProps } from "@bokeh/bokehjs/build/js/lib/core/has_props";
import type { Document, Patch } from "@bokeh/bokehjs/build/js/lib/document/document";
import type { DocumentEvent } from "@bokeh/bokehjs/build/js/lib/document/events";
import { change_of, changed_event, changed_model, event_of, is_fit } from "./changes";
import { Coalescer } from "./coalescing";
import { ChangeEncoder, type EncodedChanges } from "./encoder";
import { may_change_label } from "./labels";
import { type DocumentState, exact_buffer } from "./protocol";
import { RANGES, type Ranges, ranges_of, restore_ranges, take_follows, with_follows } from "./ranges";
import { type ThemeAttrs, with_theme } from "./scheme";
import { after_patch, type BokehRoot, release_document } from "./upstream";

interface Ref {
  readonly id: string;
}

export interface ReplicaOptions {
  /** The document was shown before, and Python has heard that it is ready. */
  readonly is_replacement?: boolean;
  /** Defaults of the models, where Python's document does not have the theme of the page yet. */
  readonly theme?: ThemeAttrs | null;
  /** Is called when a title may have changed, on whichever side. */
  readonly on_title?: () => void;
}

/** In a stream the ranges follow the data 60 times a second, and nobody waits for it: as for an acknowledgement. */
const FIT_EVERY_MS = 100;

export class Replica {
  readonly document: Document;
  readonly session: string;
  revision: number;

  readonly #bokeh: BokehRoot;
  readonly #encoder: ChangeEncoder;
  readonly #changes = new Coalescer<HasProps, DocumentEvent>();
  readonly #on_changes: () => void;
  readonly #on_error: (error: unknown) => void;
  readonly #is_replacement: boolean;
  readonly #on_title: (() => void) | undefined;
  /** What BokehJS reads of a document and does not write: classes of data models, callbacks of the document. */
  readonly #unwritten: Readonly<Record<string, unknown>>;
  #is_scheduled = false;
  #is_urgent = false;
  #waits_since_ms = 0;
  #disposed = false;

  /**
   * Builds the document.
   *
   * @param on_changes is called at the end of each task of the browser in which BokehJS changed something.
   * @param on_error is given the error of a change that cannot be sent.
   */
  constructor(
    bokeh: BokehRoot,
    state: DocumentState,
    on_changes: () => void,
    on_error: (error: unknown) => void,
    options: ReplicaOptions = {},
  ) {
    this.#bokeh = bokeh;
    this.#on_changes = on_changes;
    this.#on_error = on_error;
    this.#is_replacement = options.is_replacement ?? false;
    this.#on_title = options.on_title;
    this.session = state.session;
    this.revision = state.revision;
    const buffers = new Map(Object.entries(state.buffers).map(([id, data]) => [id, exact_buffer(data)] as const));
    const { Document: DocumentClass } = bokeh.require("document") as {
      Document: { from_json(json: unknown, events: DocumentEvent[], buffers: unknown): Document };
    };
    const initial: DocumentEvent[] = [];
    const { [RANGES]: ranges = {}, ...json } = JSON.parse(state.json) as {
      readonly defs?: unknown;
      readonly callbacks?: unknown;
      readonly [RANGES]?: Ranges;
    };
    this.#unwritten = {
      ...(json.defs != null && { defs: json.defs }),
      ...(json.callbacks != null && { callbacks: json.callbacks }),
    };
    this.document = with_theme(bokeh, options.theme ?? null, () => DocumentClass.from_json(json, initial, buffers));
    restore_ranges(bokeh, this.document, ranges);
    this.#encoder = new ChangeEncoder(bokeh, this.document);
    this.#encoder.mark_known(initial.length == 0 ? null : state.json);
    this.document.on_change(this.#on_document_change, true);
    // models may change others while they initialise; Bokeh's server is told of that, too
    for (const event of initial) {
      this.#on_document_change(event);
    }
  }

  /** Applies one revision of Python's document. */
  apply(events: readonly unknown[], buffers: Map<string, ArrayBuffer>, revision: number): void {
    this.document.apply_json_patch({ events } as unknown as Patch, buffers);
    after_patch(this.document);
    take_follows(this.#bokeh, this.document, events);
    this.revision = revision;
    this.#tell_what_stayed(events);
  }

  /**
   * A part of a patch may lead to a change of a property here, which a later part sets again: Python, to which the
   * change of this page comes last, is told what stayed.
   */
  #tell_what_stayed(events: readonly unknown[]): void {
    if (this.#changes.is_empty) {
      return;
    }
    for (const event of events as readonly { readonly kind: string; readonly model: Ref; readonly attr: string }[]) {
      const model = event.kind == "ModelChanged" ? this.document.get_model_by_id(event.model.id) : null;
      if (model !== null && this.#changes.has_property(model, event.attr)) {
        this.#changes.put(change_of(this.#bokeh, changed_event(this.#bokeh, this.document, model, event.attr)));
      }
    }
  }

  /** The document as it is now, all of it in the text: what is saved in a page without a kernel. */
  saved(requires: readonly string[]): DocumentState {
    const ranges = { [RANGES]: ranges_of(this.#bokeh, this.document) };
    const json = JSON.stringify({ ...this.document.to_json(false), ...this.#unwritten, ...ranges });
    return { session: this.session, revision: this.revision, json, buffers: {}, requires: [...requires] };
  }

  readonly #on_document_change = (event: DocumentEvent): void => {
    const events = "events" in event ? (event.events as DocumentEvent[]) : [event];
    for (const single of events) {
      if (may_change_label(single)) {
        this.#on_title?.();
      }
      if (single.sync && !(this.#is_replacement && says_ready(single))) {
        if (this.#changes.is_empty) {
          this.#is_urgent = false;
          this.#waits_since_ms = performance.now();
        }
        this.#is_urgent ||= !is_fit(this.#bokeh, single);
        this.#changes.put(change_of(this.#bokeh, single));
      }
    }
    if (!this.#is_scheduled && !this.#changes.is_empty) {
      this.#is_scheduled = true;
      queueMicrotask(() => {
        this.#is_scheduled = false;
        if (!this.#disposed && !this.#changes.is_empty) {
          this.#on_changes();
        }
      });
    }
  };

  /** How many changes of BokehJS wait to be taken. */
  get waiting(): number {
    return this.#changes.size;
  }

  /** For how long what waits may wait for more of its kind, which replaces it: no time if anybody waits for it. */
  get patience_ms(): number {
    return this.#is_urgent ? 0 : Math.max(0, this.#waits_since_ms + FIT_EVERY_MS - performance.now());
  }

  /** How many changes of BokehJS were taken in by later ones. */
  get coalesced(): number {
    return this.#changes.coalesced;
  }

  /** Whether a new value of the property waits to be taken. */
  waits_with(id: string, attr: string): boolean {
    const model = this.document.get_model_by_id(id);
    return model !== null && this.#changes.has_property(model, attr);
  }

  /** Whether something waits to be taken that changes a part of the data of a source. */
  waits_with_rows(id: string): boolean {
    const model = this.document.get_model_by_id(id);
    return model !== null && this.#changes.has_rows(model);
  }

  /** What BokehJS changed since the last time; no events if nothing of it can or needs to be sent. */
  take_changes(): EncodedChanges {
    for (const change of this.#changes.take()) {
      const model = changed_model(change);
      if (model !== null && this.#encoder.is_contained(model)) {
        continue;
      }
      try {
        this.#encoder.add(event_of(this.#bokeh, this.document, change));
      } catch (error) {
        this.#on_error(error); // the others are sent all the same
      }
    }
    const { events, buffers } = this.#encoder.take();
    return { events: with_follows(this.#bokeh, this.document, events), buffers };
  }

  /** Frees the document; every view of it has been released before. What waits is lost. */
  dispose(): void {
    if (!this.#disposed) {
      this.#disposed = true;
      this.#changes.take();
      this.document.remove_on_change(this.#on_document_change);
      release_document(this.#bokeh, this.document);
    }
  }
}

function says_ready(event: DocumentEvent): boolean {
  const { msg_data } = event as { readonly msg_data?: { readonly event_name?: string } };
  return msg_data?.event_name == "document_ready";
}
