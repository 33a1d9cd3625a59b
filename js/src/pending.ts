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

/** What waits in the page and was not sent yet. */
export interface WaitingChanges {
  waits_with(id: string, attr: string): boolean;
  waits_with_rows(id: string): boolean;
}

const REPLACES: ReadonlySet<unknown> = new Set(["ModelChanged", "ColumnDataChanged"]);
const CHANGES_ROWS: ReadonlySet<unknown> = new Set(["ColumnsStreamed", "ColumnsPatched"]);

interface Place {
  readonly id: string;
  readonly attr: string;
  readonly key: string;
  readonly replaces: boolean;
  readonly changes_rows: boolean;
}

function place_of(event: unknown): Place {
  const { kind, model, attr } = event as Fields;
  const id = String(model?.id);
  const replaces = REPLACES.has(kind);
  return { id, attr: String(attr), key: `${id}.${String(attr)}`, replaces, changes_rows: CHANGES_ROWS.has(kind) };
}

export class PendingChanges {
  readonly #seq_by_property = new Map<string, number>();
  readonly #seq_by_rows = new Map<string, number>();
  /** When Python has taken this change, the document here and in Python may differ. */
  #doubtful_seq: number | null = null;

  /** The events are on their way to Python as number `seq` of this client. */
  sent(seq: number, events: readonly unknown[]): void {
    for (const event of events) {
      const { key, replaces, changes_rows } = place_of(event);
      if (replaces) {
        this.#seq_by_property.set(key, seq);
      } else if (changes_rows) {
        this.#seq_by_rows.set(key, seq);
      }
    }
  }

  /**
   * Python has put all changes up to number `seq` into its order.
   *
   * @returns whether both documents may differ now: both sides changed rows of one source, each in its own order.
   */
  acknowledged(seq: number): boolean {
    for (const table of [this.#seq_by_property, this.#seq_by_rows]) {
      for (const [key, last] of table) {
        if (last <= seq) {
          table.delete(key);
        }
      }
    }
    const is_doubtful = this.#doubtful_seq !== null && this.#doubtful_seq <= seq;
    if (is_doubtful) {
      this.#doubtful_seq = null;
    }
    return is_doubtful;
  }

  /**
   * Of what Python sends, the events that no later change of ours replaces.
   *
   * @param waiting the later changes that have no number yet.
   * @param next_seq the number that they will have.
   */
  that_stay(events: readonly unknown[], waiting: WaitingChanges, next_seq: number): readonly unknown[] {
    return events.filter((event) => {
      const { id, attr, key, replaces, changes_rows } = place_of(event);
      if (!replaces && !changes_rows) {
        return true;
      }
      // data that are replaced here and not sent yet are sent with these rows in them
      if (this.#seq_by_property.has(key) || (replaces && waiting.waits_with(id, attr))) {
        return false;
      }
      const doubtful = waiting.waits_with_rows(id) && attr == "data" ? next_seq : this.#seq_by_rows.get(key);
      if (doubtful !== undefined) {
        this.doubt(doubtful);
      }
      return true;
    });
  }

  /** The document here may differ from Python's once that has taken this change. */
  doubt(seq: number): void {
    this.#doubtful_seq = Math.max(seq, this.#doubtful_seq ?? 0);
  }

  /** The document came as a whole: what is in it is the order. */
  clear(): void {
    this.#seq_by_property.clear();
    this.#seq_by_rows.clear();
    this.#doubtful_seq = null;
  }
}
