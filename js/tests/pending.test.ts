import { describe, expect, test } from "vitest";
import { PendingChanges } from "../src/pending";

const value = (id: string, attr = "value") => ({ kind: "ModelChanged", model: { id }, attr, new: 1 });
const data = (id: string) => ({ kind: "ColumnDataChanged", model: { id }, attr: "data", data: {} });
const stream = (id: string) => ({ kind: "ColumnsStreamed", model: { id }, attr: "data", data: {}, rollover: null });

describe("changes that wait for Python", () => {
  test("replace older values of the same property only", () => {
    const pending = new PendingChanges();
    pending.sent(1, [value("a"), data("s")]);
    expect(pending.that_stay([value("a"), value("a", "title"), value("b"), data("s"), stream("s")])).toEqual([
      value("a", "title"),
      value("b"),
      stream("s"),
    ]);
  });

  test("end with their acknowledgement, not with that of an earlier one", () => {
    const pending = new PendingChanges();
    pending.sent(1, [value("a")]);
    pending.sent(2, [value("a"), value("b")]);
    pending.acknowledged(1);
    expect(pending.that_stay([value("a"), value("b")])).toEqual([]);
    pending.acknowledged(2);
    expect(pending.that_stay([value("a"), value("b")])).toEqual([value("a"), value("b")]);
  });

  test("are none after a whole document; streams and roots never are", () => {
    const pending = new PendingChanges();
    pending.sent(1, [value("a"), stream("s"), { kind: "RootRemoved", model: { id: "a" } }]);
    pending.clear();
    expect(pending.that_stay([value("a")])).toEqual([value("a")]);
    pending.sent(2, [stream("s")]);
    expect(pending.that_stay([data("s"), stream("s")])).toEqual([data("s"), stream("s")]);
  });
});
