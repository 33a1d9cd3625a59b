/** The golden cases of tests/flow, which Python's half is tested with, too. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test, vi } from "vitest";
import { type Change, Coalescer, type Column } from "../src/coalescing";
import { Outbox, type OutboxOptions } from "../src/outbox";

type Flowing = Change<string, unknown>;

const FOLDER = join(import.meta.dirname, "../../tests/flow");

function read<T>(name: string): T {
  return JSON.parse(readFileSync(join(FOLDER, `${name}.json`), "utf-8")) as T;
}

interface CoalescingCase {
  readonly name: string;
  readonly steps: readonly {
    readonly put?: Flowing & { readonly type?: keyof typeof TYPES };
    readonly take?: readonly Flowing[];
  }[];
}

const TYPES = {
  list: (values: Column) => [...(values as number[])],
  float64: (values: Column) => new Float64Array(values as number[]),
  int32: (values: Column) => new Int32Array(values as number[]),
};

/** Types that the columns of a change have, which files cannot say. */
function typed(change: Flowing & { readonly type?: keyof typeof TYPES }): Flowing {
  const { type = "list", ...rest } = change;
  if (rest.kind != "stream") {
    return rest;
  }
  const rows = Object.entries(rest.rows).map(([name, column]) => [name, TYPES[type](column)] as const);
  return { ...rest, rows: Object.fromEntries(rows) };
}

function plain(change: Flowing): Flowing {
  return change.kind == "stream" ? typed(change) : change;
}

describe("coalescing", () => {
  test.each(read<CoalescingCase[]>("coalescing"))("$name", ({ steps }) => {
    const waiting = new Coalescer<string, unknown>();
    let puts = 0;
    let taken = 0;
    for (const { put, take } of steps) {
      if (put !== undefined) {
        waiting.put(typed(put));
        puts += 1;
        expect(waiting.is_empty).toBe(false);
        continue;
      }
      const changes = waiting.take();
      taken += changes.length;
      expect(changes.map(plain)).toEqual(take);
      expect(waiting.is_empty).toBe(true);
    }
    expect(waiting.coalesced).toBe(puts - taken);
  });

  const rows = (source: string, x: Column, rollover: number | null = null): Flowing => ({
    kind: "stream",
    source,
    rows: { x },
    rollover,
  });
  const fix = (source: string, where: number): Flowing => ({ kind: "patch", source, patches: { x: [[where, 0]] } });

  test("rows and values of patches are those of the moment of the change", () => {
    const waiting = new Coalescer<string, unknown>();
    const list = [1];
    const array = new Float64Array([2]);
    const slice = [3, 4];
    waiting.put(rows("s", list));
    waiting.put(rows("t", array));
    waiting.put({ kind: "patch", source: "u", patches: { x: [[{ start: 0, stop: 2 }, slice]] } });
    list[0] = 9;
    array[0] = 9;
    slice[0] = 9;
    expect(waiting.take()).toEqual([
      rows("s", [1]),
      rows("t", new Float64Array([2])),
      { kind: "patch", source: "u", patches: { x: [[{ start: 0, stop: 2 }, [3, 4]]] } },
    ]);
  });

  test("arrays are joined to one of their type, and those with rows of rows stay apart", () => {
    const waiting = new Coalescer<string, unknown>();
    waiting.put(rows("s", new Float32Array([1, 2])));
    waiting.put(rows("s", new Float32Array([3]).subarray(0)));
    const image = (): Column => Object.assign(new Float64Array(4), { shape: [2, 2] });
    waiting.put(rows("t", image()));
    waiting.put(rows("t", image()));
    const [first, ...others] = waiting.take();
    expect(first).toEqual(rows("s", new Float32Array([1, 2, 3])));
    expect(others.length).toBe(2);
  });

  test("rows of long columns, and many of them, are cut to what the rollover keeps", () => {
    const waiting = new Coalescer<string, unknown>();
    waiting.put(rows("s", new Int16Array([1, 2, 3, 4, 5]), 3));
    expect(waiting.take()).toEqual([rows("s", new Int16Array([3, 4, 5]), 3)]);
    for (let i = 0; i < 10_000; i++) {
      waiting.put(rows("s", [i, i + 0.5], 3));
    }
    expect(waiting.take()).toEqual([rows("s", [9998.5, 9999, 9999.5], 3)]);
  });

  test("rows that the rollover drops are not kept until then", () => {
    const waiting = new Coalescer<string, unknown>();
    for (let i = 0; i < 1000; i++) {
      waiting.put(rows("s", new Float64Array([i, i]), 5));
    }
    const joined = vi.spyOn(Object.getPrototypeOf(Float64Array.prototype) as Float64Array, "set");
    waiting.take();
    expect(joined.mock.calls.length).toBe(3); // pieces of two rows
    joined.mockRestore();
  });

  test("too many rows and patches of a source become its whole data; other sources keep theirs", () => {
    const waiting = new Coalescer<string, unknown>();
    const alternate = (source: string, count: number): void => {
      for (let i = 0; i < count; i++) {
        waiting.put(i % 2 == 0 ? rows(source, [i]) : fix(source, i));
      }
    };
    alternate("s", 256);
    alternate("t", 2);
    expect(waiting.size).toBe(258);
    expect(waiting.has_property("s", "data")).toBe(false);
    waiting.put(rows("s", [1]));
    expect(waiting.has_property("s", "data")).toBe(true);
    expect(waiting.coalesced).toBe(256);
    expect(waiting.take()).toEqual([rows("t", [0]), fix("t", 1), { kind: "whole", source: "s" }]);
  });

  test("says which properties and rows wait", () => {
    const waiting = new Coalescer<string, unknown>();
    const seen = () => [
      waiting.has_property("a", "x"),
      waiting.has_property("a", "y"),
      waiting.has_property("s", "data"),
      waiting.has_rows("s"),
      waiting.has_rows("t"),
    ];
    expect(seen()).toEqual([false, false, false, false, false]);
    waiting.put({ kind: "property", model: "a", attr: "x", value: 1 });
    waiting.put({ kind: "discrete", value: "click" });
    waiting.put(rows("s", [1]));
    waiting.put({ kind: "columns", source: "t", columns: ["x"] });
    expect(seen()).toEqual([true, false, false, true, true]);
    waiting.put({ kind: "whole", source: "s" });
    expect(seen()).toEqual([true, false, true, false, true]);
    waiting.take();
    expect(seen()).toEqual([false, false, false, false, false]);
  });
});

interface OutboxStep {
  readonly at_ms: number;
  readonly attach?: string;
  readonly number?: number;
  readonly leave?: string;
  readonly send?: number;
  readonly weight?: number;
  readonly acknowledge?: string;
  readonly cost_ms?: number;
  readonly block?: true;
  readonly unblock?: true;
  readonly ready?: boolean;
  readonly wait_ms?: number | null;
  readonly overdue?: readonly string[];
}

interface OutboxCase {
  readonly name: string;
  readonly options: OutboxOptions;
  readonly steps: readonly OutboxStep[];
}

describe("outbox", () => {
  function take_step(outbox: Outbox, step: OutboxStep): void {
    const { at_ms, number = 0 } = step;
    const where = JSON.stringify(step);
    if (step.attach !== undefined) {
      outbox.attach(step.attach, number);
    }
    if (step.leave !== undefined) {
      outbox.leave(step.leave);
    }
    if (step.send !== undefined) {
      outbox.sent(step.send, at_ms, step.weight);
    }
    if (step.acknowledge !== undefined) {
      outbox.acknowledge(step.acknowledge, number, at_ms, step.cost_ms);
    }
    if (step.block !== undefined) {
      outbox.block(at_ms);
    }
    if (step.unblock !== undefined) {
      outbox.unblock();
    }
    if (step.ready !== undefined) {
      expect(outbox.is_ready(at_ms), where).toBe(step.ready);
      expect(outbox.wait_ms(at_ms) === null, where).toBe(step.ready);
    }
    if (step.wait_ms !== undefined) {
      expect(outbox.wait_ms(at_ms), where).toBe(step.wait_ms);
    }
    if (step.overdue !== undefined) {
      const is_due = outbox.reminder_ms(at_ms) === 0;
      expect(is_due, where).toBe(step.overdue.length > 0);
      expect(outbox.overdue(at_ms), where).toEqual(step.overdue);
      expect(outbox.overdue(at_ms), where).toEqual([]);
    }
  }

  test.each(read<OutboxCase[]>("outbox"))("$name", ({ options, steps }) => {
    const outbox = new Outbox(options);
    for (const step of steps) {
      take_step(outbox, step);
    }
  });

  const OPTIONS: OutboxOptions = { window: 1, expiry_ms: 1000, refill_ms: 50 };

  test("knows when the next reminder is due", () => {
    const outbox = new Outbox(OPTIONS);
    outbox.attach("a", 0);
    expect(outbox.reminder_ms(0)).toBeNull();
    outbox.sent(1, 10);
    expect(outbox.reminder_ms(20)).toBe(990);
    expect(outbox.overdue(1010)).toEqual(["a"]);
    expect(outbox.reminder_ms(1020)).toBe(1990);
    outbox.acknowledge("a", 1, 1030);
    expect(outbox.reminder_ms(1040)).toBeNull();
  });

  test("a peer that has all of which it was reminded is reminded of the next as early as ever", () => {
    const outbox = new Outbox(OPTIONS);
    outbox.attach("a", 0);
    outbox.sent(1, 0);
    expect(outbox.overdue(1000)).toEqual(["a"]);
    outbox.sent(2, 1000);
    outbox.acknowledge("a", 1, 1900);
    expect(outbox.overdue(1999)).toEqual([]);
    expect(outbox.overdue(2000)).toEqual(["a"]);
  });

  test("a peer that never answers does not make the list of frames grow", () => {
    const outbox = new Outbox({ ...OPTIONS, window: 1000 });
    outbox.attach("a", 0);
    for (let number = 1; number <= 100_000; number++) {
      outbox.sent(number, number / 1000);
    }
    outbox.acknowledge("a", 1, 100);
    expect(outbox.reminder_ms(100)).toBeCloseTo(999.937); // the oldest of the newest is known
  });
});
