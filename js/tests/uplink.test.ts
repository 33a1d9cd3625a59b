import type { HasProps } from "@bokeh/bokehjs/build/js/lib/core/has_props";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { ClientMessage } from "../src/protocol";
import { Replica } from "../src/replica";
import { Uplink } from "../src/uplink";
import type { BokehRoot } from "../src/upstream";
import { described_state } from "./golden";
import { bokehjs, required, value_of } from "./page";

type Sent = Extract<ClientMessage, { kind: "patch" }>;

let bokeh: BokehRoot;
let replica: Replica;
let uplink: Uplink;
let sent: { message: Sent; buffers: ArrayBuffer[] }[];
let replicas: Replica[];

const model = (id: string, of = replica): HasProps => required(of.document.get_model_by_id(id));
const numbers = () => sent.map(({ message }) => message.seq);
const values = () => sent.map(({ message }) => (message.events as { new?: unknown }[]).map((event) => event.new));

/** The user moves the slider, in a task of its own. */
async function move(value: number): Promise<void> {
  model("slider").setv({ value });
  await Promise.resolve();
}

function make_replica(session = "session-1", state = described_state()): Replica {
  const made = new Replica(
    bokeh,
    { ...state, session },
    () => uplink.pump(),
    (error) => expect.unreachable(String(error)),
  );
  replicas.push(made);
  return made;
}

beforeEach(async () => {
  bokeh = await bokehjs();
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
  sent = [];
  replicas = [];
  uplink = new Uplink("client-1", (message, buffers) => sent.push({ message, buffers }));
  replica = make_replica();
  uplink.follow(replica);
});

afterEach(() => {
  uplink.stop();
  for (const made of replicas) {
    made.dispose();
  }
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

describe("ranges that follow the data", () => {
  const grow = async (end: number) => {
    model("range").setv({ end });
    await Promise.resolve();
  };

  beforeEach(() => {
    const json = JSON.parse(described_state().json);
    const range = { type: "object", name: "DataRange1d", id: "range", attributes: { start: 0, end: 1 } };
    const state = { ...described_state(), json: JSON.stringify({ ...json, roots: [...json.roots, range] }) };
    replica = make_replica("session-1", state);
    replica.take_changes();
    uplink.follow(replica);
  });

  test("are told of ten times a second, as they are then", async () => {
    for (const end of [2, 3, 4]) {
      await grow(end);
      vi.advanceTimersByTime(33);
    }
    expect(sent).toEqual([]);
    vi.advanceTimersByTime(1);
    expect(values()).toEqual([[4]]);
    uplink.acknowledge(1);
    await grow(5);
    vi.advanceTimersByTime(99);
    expect(values()).toEqual([[4]]);
    vi.advanceTimersByTime(1);
    expect(values()).toEqual([[4], [5]]);
  });

  test("hold up nothing else, and go with it", async () => {
    await grow(2);
    await move(7);
    expect(values()).toEqual([[2, 7]]);
    uplink.acknowledge(1);
    await move(8);
    await grow(3);
    expect(values()).toEqual([[2, 7], [8]]);
    uplink.acknowledge(2);
    expect(values()).toEqual([[2, 7], [8]]);
    uplink.flush();
    expect(values()).toEqual([[2, 7], [8], [3]]);
  });

  test("are told of at once when the user moves them", async () => {
    (model("range") as HasProps & { have_updated_interactively: boolean }).have_updated_interactively = true;
    await grow(2);
    expect(values()).toEqual([[2]]);
  });
});

describe("changes", () => {
  test("go at once while none is on its way, and wait for its acknowledgement then", async () => {
    await move(2);
    expect(values()).toEqual([[2]]);
    for (const value of [3, 4, 5]) {
      await move(value);
    }
    expect([numbers(), replica.waiting, replica.coalesced, uplink.in_flight]).toEqual([[1], 1, 2, 1]);
    uplink.acknowledge(1);
    expect([numbers(), values()]).toEqual([
      [1, 2],
      [[2], [5]],
    ]);
    uplink.acknowledge(2);
    expect([uplink.in_flight, uplink.acknowledged, uplink.seq]).toEqual([0, 2, 2]);
    vi.advanceTimersByTime(60_000);
    expect(numbers()).toEqual([1, 2]);
    await move(6);
    expect(numbers()).toEqual([1, 2, 3]);
  });

  test("are not acknowledged twice, nor by an older number", async () => {
    await move(2);
    uplink.acknowledge(1);
    await move(3);
    await move(4);
    uplink.acknowledge(1);
    uplink.acknowledge(0);
    expect([numbers(), uplink.acknowledged]).toEqual([[1, 2], 1]);
  });

  test("that are not acknowledged are sent again as they were, and the next ones wait", async () => {
    model("source").setv({ data: { x: new Float64Array([1, 2]) } });
    await Promise.resolve();
    const first = required(sent[0]);
    const copy = structuredClone(first);
    vi.advanceTimersByTime(2999);
    expect(numbers()).toEqual([1]);
    vi.advanceTimersByTime(1);
    expect(numbers()).toEqual([1, 1]);
    expect(sent[1]).toEqual(copy);
    for (const value of [3, 4, 5]) {
      await move(value);
      vi.advanceTimersByTime(1000);
    }
    vi.advanceTimersByTime(2999);
    expect(numbers()).toEqual([1, 1]);
    vi.advanceTimersByTime(1);
    expect(numbers()).toEqual([1, 1, 1]);
    expect([uplink.in_flight, replica.waiting]).toEqual([1, 1]);
    uplink.acknowledge(1);
    expect([numbers(), values().at(-1)]).toEqual([[1, 1, 1, 2], [5]]);
    uplink.acknowledge(2);
    vi.advanceTimersByTime(60_000); // a timer of BokehJS
    expect([numbers().length, vi.getTimerCount()]).toEqual([4, 0]);
  });

  test("go to a kernel that is busy for long as one frame, again ever more rarely", async () => {
    await move(2);
    for (let second = 0; second < 600; second++) {
      await move(second % 7);
      vi.advanceTimersByTime(1000);
    }
    expect(new Set(numbers())).toEqual(new Set([1]));
    expect(sent.length).toBeLessThan(25);
    expect(uplink.in_flight).toBe(1);
    uplink.acknowledge(1);
    expect(values().at(-1)).toEqual([599 % 7]);
  });

  test("that were sent when a replica went are sent again one by one, the oldest first", async () => {
    await move(2);
    await move(3);
    uplink.flush();
    await move(4);
    expect(numbers()).toEqual([1, 2]);
    vi.advanceTimersByTime(3000);
    expect(numbers()).toEqual([1, 2, 1]);
    uplink.acknowledge(1); // and if the first was lost, the kernel has left the second
    expect(numbers()).toEqual([1, 2, 1, 2]);
    uplink.acknowledge(2);
    expect([numbers(), values().at(-1)]).toEqual([[1, 2, 1, 2, 3], [4]]);
    uplink.acknowledge(3);
  });

  test("that each count are all sent, in order, however long the kernel takes", async () => {
    const { ButtonClick } = bokeh.require("core/bokeh_events") as { ButtonClick: new () => unknown };
    const button = model("button") as HasProps & { trigger_event(event: unknown): void };
    await move(2);
    for (let click = 0; click < 5; click++) {
      button.trigger_event(new ButtonClick());
      await Promise.resolve();
      vi.advanceTimersByTime(4000);
    }
    uplink.acknowledge(1);
    expect(required(sent.at(-1)).message.events.map((event) => (event as { kind: string }).kind)).toEqual(
      Array.from({ length: 5 }, () => "MessageSent"),
    );
    uplink.acknowledge(2);
  });

  test("are sent when the replica goes, ready or not", async () => {
    await move(2);
    await move(3);
    uplink.flush();
    uplink.flush();
    expect(values()).toEqual([[2], [3]]);
    expect(replica.waiting).toBe(0);
  });

  test("that cannot be sent take no number", async () => {
    const failing = new Replica(bokeh, described_state(), uplink.pump, () => undefined);
    replicas.push(failing);
    uplink.follow(failing);
    model("slider", failing).setv({ tags: [() => 0] });
    await Promise.resolve();
    expect([numbers(), uplink.seq, failing.waiting]).toEqual([[], 0, 0]);
  });

  test("of another session are not sent again, and are not waited for", async () => {
    await move(2);
    const other = make_replica("session-2");
    uplink.follow(other);
    model("slider", other).setv({ value: 7 });
    await Promise.resolve();
    vi.advanceTimersByTime(3000);
    expect(sent.map(({ message }) => [message.session, message.seq])).toEqual([
      ["session-1", 1],
      ["session-2", 2],
      ["session-2", 2],
    ]);
  });

  test("end with the last view", async () => {
    await move(2);
    await move(3);
    uplink.stop();
    vi.advanceTimersByTime(60_000);
    await move(4);
    expect([numbers(), uplink.in_flight]).toEqual([[1], 0]);
  });
});

describe("frames that are forgotten", () => {
  test("are nothing that the kernel has to wait for: the next one follows what it says it has", async () => {
    await move(2);
    await move(3);
    uplink.flush();
    uplink.stop(); // the last view goes, and frames 1 and 2 may be lost
    expect([uplink.acknowledged, uplink.seq, uplink.in_flight]).toEqual([2, 2, 0]);
    const next = make_replica();
    uplink.follow(next);
    model("slider", next).setv({ value: 4 });
    await Promise.resolve();
    expect(numbers()).toEqual([1, 2, 3]); // at once
    expect(uplink.acknowledged).toBe(2); // as the page says when it attaches
  });

  test("of another session neither", async () => {
    await move(2);
    uplink.follow(make_replica("session-2"));
    expect([uplink.acknowledged, uplink.in_flight]).toEqual([1, 0]);
  });
});

describe("a new replica", () => {
  test("is brought to what the page shows: changes that the document lacks, and no others", async () => {
    await move(2);
    uplink.acknowledge(1);
    model("slider").setv({ title: "t", value: 3 });
    (model("source") as HasProps & { stream(data: object): void }).stream({
      x: new Float64Array([9]),
      n: new Int32Array([9]),
      label: ["z"],
    });
    await Promise.resolve();
    const other = make_replica();
    uplink.replay(other, 1);
    expect([value_of(model("slider", other), "value"), value_of(model("slider", other), "title")]).toEqual([3, "t"]);
    const { label } = value_of(model("source", other), "data") as { label: string[] };
    expect(label.at(-1)).toBe("z");
    expect([other.revision, other.waiting]).toEqual([0, 0]);

    const later = make_replica();
    uplink.replay(later, 2);
    expect(value_of(model("slider", later), "value")).toBe(1);
  });

  test("gets what Python has, while the acknowledgement is not applied yet", async () => {
    await move(2);
    uplink.acknowledge(1);
    const other = make_replica();
    uplink.replay(other, 0);
    expect(value_of(model("slider", other), "value")).toBe(2);
    expect(uplink.settled(1)).toBe(false);
    const later = make_replica();
    uplink.replay(later, 0);
    expect(value_of(model("slider", later), "value")).toBe(1);
  });

  test("gets what Python has taken, but what is not applied yet of that only", async () => {
    await move(2);
    await move(3);
    uplink.acknowledge(1);
    uplink.acknowledge(2);
    expect(uplink.settled(1)).toBe(false);
    const other = make_replica();
    uplink.replay(other, 1);
    expect(value_of(model("slider", other), "value")).toBe(3);
  });

  test("that lacks a model is in doubt once Python has the change", async () => {
    await move(2);
    const other = make_replica();
    other.document.remove_root(model("slider", other), { sync: false });
    (other.document as unknown as { _recompute_all_models(): void })._recompute_all_models();
    uplink.replay(other, 0);
    uplink.acknowledge(1);
    expect(uplink.settled(1)).toBe(true);
  });

  test("hears no messages again: they are for Python alone", async () => {
    const { ButtonClick } = bokeh.require("core/bokeh_events") as { ButtonClick: new () => unknown };
    (model("button") as HasProps & { trigger_event(event: unknown): void }).trigger_event(new ButtonClick());
    await Promise.resolve();
    await move(2);
    uplink.flush();
    expect(required(sent[0]).message.events).toMatchObject([{ kind: "MessageSent" }]);
    const other = make_replica();
    uplink.replay(other, 0);
    uplink.acknowledge(2);
    expect(uplink.settled(2)).toBe(false);
  });
});
