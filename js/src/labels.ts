/** What screen readers say of a plot as long as the user says nothing else: the titles of what is shown. */

import type { HasProps } from "@bokeh/bokehjs/build/js/lib/core/has_props";
import type { DocumentEvent } from "@bokeh/bokehjs/build/js/lib/document/events";
import type { BokehRoot } from "./upstream";

interface TitledPlot extends HasProps {
  readonly title: { readonly text?: unknown } | null;
}

/** Titles may change with each frame of a stream, and nobody can hear that. */
const TELL_EVERY_MS = 250;

/** Properties of titles, and of what holds plots. */
const TITLING: ReadonlySet<string> = new Set(["title", "text", "children", "tabs", "child"]);

/** Whether a change may be one of what {@link label_of} gives. */
export function may_change_label(event: DocumentEvent): boolean {
  const { kind, attr } = event as { readonly kind?: string; readonly attr?: string };
  return kind == "RootAdded" || kind == "RootRemoved" || (attr !== undefined && TITLING.has(attr));
}

/** The titles of the plots in what is shown, as they are now. */
export function label_of(bokeh: BokehRoot, roots: readonly HasProps[]): string {
  const { Plot } = bokeh.require("models/plots/plot") as { Plot: abstract new () => HasProps };
  const models = new Set(roots.flatMap((root) => [...root.references()]));
  const plots = [...models].filter((model): model is TitledPlot => model instanceof Plot);
  plots.sort((a, b) => a.id.length - b.id.length || (a.id < b.id ? -1 : 1)); // as they were made
  const titles = plots.map(({ title }) => title?.text).filter((text) => typeof text == "string" && text != "");
  return [...new Set(titles)].join(", ") || (plots.length > 0 ? "Plot" : "Bokeh document");
}

/** Tells those who follow that titles may have changed. */
export class TitleChanges {
  readonly #followers = new Set<() => void>();
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** @returns what ends it. */
  follow(follower: () => void): () => void {
    this.#followers.add(follower);
    return () => this.#followers.delete(follower);
  }

  tell(): void {
    this.stop();
    for (const follower of this.#followers) {
      follower();
    }
  }

  readonly tell_later = (): void => {
    this.#timer ??= setTimeout(() => this.tell(), TELL_EVERY_MS);
  };

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
