import { describe, expect, test } from "vitest";
import { PendingChanges, type WaitingChanges } from "../src/pending";

const value = (id: string, attr = "value") => ({ kind: "ModelChanged", model: { id }, attr, new: 1 });
const data = (id: string) => ({ kind: "ColumnDataChanged", model: { id }, attr: "data", data: {} });
const stream = (id: string) => ({ kind: "ColumnsStreamed", model: { id }, attr: "data", data: {}, rollover: null });

const nothing: WaitingChanges = { waits_with: () => false, waits_with_rows: () => false };

describe("changes that wait for Python", () => {
  test("replace older values of the same property, and older rows of the same data, only", () => {
    const pending = new PendingChanges();
    pending.sent(1, [value("a"), data("s")]);
    expect(
      pending.that_stay([value("a"), value("a", "title"), value("b"), data("s"), stream("s")], nothing, 9),
    ).toEqual([value("a", "title"), value("b")]);
  });

  test("end with their acknowledgement, not with that of an earlier one", () => {
    const pending = new PendingChanges();
    pending.sent(1, [value("a")]);
    pending.sent(2, [value("a"), value("b")]);
    pending.acknowledged(1);
    expect(pending.that_stay([value("a"), value("b")], nothing, 9)).toEqual([]);
    pending.acknowledged(2);
    expect(pending.that_stay([value("a"), value("b")], nothing, 9)).toEqual([value("a"), value("b")]);
  });

  test("are none after a whole document; streams and roots never are", () => {
    const pending = new PendingChanges();
    pending.sent(1, [value("a"), stream("s"), { kind: "RootRemoved", model: { id: "a" } }]);
    pending.clear();
    expect(pending.that_stay([value("a")], nothing, 9)).toEqual([value("a")]);
    pending.sent(2, [stream("s")]);
    expect(pending.that_stay([data("s"), stream("s")], nothing, 9)).toEqual([data("s"), stream("s")]);
  });

  test("count from the moment of the change, not from when they are sent", () => {
    const pending = new PendingChanges();
    const waiting: WaitingChanges = {
      waits_with: (id, attr) => ["a.value", "s.data"].includes(`${id}.${attr}`),
      waits_with_rows: () => false,
    };
    const events = [value("a"), value("a", "title"), data("s"), stream("s"), { kind: "TitleChanged", title: "t" }];
    // the rows will be in the data that are sent
    expect(pending.that_stay(events, waiting, 1)).toEqual([events[1], events[3], events[4]]);
  });

  test("of rows, on both sides at once, leave a doubt until Python has ours", () => {
    const pending = new PendingChanges();
    const waiting: WaitingChanges = { waits_with: () => false, waits_with_rows: (id) => id == "t" };
    pending.sent(1, [stream("s")]);
    pending.sent(2, [stream("u")]);
    expect(pending.acknowledged(0)).toBe(false);
    expect(pending.that_stay([stream("s"), stream("v"), value("u")], waiting, 3).length).toBe(3);
    expect(pending.acknowledged(1)).toBe(true);
    expect(pending.acknowledged(1)).toBe(false);
    pending.that_stay([data("t")], waiting, 3); // what waits here will get number 3
    expect(pending.acknowledged(2)).toBe(false);
    expect(pending.acknowledged(3)).toBe(true);
    pending.doubt(4);
    pending.clear();
    expect(pending.acknowledged(4)).toBe(false);
  });
});
