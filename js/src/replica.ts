/** One BokehJS document that follows the one in Python: built, patched, disposed. */

import type { Document, Patch } from "@bokeh/bokehjs/build/js/lib/document/document";
import type { DocumentEvent } from "@bokeh/bokehjs/build/js/lib/document/events";
import { ChangeEncoder, type EncodedChanges } from "./encoder";
import { type DocumentState, exact_buffer } from "./protocol";
import { after_patch, type BokehRoot, release_document } from "./upstream";

export class Replica {
  readonly document: Document;
  readonly session: string;
  revision: number;

  readonly #bokeh: BokehRoot;
  readonly #encoder: ChangeEncoder;
  readonly #on_changes: (changes: EncodedChanges) => void;
  readonly #on_error: (error: unknown) => void;
  #flush_scheduled = false;
  #disposed = false;

  /**
   * Builds the document.
   *
   * @param on_changes is given what BokehJS itself changed, one call per task of the browser.
   * @param on_error is given the error of a change that cannot be sent.
   */
  constructor(
    bokeh: BokehRoot,
    state: DocumentState,
    on_changes: (changes: EncodedChanges) => void,
    on_error: (error: unknown) => void,
  ) {
    this.#bokeh = bokeh;
    this.#on_changes = on_changes;
    this.#on_error = on_error;
    this.session = state.session;
    this.revision = state.revision;
    const buffers = new Map(Object.entries(state.buffers).map(([id, data]) => [id, exact_buffer(data)] as const));
    const { Document: DocumentClass } = bokeh.require("document") as {
      Document: { from_json(json: unknown, events: DocumentEvent[], buffers: unknown): Document };
    };
    const initial: DocumentEvent[] = [];
    this.document = DocumentClass.from_json(JSON.parse(state.json), initial, buffers);
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
    this.flush(); // what was changed here before belongs before
    this.document.apply_json_patch({ events } as unknown as Patch, buffers);
    after_patch(this.document);
    this.revision = revision;
  }

  readonly #on_document_change = (event: DocumentEvent): void => {
    const events = "events" in event ? (event.events as DocumentEvent[]) : [event];
    for (const single of events) {
      if (single.sync) {
        this.#encode(single);
      }
    }
    if (!this.#flush_scheduled && !this.#encoder.is_empty) {
      this.#flush_scheduled = true;
      queueMicrotask(() => {
        this.#flush_scheduled = false;
        this.flush();
      });
    }
  };

  #encode(event: DocumentEvent): void {
    try {
      this.#encoder.add(event);
    } catch (error) {
      // this runs inside of BokehJS's setter, and other events may follow: both have to go on
      this.#on_error(error);
    }
  }

  /** Hands over what has been changed since the last time. */
  flush(): void {
    if (!this.#disposed && !this.#encoder.is_empty) {
      this.#on_changes(this.#encoder.take());
    }
  }

  /** Frees the document; every view of it has been released before. */
  dispose(): void {
    if (!this.#disposed) {
      this.flush();
      this.#disposed = true;
      this.document.remove_on_change(this.#on_document_change);
      release_document(this.#bokeh, this.document);
    }
  }
}
