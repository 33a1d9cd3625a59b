/** The data of a plot as tables. */

import { beforeEach, describe, expect, test } from "vitest";
import { MAX_ROWS, make_data_region } from "../src/data_table";
import type { BokehRoot } from "../src/upstream";
import { bokehjs, make_model, required } from "./page";

let bokeh: BokehRoot;
let count = 0;

beforeEach(async () => {
  bokeh = await bokehjs();
});

const make = (name: string, attributes: Record<string, unknown> = {}) =>
  make_model(bokeh, name, `data-${++count}`, attributes);

function cells(region: HTMLElement): string[][] {
  return [...region.querySelectorAll("tr")].map((row) => [...row.children].map((cell) => cell.textContent ?? ""));
}

function plot_of(source: object, axis: string): ReturnType<typeof make> {
  const glyph = make("Line", { x: { field: "time" }, y: { field: "y" } });
  const renderer = make("GlyphRenderer", { data_source: source, glyph });
  const box = make("BoxAnnotation", { left: 1, right: 2 });
  return make("Plot", { renderers: [renderer, box], below: [make(axis)], left: [make("LinearAxis")] });
}

describe("the data of a plot", () => {
  test("is shown when the button is pressed, as it is then, and hidden when it is pressed again", () => {
    const source = make("ColumnDataSource", {
      name: "readings",
      data: {
        time: [0, 86_400_000.5, Number.POSITIVE_INFINITY],
        y: [Number.NaN, 2, 3],
        word: ["a", null, ""],
        many: [[1, 2], {}, []],
      },
    });
    let asked = 0;
    const plot = plot_of(source, "DatetimeAxis");
    const region = make_data_region(() => {
      asked += 1;
      return [plot];
    });
    const button = required(region.querySelector("button"));
    const state = () => [
      button.textContent,
      button.getAttribute("aria-expanded"),
      region.querySelectorAll("table").length,
    ];
    expect(state()).toEqual(["Show data as table", "false", 0]);
    expect(asked).toBe(0);
    button.click();
    expect(state()).toEqual(["Hide data table", "true", 1]);
    expect(region.querySelector("caption")?.textContent).toBe("readings: 3 rows");
    expect(region.querySelector("th")?.scope).toBe("col");
    expect(cells(region)).toEqual([
      ["time", "y", "word", "many"],
      ["1970-01-01", "", "a", "2 values"],
      ["1970-01-02", "2", "", "…"],
      ["Infinity", "3", "", "0 values"],
    ]);
    source.setv({ data: { y: [7] } });
    expect(cells(region).length).toBe(4);
    button.click();
    expect(state()).toEqual(["Show data as table", "false", 0]);
    button.click();
    expect(cells(region)).toEqual([["y"], ["7"]]);
    expect(asked).toBe(2);
  });

  test("is numbers where the axis has no dates, and the last rows of many", () => {
    const time = Array.from({ length: MAX_ROWS + 5 }, (_, index) => index);
    const source = make("ColumnDataSource", { data: { time } });
    const plot = plot_of(source, "LinearAxis");
    const region = make_data_region(() => [plot]);
    region.querySelector("button")?.click();
    expect(region.querySelector("caption")?.textContent).toBe("Data 1 of 1: 205 rows, the last 200 of them");
    expect(cells(region).slice(0, 2)).toEqual([["time"], ["5"]]);
    expect(cells(region).at(-1)).toEqual([String(MAX_ROWS + 4)]);
  });

  test("may be none", () => {
    const region = make_data_region(() => []);
    region.querySelector("button")?.click();
    expect(region.querySelector(".bokeh-widget-tables")?.textContent).toBe("The plot has no columns of data.");
  });
});
