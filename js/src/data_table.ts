/**
 * The data of a plot as tables, for who cannot see the plot: a button that is unseen until the keyboard reaches it.
 *
 * The tables are made when the button is pressed, of what the document holds then; until that, and while rows are
 * streamed, they cost nothing.
 */

import type { HasProps } from "@bokeh/bokehjs/build/js/lib/core/has_props";

/** So many rows of each source are shown, the last ones. */
export const MAX_ROWS = 200;

/** So many sources are shown. */
const MAX_SOURCES = 20;

const SHOW = "Show data as table";
const HIDE = "Hide data table";

interface Source extends HasProps {
  readonly name: string | null;
  columns(): string[];
  get_length(soft: boolean): number | null;
  get_column(name: string): ArrayLike<unknown> | null;
}

/** A button that shows the data of some models, and hides them again. */
export function make_data_region(models: () => readonly HasProps[]): HTMLElement {
  const region = document.createElement("div");
  region.classList.add("bokeh-widget-data");
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = SHOW;
  button.setAttribute("aria-expanded", "false");
  button.addEventListener("click", () => {
    const shown = region.querySelector(":scope > .bokeh-widget-tables");
    shown?.remove();
    const is_shown = shown === null;
    if (is_shown) {
      region.append(tables_of(models()));
    }
    button.textContent = is_shown ? HIDE : SHOW;
    button.setAttribute("aria-expanded", String(is_shown));
  });
  region.append(button);
  return region;
}

function tables_of(roots: readonly HasProps[]): HTMLElement {
  const tables = document.createElement("div");
  tables.classList.add("bokeh-widget-tables");
  tables.tabIndex = 0; // it scrolls
  tables.setAttribute("role", "region");
  tables.setAttribute("aria-label", "Data of the plot");
  const models = new Set(roots.flatMap((root) => [...root.references()]));
  const sources = [...models].filter(is_source).filter((source) => source.columns().length > 0);
  const dates = date_columns(models);
  for (const [index, source] of sources.slice(0, MAX_SOURCES).entries()) {
    tables.append(table_of(source, dates.get(source) ?? new Set(), `Data ${index + 1} of ${sources.length}`));
  }
  if (sources.length == 0) {
    tables.textContent = "The plot has no columns of data.";
  }
  return tables;
}

function table_of(source: Source, dates: ReadonlySet<string>, number: string): HTMLTableElement {
  const table = document.createElement("table");
  const rows = source.get_length(true) ?? 0;
  const first = Math.max(0, rows - MAX_ROWS);
  const part = first == 0 ? "" : `, the last ${MAX_ROWS} of them`;
  table.createCaption().textContent = `${source.name ?? number}: ${rows} rows${part}`;
  const names = source.columns();
  const head = table.createTHead().insertRow();
  for (const name of names) {
    const cell = document.createElement("th");
    cell.scope = "col";
    cell.textContent = name;
    head.append(cell);
  }
  const columns = names.map((name) => [source.get_column(name), dates.has(name)] as const);
  const body = table.createTBody();
  for (let row = first; row < rows; row++) {
    const line = body.insertRow();
    for (const [column, is_date] of columns) {
      line.insertCell().textContent = text_of(column?.[row], is_date);
    }
  }
  return table;
}

function text_of(value: unknown, is_date: boolean): string {
  if (value === null || value === undefined || Number.isNaN(value)) {
    return "";
  }
  const date = new Date(is_date && typeof value == "number" ? value : Number.NaN);
  if (!Number.isNaN(date.getTime())) {
    return date
      .toISOString()
      .replace("T", " ")
      .replace(/( 00:00:00)?\.000Z$|Z$/, "");
  }
  if (typeof value == "object") {
    const { length } = value as { readonly length?: unknown };
    return typeof length == "number" ? `${length} values` : "…";
  }
  return String(value);
}

/** The columns that glyphs have on axes of dates: their values are milliseconds. */
function date_columns(models: ReadonlySet<HasProps>): ReadonlyMap<HasProps, ReadonlySet<string>> {
  const found = new Map<HasProps, Set<string>>();
  for (const model of models) {
    const plot = model as unknown as Record<"above" | "below" | "left" | "right" | "renderers", unknown>;
    const x_is_date = [...models_of(plot.above), ...models_of(plot.below)].some(is_date_axis);
    const y_is_date = [...models_of(plot.left), ...models_of(plot.right)].some(is_date_axis);
    for (const renderer of x_is_date || y_is_date ? models_of(plot.renderers) : []) {
      const { data_source, glyph } = renderer as unknown as {
        readonly data_source?: HasProps;
        readonly glyph?: HasProps;
      };
      if (data_source === undefined || glyph === undefined) {
        continue;
      }
      const fields = found.get(data_source) ?? new Set();
      found.set(data_source, fields);
      for (const property of glyph) {
        const { dimension } = property as { readonly dimension?: unknown }; // of a coordinate
        const { field } = (property.get_value() ?? {}) as { readonly field?: unknown };
        if (typeof field == "string" && ((dimension == "x" && x_is_date) || (dimension == "y" && y_is_date))) {
          fields.add(field);
        }
      }
    }
  }
  return found;
}

/** An annotation has numbers where a plot has axes. */
function models_of(value: unknown): readonly HasProps[] {
  return Array.isArray(value) ? (value as HasProps[]) : [];
}

function is_date_axis({ type }: HasProps): boolean {
  return type == "DatetimeAxis";
}

function is_source(model: HasProps): model is Source {
  const { columns, get_column } = model as unknown as Partial<Source>;
  return typeof columns == "function" && typeof get_column == "function";
}
