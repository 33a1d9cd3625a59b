/**
 * Changes that wait to be sent, brought to as few as mean the same. Pure: no BokehJS, no timers.
 *
 * bokeh_widget/_coalescing.py keeps the same rules; tests/flow/coalescing.json are cases for both.
 */

type TypedColumn = { readonly length: number } & ArrayBufferView;
export type Column = readonly unknown[] | TypedColumn;
export type Rows = Readonly<Record<string, Column>>;

/** Pairs (where, what) by column. */
export type Patches = Readonly<Record<string, readonly unknown[]>>;

/** One change; `M` tells models apart, and `V` is what of a change is not looked at here. */
export type Change<M, V> =
  | { readonly kind: "property"; readonly model: M; readonly attr: string; readonly value: V }
  | { readonly kind: "whole"; readonly source: M }
  | { readonly kind: "columns"; readonly source: M; readonly columns: readonly string[] }
  | { readonly kind: "stream"; readonly source: M; readonly rows: Rows; readonly rollover: number | null }
  | { readonly kind: "patch"; readonly source: M; readonly patches: Patches }
  | { readonly kind: "continuous"; readonly model: M; readonly name: string; readonly value: V }
  | { readonly kind: "discrete"; readonly value: V };

type RowChange<M, V> = Extract<Change<M, V>, { kind: "stream" | "patch" }>;

/** With more rows and patches of one source than this, its data as a whole cost less. */
const MAX_ITEMS_OF_SOURCE = 256;

interface Item<M, V> {
  change(): Change<M, V>;
}

interface RowItem<M, V> extends Item<M, V> {
  readonly segment: number;
  /** Takes the change in, if both mean the same as one. */
  join(change: RowChange<M, V>): boolean;
}

interface WaitingSource<M, V> {
  readonly rows: RowItem<M, V>[];
  columns: { readonly names: Set<string>; readonly item: Item<M, V> } | null;
  whole: Item<M, V> | null;
}

export class Coalescer<M, V> {
  /** In the order in which they are sent. */
  readonly #items = new Set<Item<M, V>>();
  readonly #properties = new Map<M, Set<string>>();
  readonly #sources = new Map<M, WaitingSource<M, V>>();
  /** What a later change may replace: nothing moves across a discrete change. */
  #replaceable = new Map<M, Map<string, Item<M, V>>>();
  #segment = 0;
  #coalesced = 0;

  get is_empty(): boolean {
    return this.#items.size == 0;
  }

  /** How many changes wait. */
  get size(): number {
    return this.#items.size;
  }

  /** How many changes were taken in by others, ever. */
  get coalesced(): number {
    return this.#coalesced;
  }

  /** Whether a new value of the property waits; `data` of a source is one, too. */
  has_property(model: M, attr: string): boolean {
    if (this.#properties.get(model)?.has(attr) ?? false) {
      return true;
    }
    return attr == "data" && (this.#sources.get(model)?.whole ?? null) !== null;
  }

  /** Whether something waits that changes a part of the data of a source. */
  has_rows(source: M): boolean {
    const waiting = this.#sources.get(source);
    return waiting !== undefined && (waiting.rows.length > 0 || waiting.columns !== null);
  }

  put(change: Change<M, V>): void {
    switch (change.kind) {
      case "property":
        entry(this.#properties, change.model, () => new Set()).add(change.attr);
        this.#put_last(change.model, `property ${change.attr}`, change);
        break;
      case "continuous":
        this.#put_last(change.model, `event ${change.name}`, change);
        break;
      case "discrete":
        this.#items.add({ change: () => change });
        this.#replaceable = new Map();
        this.#segment += 1;
        break;
      case "whole":
        this.#put_whole(change.source);
        break;
      case "columns":
        this.#put_columns(change.source, change.columns);
        break;
      case "stream":
      case "patch":
        this.#put_rows(change);
        break;
    }
  }

  /** Hands over what waits, after which nothing does. */
  take(): Change<M, V>[] {
    const changes = Array.from(this.#items, (item) => item.change());
    this.#items.clear();
    this.#properties.clear();
    this.#sources.clear();
    this.#replaceable = new Map();
    return changes;
  }

  #put_last(model: M, key: string, change: Change<M, V>): void {
    const replaceable = entry(this.#replaceable, model, () => new Map<string, Item<M, V>>());
    const earlier = replaceable.get(key);
    if (earlier !== undefined) {
      this.#items.delete(earlier);
      this.#coalesced += 1;
    }
    const item = { change: () => change };
    replaceable.set(key, item);
    this.#items.add(item);
  }

  #source(source: M): WaitingSource<M, V> {
    return entry(this.#sources, source, () => ({ rows: [], columns: null, whole: null }));
  }

  /** The data as they are when they are sent contain all that waits and all that will follow. */
  #put_whole(source: M): void {
    const waiting = this.#source(source);
    const contained = [...waiting.rows.splice(0), waiting.columns?.item, waiting.whole];
    for (const item of contained) {
      if (item != null) {
        this.#items.delete(item);
        this.#coalesced += 1;
      }
    }
    waiting.columns = null;
    waiting.whole = { change: () => ({ kind: "whole", source }) };
    this.#items.add(waiting.whole);
  }

  #put_columns(source: M, columns: readonly string[]): void {
    const waiting = this.#source(source);
    if (waiting.whole !== null) {
      this.#coalesced += 1;
      return;
    }
    if (waiting.columns === null) {
      const names = new Set<string>();
      waiting.columns = { names, item: { change: () => ({ kind: "columns", source, columns: [...names] }) } };
    } else {
      this.#items.delete(waiting.columns.item);
      this.#coalesced += 1;
    }
    for (const name of columns) {
      waiting.columns.names.add(name);
    }
    this.#items.add(waiting.columns.item);
  }

  #put_rows(change: RowChange<M, V>): void {
    const waiting = this.#source(change.source);
    const last = waiting.rows.at(-1);
    if (waiting.whole !== null || (last?.segment == this.#segment && waiting.columns === null && last.join(change))) {
      this.#coalesced += 1;
      return;
    }
    if (waiting.columns !== null || waiting.rows.length >= MAX_ITEMS_OF_SOURCE) {
      this.#put_whole(change.source);
      return;
    }
    const item =
      change.kind == "stream"
        ? new StreamItem<M, V>(change.source, change.rows, change.rollover, this.#segment)
        : new PatchItem<M, V>(change.source, change.patches, this.#segment);
    waiting.rows.push(item);
    this.#items.add(item);
  }
}

/** Rows in the pieces in which they came; they are joined once, when they are sent. */
class StreamItem<M, V> implements RowItem<M, V> {
  readonly segment: number;
  readonly #source: M;
  readonly #rollover: number | null;
  readonly #names: readonly string[];
  readonly #pieces: Rows[];
  #length: number;

  constructor(source: M, rows: Rows, rollover: number | null, segment: number) {
    this.segment = segment;
    this.#source = source;
    this.#rollover = rollover;
    this.#names = Object.keys(rows);
    this.#pieces = [copy_of(rows, rollover)];
    this.#length = shortest(this.#pieces[0] as Rows);
  }

  join(change: RowChange<M, V>): boolean {
    if (change.kind != "stream" || change.rollover !== this.#rollover) {
      return false;
    }
    const first = this.#pieces[0] as Rows;
    const is_alike =
      Object.keys(change.rows).length == this.#names.length &&
      this.#names.every((name) => Object.hasOwn(change.rows, name) && are_joinable(first[name], change.rows[name]));
    if (!is_alike) {
      return false;
    }
    const piece = copy_of(change.rows, this.#rollover);
    this.#pieces.push(piece);
    this.#length += shortest(piece);
    this.#drop_rolled_over();
    return true;
  }

  /** What waits must not grow with the time for which it waits. */
  #drop_rolled_over(): void {
    const rollover = this.#rollover;
    while (rollover !== null && this.#pieces.length > 1) {
      const length = shortest(this.#pieces[0] as Rows);
      if (this.#length - length < rollover) {
        return;
      }
      this.#pieces.shift();
      this.#length -= length;
    }
  }

  change(): Change<M, V> {
    const joined = this.#names.map((name) => {
      const column = join_columns(this.#pieces.map((piece) => piece[name] as Column));
      return [name, last_of(column, this.#rollover)] as const;
    });
    return { kind: "stream", source: this.#source, rows: Object.fromEntries(joined), rollover: this.#rollover };
  }
}

class PatchItem<M, V> implements RowItem<M, V> {
  readonly segment: number;
  readonly #source: M;
  readonly #patches = new Map<string, unknown[]>();

  constructor(source: M, patches: Patches, segment: number) {
    this.segment = segment;
    this.#source = source;
    this.#add(patches);
  }

  join(change: RowChange<M, V>): boolean {
    if (change.kind != "patch") {
      return false;
    }
    this.#add(change.patches);
    return true;
  }

  #add(patches: Patches): void {
    for (const [name, pairs] of Object.entries(patches)) {
      const waiting = entry(this.#patches, name, () => []);
      for (const pair of pairs) {
        waiting.push(Array.isArray(pair) ? pair.map((part) => (is_column(part) ? copy_column(part) : part)) : pair);
      }
    }
  }

  change(): Change<M, V> {
    return { kind: "patch", source: this.#source, patches: Object.fromEntries(this.#patches) };
  }
}

interface Shaped {
  readonly shape?: readonly number[];
}

type ColumnClass = new (values: unknown, shape?: unknown) => TypedColumn & { set(values: unknown, at: number): void };

function is_column(value: unknown): value is Column {
  return Array.isArray(value) || (ArrayBuffer.isView(value) && !(value instanceof DataView));
}

/** Lists go with lists and arrays with those of their type; what has rows of rows goes alone. */
function are_joinable(a: Column | undefined, b: Column | undefined): boolean {
  if (a === undefined || b === undefined || a.constructor !== b.constructor || !is_column(a)) {
    return false;
  }
  return Array.isArray(a) ? a.constructor === Array : is_flat(a as TypedColumn) && is_flat(b as TypedColumn);
}

function is_flat(column: TypedColumn): boolean {
  return ((column as Shaped).shape?.length ?? 1) == 1;
}

function copy_column(column: Column): Column {
  if (Array.isArray(column)) {
    return column.constructor === Array ? column.slice() : column;
  }
  return is_column(column) ? new (column.constructor as ColumnClass)(column, (column as Shaped).shape) : column;
}

/** The caller may use its arrays again. */
function copy_of(rows: Rows, rollover: number | null): Rows {
  return Object.fromEntries(
    Object.entries(rows).map(([name, column]) => {
      const last = last_of(column, rollover);
      return [name, last === column ? copy_column(column) : last] as const;
    }),
  );
}

function shortest(rows: Rows): number {
  const lengths = Object.values(rows).map(({ length }) => length);
  return lengths.length == 0 ? 0 : Math.min(...lengths);
}

/** A copy of the last values, or the column itself where it has no more, or is no plain column. */
function last_of(column: Column, rollover: number | null): Column {
  if (rollover === null || column.length <= rollover || !are_joinable(column, column)) {
    return column;
  }
  const plain = column as readonly unknown[]; // typed arrays have slice(), too
  return plain.slice(plain.length - rollover);
}

function join_columns(pieces: readonly Column[]): Column {
  const first = pieces[0] as Column;
  if (pieces.length == 1) {
    return first;
  }
  if (Array.isArray(first)) {
    return (pieces as readonly (readonly unknown[])[]).flat(1);
  }
  const joined = new (first.constructor as ColumnClass)(pieces.reduce((total, { length }) => total + length, 0));
  let at = 0;
  for (const piece of pieces) {
    joined.set(piece, at);
    at += piece.length;
  }
  return joined;
}

function entry<K, T>(map: Map<K, T>, key: K, make: () => T): T {
  let found = map.get(key);
  if (found === undefined) {
    found = make();
    map.set(key, found);
  }
  return found;
}
