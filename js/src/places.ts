/** The places that show the document of one client, and the views in them. */

import type { View } from "@bokeh/bokehjs/build/js/lib/core/view";
import type { Document } from "@bokeh/bokehjs/build/js/lib/document/document";
import { type OutputChange, Outputs } from "./outputs";
import { is_displayed } from "./picture";
import type { OutputMessage } from "./protocol";
import { random_id } from "./random";
import { painted } from "./timing";
import type { BokehRoot } from "./upstream";
import { DocumentView } from "./view";

/** A place that shows the document, and where it says what went wrong. */
export interface Place {
  readonly element: HTMLElement;
  /** @param passes whether it is over when another document is shown. */
  show_notice(level: "error" | "warning", text: string, passes: boolean): void;
  /** Takes the notices away that are over. */
  retract_notices(): void;
  /** Shows what callbacks printed, displayed and raised. */
  show_output(change: OutputChange): void;
  set_busy(busy: boolean): void;
  /** How much of the document has come, from 0 to 1; null when that is of no interest any more. */
  show_progress(part: number | null): void;
}

interface Entry {
  readonly place: Place;
  view: DocumentView | null;
  /** A view that could not even be begun is not tried again for the same document. */
  failed: boolean;
}

/** Views of another document, built unseen where those of the shown one are. */
export type HiddenViews = Map<Entry, DocumentView>;

/** What is to be shown. */
export interface Shown {
  readonly bokeh: BokehRoot;
  readonly document: Document;
  readonly root_ids: readonly string[] | null;
  /** Whether it is still to be shown: much may happen while a view is built. */
  is_wanted(): boolean;
}

export class Places {
  readonly #entries = new Map<string, Entry>();
  readonly #outputs = new Outputs();
  readonly #on_error: (error: unknown, place: Place) => void;
  /** Views that nobody is to see any more, and that hold their document until they are disposed of. */
  #leaving: DocumentView[] = [];

  constructor(on_error: (error: unknown, place: Place) => void) {
    this.#on_error = on_error;
  }

  get size(): number {
    return this.#entries.size;
  }

  get ids(): string[] {
    return [...this.#entries.keys()];
  }

  /** The roots of all view trees that are shown. */
  get views(): unknown[] {
    return [...this.#entries.values()].flatMap(({ view }) => view?.views ?? []);
  }

  /** The root views of the first place that shows the document. */
  get first_views(): View[] {
    return [...this.#entries.values()].find(({ view }) => view !== null)?.view?.views ?? [];
  }

  /** The root views of the place that the user can see, or of the first one. */
  get seen_views(): View[] {
    return this.trees.find((tree) => tree.some(is_displayed)) ?? this.first_views;
  }

  /** The root views of each place. */
  get trees(): View[][] {
    return [...this.#entries.values()].map(({ view }) => view?.views ?? []);
  }

  get has_leaving(): boolean {
    return this.#leaving.length > 0;
  }

  get has_unbuilt(): boolean {
    return [...this.#entries.values()].some(is_unbuilt);
  }

  add(place: Place): string {
    const id = random_id();
    this.#entries.set(id, { place, view: null, failed: false });
    place.set_busy(true);
    place.show_output(this.#outputs.all);
    return id;
  }

  /** Whether there was such a place. */
  remove(id: string): boolean {
    const entry = this.#entries.get(id);
    if (entry === undefined) {
      return false;
    }
    this.#entries.delete(id);
    this.#let_go(entry);
    return true;
  }

  remove_all(): void {
    for (const id of this.ids) {
      this.remove(id);
    }
  }

  /** The places stay, and show nothing but what was said in them. */
  empty(): void {
    for (const entry of this.#entries.values()) {
      entry.place.show_progress(null);
      this.#let_go(entry);
    }
  }

  #let_go(entry: Entry): void {
    if (entry.view !== null) {
      entry.view.hide(); // it may take its time to go
      this.#leaving.push(entry.view);
      entry.view = null;
    }
  }

  /**
   * @param only the place that it concerns, all by default.
   * @param passes whether it is over when another document is shown.
   */
  say(level: "error" | "warning", text: string, only?: Place, passes = false): void {
    for (const place of only === undefined ? this.#places : [only]) {
      place.show_progress(null);
      place.set_busy(false);
      place.show_notice(level, text, passes);
    }
  }

  /** Another document has come: what was said of the one before is over. */
  retract_notices(): void {
    for (const place of this.#places) {
      place.retract_notices();
    }
  }

  /** Shows what callbacks say, to every client or to this one. */
  take_output(message: OutputMessage, client: string): void {
    if ((message.client ?? client) == client) {
      this.#show_output(this.#outputs.take(message));
    }
  }

  /** The document of this session is shown from here on: what callbacks of another one said is over. */
  follow(session: string): void {
    this.#show_output(this.#outputs.follow(session));
  }

  #show_output(changes: readonly OutputChange[]): void {
    for (const change of changes) {
      for (const place of this.#places) {
        place.show_output(change);
      }
    }
  }

  get #places(): Place[] {
    return [...this.#entries.values()].map(({ place }) => place);
  }

  /** Says in the places that wait how much has come. */
  show_progress(part: number): void {
    for (const entry of this.#entries.values()) {
      if (is_unbuilt(entry)) {
        entry.place.show_progress(part);
      }
    }
  }

  /** Disposes of one view that is to go, or of all; then their document may go, too. */
  async release(limit = Number.POSITIVE_INFINITY): Promise<void> {
    for (const view of this.#leaving.splice(0, limit)) {
      await view.dispose();
    }
    for (const { view } of this.#entries.values()) {
      view?.serve_dialogs();
    }
  }

  /** Builds a view in each place that has none. */
  async build(shown: Shown): Promise<void> {
    for (const [id, entry] of [...this.#entries]) {
      // while another view was built this place may have gone, or all of them
      const is_wanted = (): boolean => this.#entries.get(id) === entry && shown.is_wanted();
      if (!is_unbuilt(entry) || !is_wanted()) {
        continue;
      }
      entry.view = this.#make_view(shown, entry, false);
      if (entry.view === null) {
        continue;
      }
      await entry.view.build();
      if (is_wanted()) {
        entry.place.show_progress(null);
        entry.place.set_busy(false);
      } else {
        this.#let_go(entry);
      }
    }
  }

  /** Builds views unseen, until they could take the place of those that are shown. */
  async build_hidden(shown: Shown): Promise<HiddenViews> {
    const hidden: HiddenViews = new Map();
    for (const entry of [...this.#entries.values()]) {
      entry.failed = false;
      if (entry.view !== null && shown.is_wanted()) {
        const view = this.#make_view(shown, entry, true);
        if (view !== null) {
          hidden.set(entry, view);
          await view.build();
        }
      }
    }
    if (hidden.size > 0 && shown.is_wanted()) {
      await painted();
    }
    return hidden;
  }

  /** Shows what was built unseen, at once; what was shown is to be released. */
  reveal(hidden: HiddenViews): void {
    for (const entry of this.#entries.values()) {
      this.#let_go(entry);
      entry.view = hidden.get(entry) ?? null;
      entry.view?.reveal();
      hidden.delete(entry);
    }
    this.abandon(hidden);
  }

  /** What was built unseen will not be shown: it is to be released. */
  abandon(hidden: HiddenViews): void {
    this.#leaving.push(...hidden.values());
    hidden.clear();
  }

  #make_view({ bokeh, document, root_ids }: Shown, entry: Entry, is_hidden: boolean): DocumentView | null {
    const fail = (error: unknown): void => this.#on_error(error, entry.place);
    try {
      return new DocumentView(bokeh, document, entry.place.element, root_ids, fail, is_hidden);
    } catch (error) {
      entry.failed = true;
      fail(error);
      return null;
    }
  }
}

function is_unbuilt({ view, failed }: Entry): boolean {
  return view === null && !failed;
}
