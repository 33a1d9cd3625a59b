/**
 * One widget model in one page: it has a replica while it has views, and none otherwise.
 *
 * It knows no widget manager; a host gives it messages, an element for each view, and a way to
 * send.
 */

import type { HasProps } from "@bokeh/bokehjs/build/js/lib/core/has_props";
import { type Arrival, Arrivals } from "./arrivals";
import { type BundleSource, load_bokehjs, missing_bundles, page_registry, type ReplicaInfo } from "./bokehjs";
import { answer_export } from "./exports";
import { type SavedPicture, saved_picture_of } from "./fallback";
import { label_of, TitleChanges } from "./labels";
import { type HiddenViews, type Place, Places, type Shown } from "./places";
import { Presence } from "./presence";
import {
  type ChunkMessage,
  type ClientMessage,
  type DocumentState,
  type ExportMessage,
  events_of,
  type KernelMessage,
  type PatchMessage,
  state_of_document,
  total_bytes,
} from "./protocol";
import { random_id } from "./random";
import { Replica } from "./replica";
import { current_scheme, type ThemeAttrs } from "./scheme";
import { Uplink } from "./uplink";
import type { BokehRoot } from "./upstream";

export type { Place };

/** What a front end provides for the client of one widget model. */
export interface Host {
  readonly model_id: string;
  /** Whether a kernel hears what is sent; false in a saved page. */
  readonly is_live: boolean;
  /** Models to show; null for all roots of the document. */
  root_ids(): readonly string[] | null;
  /** Gives the document that came with the model's state, once, and lets go of it. */
  take_state(): DocumentState | null;
  bundles(): BundleSource;
  /** The dark theme, if the document follows the light and dark of the page. */
  dark_theme(): ThemeAttrs | null;
  send(message: ClientMessage, buffers: ArrayBuffer[]): void;
}

/** A document to build. */
interface Incoming {
  readonly state: DocumentState;
  /** The last own patch that it contains; null if nobody knows. */
  readonly seq: number | null;
  /** The kernel does not know yet that it came. */
  readonly is_news: boolean;
  /** It was asked for, by this client alone. */
  readonly is_answer: boolean;
}

/** Patches that wait for a replica; more than that, and a fresh document costs less. */
const MAX_WAITING = 1000;

export class Client {
  readonly id = random_id();
  readonly title_changes = new TitleChanges();

  readonly #host: Host;
  readonly #places = new Places((error, place) => this.fail("render", error, place));
  readonly #loaded = new Set<string>();
  readonly #uplink = new Uplink(this.id, (message, buffers) => this.#send(message, buffers));
  readonly #arrivals = new Arrivals(
    (arrival) => this.#enqueue(arrival),
    () => this.#ask_for_document(false),
  );
  readonly #presence = new Presence({
    client: this.id,
    views: () => this.#places.ids,
    acknowledged_seq: () => this.#uplink.acknowledged,
    position: () => (this.#is_shown ? this.#replica : null),
    send: (message) => this.#send(message),
  });
  #bokeh: BokehRoot | null = null;
  #replica: Replica | null = null;
  #incoming: Incoming | null = null;
  #waiting: Arrival[] = [];
  #attached = false;
  #was_shown = false;
  #is_wrong = false;
  #is_working = false;
  #working: Promise<void> = Promise.resolve();
  /** The changes up to this number were made to a replica that was replaced, by what may lack them. */
  #replaced_seq = 0;
  #resyncs = 0;
  #coalesced = 0;
  #connected = true;

  constructor(host: Host) {
    this.#host = host;
  }

  // --- places ---------------------------------------------------------------------------------

  /** Shows the document in one more place; the id is for {@link remove_place}. */
  add_place(place: Place): string {
    const id = this.#places.add(place);
    this.#was_shown = true;
    this.#presence.hi(id);
    if (this.#replica !== null) {
      this.#uplink.follow(this.#replica); // one that was to go, and has not gone yet
    }
    this.#attach();
    this.#work();
    return id;
  }

  /** Frees a place; with the last one the replica goes. */
  async remove_place(id: string): Promise<void> {
    if (!this.#places.remove(id)) {
      return;
    }
    if (this.#places.size == 0) {
      this.#uplink.flush(); // while the kernel knows this client
      this.#replaced_seq = this.#uplink.seq;
      this.#attached = false;
      this.#call_off();
    }
    this.#presence.gone(id);
    await this.#settled();
  }

  /** The page has turned light or dark: the theme of the document may follow it. */
  scheme_changed(): void {
    const [id] = this.#places.ids;
    if (id !== undefined) {
      this.#presence.hi(id);
    }
  }

  /** The page goes: the kernel must not take that for the end of what it shows. */
  leave_page(): void {
    if (this.#places.size > 0) {
      this.#uplink.flush();
      this.#presence.bye();
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
    for (const id of this.#places.ids) {
      this.#presence.hi(id);
    }
    this.#presence.request.stop(); // an answer that was still awaited will not come
    this.#ask_for_document();
  }

  /** The line was cut: what was sent meanwhile may be lost, and the kernel may take the page for gone. */
  return_to_line(): void {
    if (this.#connected && this.#places.size > 0) {
      this.#presence.compare();
    }
  }

  /** Frees everything; nothing is sent from here on. */
  async dispose(): Promise<void> {
    this.#uplink.flush();
    this.#connected = false;
    this.#call_off();
    this.#places.remove_all();
    await this.#settled();
  }

  /** The kernel is gone: replicas go, what they showed is said to be disconnected. */
  async disconnect(text: string): Promise<void> {
    this.#connected = false;
    this.#call_off();
    this.#places.say("warning", text);
    this.#places.empty();
    await this.#settled();
  }

  /** Nothing is awaited any more, and nothing is done later. */
  #call_off(): void {
    this.#waiting = [];
    this.#incoming = null;
    this.#arrivals.clear();
    this.#presence.call_off();
    this.#uplink.stop();
    this.title_changes.stop();
  }

  async #settled(): Promise<void> {
    do {
      this.#work();
      await this.#working;
    } while (this.#is_working);
  }

  clear_output(): void {
    this.#send({ kind: "clear_output", client: this.id });
  }

  /** The document as this page has it, to be saved; null if it shows none. */
  saved_state(): DocumentState | null {
    return this.#replica?.saved([...this.#loaded]) ?? null;
  }

  /** The models that the places show. */
  get roots(): readonly HasProps[] {
    return this.#places.first_views.map(({ model }) => model);
  }

  /** What screen readers say of it; empty while there is no document. */
  get label(): string {
    const ids = this.#host.root_ids();
    const document = this.#replica?.document;
    if (this.#bokeh === null || document === undefined) {
      return "";
    }
    return label_of(this.#bokeh, ids?.flatMap((id) => document.get_model_by_id(id) ?? []) ?? document.roots());
  }

  /** A picture of what is shown; null if nothing is. */
  picture(): SavedPicture | null {
    return this.#replica === null ? null : saved_picture_of(this.#places.seen_views);
  }

  // --- from the kernel ------------------------------------------------------------------------

  /** The model's state has a document (again): it is the newest there is. */
  state_arrived(): void {
    if (this.#is_shown) {
      const state = this.#host.take_state();
      if (state !== null) {
        this.#enqueue_document({ state, seq: null, is_news: true, is_answer: false });
      }
    }
  }

  handle(message: KernelMessage, buffers: readonly BufferSource[]): void {
    if (!this.#connected) {
      return;
    }
    this.#presence.heard();
    switch (message.kind) {
      case "notice":
        this.#places.say(message.level, message.text, undefined, true);
        return;
      case "output":
        this.#places.take_output(message, this.id);
        return;
      case "export":
        if (message.client == this.id) {
          void this.#export(message);
        }
        return;
      case "refused":
        if (message.client == this.id) {
          this.#places.say("error", message.message);
          this.#uplink.acknowledge(message.seq);
          this.#uplink.settled(message.seq);
          this.#ask_for_document();
        }
        return;
      case "chunk":
        if ((message.client ?? this.id) == this.id && (this.#is_shown || this.#expects_view)) {
          this.#take_chunk(message, buffers);
        }
        return;
      case "sync":
        if (this.#is_shown) {
          this.#enqueue({ message, buffers: new Map() });
        } else {
          this.#presence.gone_again();
        }
        return;
      case "document":
        if ((message.client ?? this.id) != this.id || !(this.#is_shown || this.#expects_view)) {
          return;
        }
        if (message.client !== null) {
          this.#uplink.acknowledge(message.seq ?? 0);
        }
        break;
      case "patch":
        if (!this.#is_shown && !this.#host_has_state()) {
          this.#presence.gone_again();
          return;
        }
        if (message.origin == this.id) {
          this.#uplink.acknowledge(message.seq ?? 0);
        }
        break;
    }
    this.#arrivals.add(message, buffers);
  }

  #take_chunk(message: ChunkMessage, buffers: readonly BufferSource[]): void {
    this.#presence.request.restart_wait();
    this.#places.show_progress(this.#arrivals.add_chunk(message, buffers));
  }

  async #export(message: ExportMessage): Promise<void> {
    const trees = (session: string, revision: number) => {
      const replica = this.#replica;
      const has_it = replica?.session == session && replica.revision >= revision && !this.#has_work();
      return has_it && !this.#is_working ? this.#places.trees : null;
    };
    this.#send(...(await answer_export(message, this.id, { trees, is_wanted: () => this.#is_shown })));
  }

  #enqueue(arrival: Arrival): void {
    const { message, buffers } = arrival;
    if (message.kind == "document" && !this.#is_shown) {
      // it was too large to come with the model's state
      this.#incoming = { state: state_of_document(message, buffers), seq: null, is_news: true, is_answer: false };
      return;
    }
    this.#waiting.push(arrival);
    if (this.#waiting.length > MAX_WAITING && this.#replica === null) {
      // nothing consumes them: nobody shows this model, or its BokehJS does not come
      this.#host.take_state();
      this.#waiting = [];
      if (this.#places.size == 0) {
        this.#incoming = null; // too old to begin with
      }
    }
    this.#work();
  }

  /** Nothing has been shown yet: what comes may be for the first view. */
  get #expects_view(): boolean {
    return this.#connected && !this.#was_shown;
  }

  get #is_shown(): boolean {
    return this.#places.size > 0 && this.#connected;
  }

  /** A whole document has come that is newer than one whose BokehJS was awaited until now. */
  get #is_outdated(): boolean {
    return this.#incoming !== null || this.#waiting.some(({ message }) => message.kind == "document");
  }

  #host_has_state(): boolean {
    if (this.#incoming === null) {
      const state = this.#host.take_state();
      this.#incoming = state === null ? null : { state, seq: null, is_news: false, is_answer: false };
    }
    return this.#incoming !== null;
  }

  #attach(): void {
    if (this.#attached || !this.#connected) {
      return;
    }
    this.#attached = true;
    this.#host_has_state();
    const state = this.#incoming?.state;
    if (state === undefined) {
      this.#presence.request.start();
    } else {
      this.#presence.attach({ session: state.session, revision: this.#newest_revision(state) });
    }
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

  /** @param is_wrong whether what is shown must be replaced, even by a document of its revision. */
  #ask_for_document(is_wrong = true): void {
    this.#is_wrong ||= is_wrong;
    if (this.#is_shown) {
      this.#presence.request.start();
    }
  }

  // --- the work, one step after the other -------------------------------------------------------

  /** Starts the work unless it goes on; its first steps run at once where nothing is awaited. */
  #work(): void {
    if (this.#is_working) {
      return; // also from within such a step: there is never a second one beside it
    }
    this.#is_working = true;
    this.#working = this.#run().then(() => {
      if (this.#has_work()) {
        this.#work();
      }
    });
  }

  #has_work(): boolean {
    if (this.#places.has_leaving) {
      return true;
    }
    if (!this.#is_shown) {
      return this.#replica !== null;
    }
    const has_unbuilt = this.#places.has_unbuilt && this.#replica !== null;
    return this.#waiting.length > 0 || this.#incoming !== null || has_unbuilt;
  }

  async #run(): Promise<void> {
    let building: Incoming | null = null;
    try {
      while (this.#has_work()) {
        if (this.#places.has_leaving) {
          await this.#places.release(1); // before the document that it shows
        } else if (!this.#is_shown) {
          this.#dispose_replica();
        } else if (this.#incoming !== null) {
          building = this.#incoming;
          this.#incoming = null;
          await this.#build(building);
          building = null;
        } else if (this.#waiting.length > 0) {
          const next = this.#waiting[0] as Arrival;
          const requires = "requires" in next.message ? next.message.requires : [];
          if (missing_bundles(this.#loaded, requires).length > 0) {
            await this.#load(requires);
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
      if (building !== null) {
        this.#presence.cannot_show(building.state);
      }
      this.#waiting = [];
      this.#incoming = null;
      this.#attached = this.#replica !== null; // without one, the next place asks for the document
      this.#presence.request.stop();
      this.fail("show the document", error);
    } finally {
      this.#is_working = false;
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

  async #build(incoming: Incoming): Promise<void> {
    const { state, seq, is_news } = incoming;
    const bokeh = await this.#load(state.requires);
    if (!this.#is_shown || this.#is_outdated) {
      return;
    }
    this.#places.retract_notices();
    const old = this.#replica;
    const is_same_session = old?.session == state.session;
    const drop_changes = (): void => void next.take_changes();
    const on_changes = this.#host.is_live ? this.#uplink.pump : drop_changes;
    const next: Replica = new Replica(bokeh, state, on_changes, (error) => this.fail("send a change", error), {
      is_replacement: is_same_session && seq !== null,
      theme: old === null && seq === null ? this.#first_theme() : null,
      on_title: this.title_changes.tell_later,
    });
    let hidden: HiddenViews = new Map();
    let replayed = seq ?? this.#uplink.seq;
    if (old !== null) {
      this.#uplink.replay(next, replayed);
      replayed = this.#uplink.seq;
      hidden = await this.#places.build_hidden(this.#shown(bokeh, next, () => this.#is_shown));
    }
    if (!this.#is_shown) {
      this.#places.abandon(hidden);
      await this.#places.release();
      next.dispose();
      return;
    }
    // from here on without a pause, until the user sees the new one
    this.#uplink.flush();
    this.#uplink.replay(next, replayed);
    this.#adopt(next, incoming);
    this.#places.reveal(hidden);
    await this.#places.release();
    if (old !== null) {
      this.#coalesced += old.coalesced;
      old.dispose();
    }
    await this.#build_views();
    if (is_news) {
      this.#presence.acknowledge_later();
    }
  }

  /** What came before the kernel could know of this page is to look as the kernel will have it then. */
  #first_theme(): ThemeAttrs | null {
    return this.#host.is_live && current_scheme() == "dark" ? this.#host.dark_theme() : null;
  }

  #shown(bokeh: BokehRoot, { document }: Replica, is_wanted: () => boolean): Shown {
    return { bokeh, document, root_ids: this.#host.root_ids(), is_wanted };
  }

  /** From here on this is the replica, which contains the own changes up to a number. */
  #adopt(replica: Replica, { seq, is_answer }: Incoming): void {
    const old = this.#replica;
    if (old !== null && is_answer) {
      this.#resyncs += 1;
    }
    this.#presence.cannot_show(null);
    if (seq === null || old?.session != replica.session) {
      this.#uplink.pending.clear();
      this.#replaced_seq = this.#uplink.seq;
    } else {
      this.#uplink.settled(seq);
    }
    this.#is_wrong = false;
    this.#replica = replica;
    this.#places.follow(replica.session);
    page_registry()._replicas.add(this.#describe);
    this.#uplink.follow(replica);
    this.#take_held(replica);
  }

  /** Patches that came too early may follow now. */
  #take_held({ session, revision }: Replica): void {
    const next = this.#arrivals.next(session, revision);
    if (next !== null) {
      this.#waiting.unshift(next);
    } else if (!this.#is_wrong && !this.#arrivals.is_waiting) {
      this.#presence.request.stop(); // what was missing has come
    }
  }

  async #build_views(): Promise<void> {
    const bokeh = this.#bokeh;
    const replica = this.#replica;
    if (bokeh !== null && replica !== null) {
      const is_wanted = (): boolean => this.#connected && this.#replica === replica;
      await this.#places.build(this.#shown(bokeh, replica, is_wanted));
      this.title_changes.tell();
    }
  }

  #receive({ message, buffers }: Arrival): void {
    switch (message.kind) {
      case "document":
        this.#enqueue_document(
          {
            state: state_of_document(message, buffers),
            seq: message.client === null ? null : message.seq,
            is_news: true,
            is_answer: message.client !== null && this.#presence.request.is_open,
          },
          // Python's update() speaks to every client; it may have chosen other roots of this document
          message.client === null,
        );
        return;
      case "sync":
        this.#presence.answer(message);
        return;
      case "patch":
        this.#receive_patch(message, buffers);
        return;
    }
  }

  #receive_patch(message: PatchMessage, buffers: Map<string, ArrayBuffer>): void {
    const replica = this.#replica;
    if (replica === null) {
      if (this.#presence.request.is_open) {
        this.#arrivals.hold({ message, buffers }); // for the document that was asked for
      }
      return;
    }
    if (message.session != replica.session || message.revision <= replica.revision) {
      return; // of a document that is replaced, or contained in what came as a whole
    }
    if (message.revision > replica.revision + 1) {
      this.#arrivals.hold({ message, buffers });
      return;
    }
    if (!this.#apply(replica, message, buffers)) {
      this.#ask_for_document();
    }
    if (message.revision == replica.revision) {
      this.#take_held(replica);
    }
  }

  /** Takes one step with the replica; whether it is then what Python has, as far as is known. */
  #apply(replica: Replica, message: PatchMessage, buffers: Map<string, ArrayBuffer>): boolean {
    const seq = message.seq ?? 0;
    if (message.origin == this.id && seq > this.#replaced_seq) {
      replica.revision = message.revision;
      return !this.#uplink.settled(seq);
    }
    const began_ms = performance.now();
    try {
      const events = events_of(message, buffers);
      if (events === null) {
        return false; // Python has a change that is neither here nor in this message
      }
      const staying = this.#uplink.pending.that_stay(events, replica, this.#uplink.seq + 1);
      replica.apply(staying, buffers, message.revision);
    } catch (error) {
      this.fail("apply a patch", error);
      return false;
    }
    this.#presence.acknowledge_later(total_bytes(buffers), began_ms);
    return true;
  }

  #enqueue_document(incoming: Incoming, always = false): void {
    const replica = this.#replica;
    const { session, revision } = incoming.state;
    this.#presence.request.stop();
    const is_known = replica !== null && replica.session == session && replica.revision >= revision;
    if (is_known && !this.#is_wrong && !always) {
      this.#presence.acknowledge_later();
      return; // it came twice, or what was missing has come before it
    }
    this.#incoming = incoming;
    this.#work();
  }

  #dispose_replica(): void {
    const replica = this.#replica;
    if (replica !== null) {
      this.#coalesced += replica.coalesced;
      this.#replica = null;
      replica.dispose();
      this.title_changes.stop();
    }
    page_registry()._replicas.delete(this.#describe);
  }

  // --- towards the kernel -----------------------------------------------------------------------

  #send(message: ClientMessage, buffers: ArrayBuffer[] = []): void {
    if (this.#connected) {
      this.#host.send(message, buffers);
    }
  }

  /** Says what failed in the cell (in one place, or wherever the model is shown) and tells Python. */
  fail(context: string, error: unknown, place?: Place): void {
    const { message, stack } = error instanceof Error ? error : { message: String(error), stack: "" };
    console.error(`bokeh_widget could not ${context}:`, error);
    this.#places.say("error", `bokeh_widget could not ${context}: ${message}`, place, context != "send a change");
    this.#send({ kind: "error", client: this.id, context, message, stack: stack ?? "" });
  }

  readonly #describe = (): ReplicaInfo => ({
    model_id: this.#host.model_id,
    client_id: this.id,
    revision: this.#replica?.revision ?? -1,
    waiting: this.#replica?.waiting ?? 0,
    coalesced: this.#coalesced + (this.#replica?.coalesced ?? 0),
    in_flight: this.#uplink.in_flight,
    seq: this.#uplink.seq,
    resyncs: this.#resyncs,
    document: this.#replica?.document,
    views: this.#places.views,
  });
}
