/**
 * One widget model in one page: it has a replica while it has views, and none otherwise.
 *
 * It knows no widget manager; a host gives it messages, an element for each view, and a way to
 * send.
 */

import { type BundleSource, load_bokehjs, missing_bundles, page_registry, type ReplicaInfo } from "./bokehjs";
import type { EncodedChanges } from "./encoder";
import { PendingChanges } from "./pending";
import {
  type ClientMessage,
  type DocumentMessage,
  type DocumentState,
  type KernelMessage,
  named_buffers,
  type PatchMessage,
  PROTOCOL_VERSION,
} from "./protocol";
import { Replica } from "./replica";
import type { BokehRoot } from "./upstream";
import { DocumentView } from "./view";

/** What a front end provides for the client of one widget model. */
export interface Host {
  readonly model_id: string;
  /** Models to show; null for all roots of the document. */
  root_ids(): readonly string[] | null;
  /** Gives the document that came with the model's state, once, and lets go of it. */
  take_state(): DocumentState | null;
  bundles(): BundleSource;
  send(message: ClientMessage, buffers: ArrayBuffer[]): void;
}

/** A place that shows the document, and where it says what went wrong. */
export interface Place {
  readonly element: HTMLElement;
  show_notice(level: "error" | "warning", text: string): void;
  set_busy(busy: boolean): void;
}

interface Entry {
  readonly place: Place;
  view: DocumentView | null;
  /** A view that could not even be begun is not tried again for the same document. */
  failed: boolean;
}

interface Waiting {
  readonly message: PatchMessage | DocumentMessage;
  readonly buffers: Map<string, ArrayBuffer>;
}

/** Patches that wait for a replica; more than that, and a fresh document costs less. */
const MAX_WAITING = 1000;

export class Client {
  readonly id = crypto.randomUUID();

  readonly #host: Host;
  readonly #places = new Map<string, Entry>();
  readonly #loaded = new Set<string>();
  #bokeh: BokehRoot | null = null;
  #replica: Replica | null = null;
  #waiting: Waiting[] = [];
  #leaving: DocumentView[] = [];
  #attached = false;
  #asked = false;
  #working: Promise<void> | null = null;
  readonly #pending = new PendingChanges();
  #seq = 0;
  /** The changes up to this number were made to a replica that was replaced since. */
  #replaced_seq = 0;
  #connected = true;

  constructor(host: Host) {
    this.#host = host;
  }

  // --- places ---------------------------------------------------------------------------------

  /** Shows the document in one more place; the id is for {@link remove_place}. */
  add_place(place: Place): string {
    const id = crypto.randomUUID();
    this.#places.set(id, { place, view: null, failed: false });
    place.set_busy(true);
    this.#send({ kind: "hi", client: this.id, view: id });
    this.#attach();
    this.#work();
    return id;
  }

  /** Frees a place; with the last one the replica goes. */
  async remove_place(id: string): Promise<void> {
    const entry = this.#places.get(id);
    if (entry === undefined) {
      return;
    }
    this.#places.delete(id);
    this.#send({ kind: "gone", client: this.id, view: id });
    if (this.#places.size == 0) {
      this.#attached = false;
      this.#asked = false;
      this.#waiting = [];
    }
    this.#let_go(entry);
    await this.#settled();
  }

  /** The page goes: the kernel must not take that for the end of what it shows. */
  leave_page(): void {
    if (this.#places.size > 0) {
      this.#send({ kind: "bye", client: this.id });
    }
  }

  /**
   * The page comes back as it was left, from the browser's back/forward cache: the kernel took its
   * views for gone, and what was sent meanwhile is lost.
   */
  return_to_page(): void {
    if (this.#places.size == 0) {
      return;
    }
    for (const id of this.#places.keys()) {
      this.#send({ kind: "hi", client: this.id, view: id });
    }
    this.#asked = false; // an answer that was still awaited will not come
    this.#ask_for_document();
  }

  /** Frees everything; nothing is sent from here on. */
  async dispose(): Promise<void> {
    this.#connected = false;
    this.#waiting = [];
    const entries = [...this.#places.values()];
    this.#places.clear();
    for (const entry of entries) {
      this.#let_go(entry);
    }
    await this.#settled();
  }

  /** The kernel is gone: replicas go, what they showed is said to be disconnected. */
  async disconnect(text: string): Promise<void> {
    this.#connected = false;
    this.#waiting = [];
    for (const entry of this.#places.values()) {
      entry.place.show_notice("warning", text);
      this.#let_go(entry);
    }
    await this.#settled();
  }

  #let_go(entry: Entry): void {
    if (entry.view !== null) {
      this.#leaving.push(entry.view);
      entry.view = null;
    }
  }

  async #settled(): Promise<void> {
    this.#work();
    await this.#working;
  }

  // --- from the kernel ------------------------------------------------------------------------

  /** The model's state has a document (again): it is the newest there is. */
  state_arrived(): void {
    if (this.#places.size > 0 && this.#connected) {
      const state = this.#host.take_state();
      if (state !== null) {
        this.#enqueue_document(state);
      }
    }
  }

  handle(message: KernelMessage, buffers: readonly BufferSource[]): void {
    if (!this.#connected) {
      return;
    }
    switch (message.kind) {
      case "notice":
        this.#show_notice(message.level, message.text);
        return;
      case "refused":
        if (message.client == this.id) {
          this.#show_notice("error", message.message);
          this.#ask_for_document();
        }
        return;
      case "document":
        if ((message.client ?? this.id) != this.id || this.#places.size == 0) {
          return;
        }
        break;
      case "patch":
        if (this.#places.size == 0 && !this.#host_has_state()) {
          return;
        }
        break;
    }
    this.#waiting.push({ message, buffers: named_buffers(message.buffers, buffers) });
    if (this.#waiting.length > MAX_WAITING && this.#replica === null) {
      // nothing consumes them: nobody shows this model, or its BokehJS does not come
      this.#host.take_state();
      this.#waiting = [];
      if (this.#places.size == 0) {
        this.#state_held = null; // too old to begin with
      }
    }
    this.#work();
  }

  #state_held: DocumentState | null = null;

  #host_has_state(): boolean {
    this.#state_held ??= this.#host.take_state();
    return this.#state_held !== null;
  }

  #attach(): void {
    if (this.#attached || !this.#connected) {
      return;
    }
    this.#attached = true;
    this.#host_has_state();
    const state = this.#state_held;
    this.#asked = state === null;
    this.#send({
      kind: "attach",
      client: this.id,
      session: state?.session ?? null,
      revision: state === null ? null : this.#newest_revision(state),
      protocol: PROTOCOL_VERSION,
    });
  }

  /** The revision that a document will have once the patches that wait are applied. */
  #newest_revision(state: { session: string; revision: number }): number {
    let { revision } = state;
    for (const { message } of this.#waiting) {
      if (message.kind == "patch" && message.session == state.session && message.revision == revision + 1) {
        revision += 1;
      }
    }
    return revision;
  }

  #ask_for_document(): void {
    if (this.#asked || !this.#connected) {
      return;
    }
    this.#asked = true;
    this.#send({ kind: "attach", client: this.id, session: null, revision: null, protocol: PROTOCOL_VERSION });
  }

  // --- the work, one step after the other -------------------------------------------------------

  /** Starts the work unless it goes on; its first steps run at once where nothing is awaited. */
  #work(): void {
    if (this.#working === null) {
      let finished = false;
      const working = this.#run().finally(() => {
        finished = true;
        this.#working = null;
        if (this.#has_work()) {
          this.#work();
        }
      });
      if (!finished) {
        this.#working = working;
      }
    }
  }

  #has_work(): boolean {
    if (this.#leaving.length > 0) {
      return true;
    }
    if (this.#places.size == 0 || !this.#connected) {
      return this.#replica !== null;
    }
    const has_unbuilt = [...this.#places.values()].some(({ view, failed }) => view === null && !failed);
    return this.#waiting.length > 0 || this.#state_held !== null || (has_unbuilt && this.#replica !== null);
  }

  async #run(): Promise<void> {
    try {
      while (this.#has_work()) {
        const leaving = this.#leaving.shift();
        if (leaving !== undefined) {
          await leaving.dispose(); // before the document that it shows
          this.#offer_dialogs();
        } else if (this.#places.size == 0 || !this.#connected) {
          this.#dispose_replica();
        } else if (this.#state_held !== null) {
          const state = this.#state_held;
          this.#state_held = null;
          await this.#build(state);
        } else if (this.#waiting.length > 0) {
          const next = this.#waiting[0] as Waiting;
          const missing = missing_bundles(this.#loaded, next.message.requires);
          if (missing.length > 0) {
            await this.#load(next.message.requires);
          }
          if (this.#waiting[0] === next) {
            this.#waiting.shift();
            this.#receive(next);
          }
        } else {
          await this.#build_views();
        }
      }
    } catch (error) {
      // no second try by itself: it would fail in the same way, for ever
      this.#waiting = [];
      this.#state_held = null;
      this.#attached = this.#replica !== null; // without one, the next place asks for the document
      this.#asked = false;
      this.fail("show the document", error);
    }
  }

  #offer_dialogs(): void {
    for (const { view } of this.#places.values()) {
      view?.serve_dialogs();
    }
  }

  async #load(names: readonly string[]): Promise<BokehRoot> {
    const bokeh = await load_bokehjs(this.#host.bundles(), names);
    for (const name of names) {
      this.#loaded.add(name);
    }
    this.#bokeh = bokeh;
    return bokeh;
  }

  async #build(state: DocumentState): Promise<void> {
    const bokeh = await this.#load(state.requires);
    if (this.#places.size == 0 || !this.#connected) {
      return;
    }
    for (const entry of this.#places.values()) {
      this.#let_go(entry);
      entry.failed = false;
    }
    for (const view of this.#leaving.splice(0)) {
      await view.dispose();
    }
    this.#dispose_replica();
    this.#asked = false;
    this.#pending.clear();
    this.#replaced_seq = this.#seq;
    this.#replica = new Replica(
      bokeh,
      state,
      (changes) => this.#send_changes(changes),
      (error) => this.fail("send a change", error),
    );
    page_registry()._replicas.add(this.#describe);
    await this.#build_views();
  }

  async #build_views(): Promise<void> {
    const bokeh = this.#bokeh;
    const replica = this.#replica;
    if (bokeh === null || replica === null) {
      return;
    }
    for (const [id, entry] of [...this.#places]) {
      // while another view was built this place may have gone, or all of them
      const is_wanted = (): boolean => this.#places.get(id) === entry && this.#connected && this.#replica === replica;
      if (entry.view !== null || entry.failed || !is_wanted()) {
        continue;
      }
      const fail = (error: unknown): void => this.fail("render", error, entry.place);
      try {
        entry.view = new DocumentView(bokeh, replica.document, entry.place.element, this.#host.root_ids(), fail);
      } catch (error) {
        entry.failed = true;
        fail(error);
        continue;
      }
      await entry.view.build();
      if (is_wanted()) {
        entry.place.set_busy(false);
      } else {
        this.#let_go(entry);
      }
    }
  }

  #receive({ message, buffers }: Waiting): void {
    if (message.kind == "document") {
      const state = {
        session: message.session,
        revision: message.revision,
        json: message.json,
        buffers: Object.fromEntries(buffers),
        requires: message.requires,
      };
      // Python's update() speaks to every client; it may have chosen other roots of this document
      this.#enqueue_document(state, message.client === null);
      return;
    }
    const replica = this.#replica;
    if (replica === null || message.session != replica.session || message.revision <= replica.revision) {
      return; // of a document that is replaced, or contained in what came as a whole
    }
    if (message.revision > replica.revision + 1) {
      this.#ask_for_document();
      return;
    }
    if (message.origin == this.id && (message.seq ?? 0) <= this.#replaced_seq) {
      this.#ask_for_document(); // Python has the change, and neither the document nor this message
    } else if (message.origin == this.id) {
      replica.revision = message.revision;
      this.#pending.acknowledged(message.seq ?? 0);
    } else if (message.events === null) {
      this.#ask_for_document(); // an acknowledgement for somebody else: his changes are missing here
    } else {
      try {
        replica.flush(); // what was changed in this very task is pending, too
        replica.apply(this.#pending.that_stay(message.events), buffers, message.revision);
      } catch (error) {
        this.fail("apply a patch", error);
        this.#ask_for_document();
      }
    }
  }

  #enqueue_document(state: DocumentState, always = false): void {
    const replica = this.#replica;
    const is_same = replica !== null && replica.session == state.session && replica.revision == state.revision;
    if (is_same && !this.#asked && !always) {
      return; // a document that was asked for replaces one of its revision: a refused change is in that
    }
    this.#state_held = state;
    this.#work();
  }

  #dispose_replica(): void {
    this.#replica?.dispose();
    this.#replica = null;
    page_registry()._replicas.delete(this.#describe);
  }

  // --- towards the kernel -----------------------------------------------------------------------

  #send(message: ClientMessage, buffers: ArrayBuffer[] = []): void {
    if (this.#connected) {
      this.#host.send(message, buffers);
    }
  }

  #send_changes({ events, buffers }: EncodedChanges): void {
    const replica = this.#replica;
    if (replica === null) {
      return;
    }
    this.#seq += 1;
    this.#pending.sent(this.#seq, events);
    this.#send(
      {
        kind: "patch",
        client: this.id,
        session: replica.session,
        seq: this.#seq,
        revision: replica.revision,
        events,
        buffers: [...buffers.keys()],
      },
      [...buffers.values()],
    );
  }

  /** Says what failed in the cell (in one place, or wherever the model is shown) and tells Python. */
  fail(context: string, error: unknown, place?: Place): void {
    const { message, stack } = error instanceof Error ? error : { message: String(error), stack: "" };
    console.error(`bokeh_widget could not ${context}:`, error);
    const text = `bokeh_widget could not ${context}: ${message}`;
    if (place === undefined) {
      this.#show_notice("error", text);
    } else {
      place.set_busy(false);
      place.show_notice("error", text);
    }
    this.#send({ kind: "error", client: this.id, context, message, stack: stack ?? "" });
  }

  #show_notice(level: "error" | "warning", text: string): void {
    for (const { place } of this.#places.values()) {
      place.set_busy(false);
      place.show_notice(level, text);
    }
  }

  readonly #describe = (): ReplicaInfo => ({
    model_id: this.#host.model_id,
    client_id: this.id,
    revision: this.#replica?.revision ?? -1,
    document: this.#replica?.document,
    views: [...this.#places.values()].flatMap(({ view }) => view?.views ?? []),
  });
}
