/** Ranges that follow their data: what this page says of them, and takes from others. */

import { beforeEach, describe, expect, test } from "vitest";
import { type Ranges, ranges_of, restore_ranges, take_follows, with_follows } from "../src/ranges";
import type { BokehRoot } from "../src/upstream";
import { bokehjs, make_model } from "./page";

interface Range {
  have_updated_interactively: boolean;
  readonly _initial_start: number | null;
  readonly _initial_end: number | null;
}

let bokeh: BokehRoot;

beforeEach(async () => {
  bokeh = await bokehjs();
});

function document_with(attributes: Record<string, unknown>): [never, Range] {
  const model = make_model(bokeh, "DataRange1d", "range", attributes);
  const other = make_model(bokeh, "Range1d", "other", {});
  const models = new Map([
    ["range", model],
    ["other", other],
  ]);
  const document = { _all_models: models, get_model_by_id: (id: string) => models.get(id) ?? null };
  return [document as never, model as unknown as Range];
}

const end = (id: string, more = {}) => ({ kind: "ModelChanged", attr: "end", model: { id }, new: 9, ...more });

describe("a range with ends that an earlier page has found", () => {
  test("follows its data again, or stays where the user has moved it", () => {
    const [document, range] = document_with({ start: 1, end: 2 });
    expect([range._initial_start, range._initial_end]).toEqual([1, 2]);
    restore_ranges(bokeh, document, { range: { ends: ["end"], follows: true }, gone: { ends: [], follows: true } });
    expect([range._initial_start, range._initial_end]).toEqual([1, null]);
    expect(range.have_updated_interactively).toBe(false);
    restore_ranges(bokeh, document, { range: { ends: ["end"], follows: false } });
    expect(range.have_updated_interactively).toBe(true);
    const expected: Ranges = { range: { ends: ["end"], follows: false } };
    expect(ranges_of(bokeh, document)).toEqual(expected);
  });

  test("is said to follow, or to be moved, with each of its ends", () => {
    const [document, range] = document_with({});
    const events = [end("range"), end("other"), end("missing"), { kind: "TitleChanged", title: "x" }];
    const others = events.slice(1);
    expect(with_follows(bokeh, document, events)).toEqual([end("range", { follows: true }), ...others]);
    range.have_updated_interactively = true;
    expect(with_follows(bokeh, document, events)).toEqual([end("range", { follows: false }), ...others]);
  });

  test("stays or follows as in the page that has moved it", () => {
    const [document, range] = document_with({});
    take_follows(bokeh, document, [end("range", { follows: false }), end("other", { follows: false })]);
    expect(range.have_updated_interactively).toBe(true);
    take_follows(bokeh, document, [end("range")]); // Python's
    expect(range.have_updated_interactively).toBe(true);
    take_follows(bokeh, document, [end("range", { follows: true })]);
    expect(range.have_updated_interactively).toBe(false);
  });
});
