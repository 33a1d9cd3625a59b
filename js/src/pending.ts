/**
 * Own changes that Python has not acknowledged. Pure: it sees event representations, no BokehJS.
 *
 * Python decides the order of changes. What it sends before it acknowledges a change of ours came
 * before that change, so our value of the property is the one that stays: the older one must not
 * be applied here, or this page alone would show it for ever.
 */

interface Fields {
  readonly kind?: unknown;
  readonly model?: { readonly id?: unknown };
  readonly attr?: unknown;
}

/** Which property an event gives a new value as a whole; null for streams, patches, roots, … */
function replaced_property(event: unknown): string | null {
  const { kind, model, attr } = event as Fields;
  const replaces = kind === "ModelChanged" || kind === "ColumnDataChanged";
  return replaces ? `${String(model?.id)}.${String(attr)}` : null;
}

export class PendingChanges {
  readonly #seq_by_property = new Map<string, number>();

  /** The events are on their way to Python as number `seq` of this client. */
  sent(seq: number, events: readonly unknown[]): void {
    for (const event of events) {
      const property = replaced_property(event);
      if (property !== null) {
        this.#seq_by_property.set(property, seq);
      }
    }
  }

  /** Python has put all changes up to number `seq` into its order. */
  acknowledged(seq: number): void {
    for (const [property, last] of this.#seq_by_property) {
      if (last <= seq) {
        this.#seq_by_property.delete(property);
      }
    }
  }

  /** Of what Python sends, the events that no later change of ours replaces. */
  that_stay(events: readonly unknown[]): readonly unknown[] {
    if (this.#seq_by_property.size == 0) {
      return events;
    }
    return events.filter((event) => !this.#seq_by_property.has(replaced_property(event) ?? ""));
  }

  /** The document came as a whole: what is in it is the order. */
  clear(): void {
    this.#seq_by_property.clear();
  }
}
