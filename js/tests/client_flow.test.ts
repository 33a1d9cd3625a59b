/** Flow control of a client, in the page and towards the kernel, with the real BokehJS. */

import { describe, expect, test, vi } from "vitest";
import type { ChunkMessage, DocumentMessage } from "../src/protocol";
import {
  acknowledgement,
  asked,
  at_revision,
  bokeh,
  client,
  document_message,
  document_of_client,
  host,
  info,
  move,
  patch,
  place,
  send_document,
  shown,
  slider,
} from "./client_page";
import { FakePlace, lists_only, required, until } from "./page";

const counts = () => {
  const { waiting, in_flight, seq, resyncs } = info();
  return { waiting, in_flight, seq, resyncs };
};
const acks = () => host.of_kind("ack").map(({ revision }) => revision);
const values = () =>
  host.of_kind("patch").map(({ events }) => (events as { new?: unknown }[]).map((event) => event.new));
const frame = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 150)); // or what comes instead of it

/** The new document is there beside the old one, and nobody sees it yet. */
async function being_built(): Promise<void> {
  for (let i = 0; i < 1000 && bokeh.documents.length < 2; i++) {
    await Promise.resolve();
  }
  expect(bokeh.documents.length).toBe(2);
}

describe("changes of the page", () => {
  test("wait for the acknowledgement of those that were sent, which sends them at once", async () => {
    await shown();
    for (const value of [2, 3, 4, 5]) {
      await move(value);
    }
    expect(values()).toEqual([[2]]);
    expect(counts()).toEqual({ waiting: 1, in_flight: 1, seq: 2, resyncs: 0 });
    expect(info().coalesced).toBe(2);
    client.handle(acknowledgement(2, 2), []);
    expect(values()).toEqual([[2], [5]]);
    expect(host.of_kind("patch").map(({ revision }) => revision)).toEqual([1, 1]);
    client.handle(acknowledgement(3, 3), []);
    await at_revision(3);
    expect(counts()).toEqual({ waiting: 0, in_flight: 0, seq: 3, resyncs: 0 });
  });

  test("are acknowledged even by a message that cannot be applied yet", async () => {
    await shown();
    await move(2);
    await move(3);
    client.handle(acknowledgement(3, 2), []); // revision 2 is on its way
    expect(values()).toEqual([[2], [3]]);
    client.handle(patch(2, 7, { events: [] }), []);
    await at_revision(3);
    expect(asked()).toEqual([]);
  });

  test("are acknowledged by a refusal", async () => {
    await shown();
    await move(2);
    await move(3);
    client.handle({ kind: "refused", client: client.id, seq: 2, message: "no" }, []);
    expect(values()).toEqual([[2], [3]]);
    send_document(1, { seq: 2 });
    await until(() => expect(counts().resyncs).toBe(1));
    expect(slider().value).toBe(3); // the second one is still to come to Python
  });

  test("are acknowledged by the document that contains them", async () => {
    await shown();
    await move(2);
    await move(3);
    client.handle(patch(2, 0, { events: [{ kind: "Mystery" }] }), []);
    send_document(3, { seq: 2 });
    expect(values()).toEqual([[2], [3]]);
    await until(() => expect(counts().resyncs).toBe(1));
  });

  test("that wait win over what Python sent before", async () => {
    await shown();
    await move(2);
    await move(3);
    client.handle(patch(2, 7), []);
    client.handle(acknowledgement(3, 2), []);
    client.handle(patch(4, 6), []); // what a callback made of 2
    await at_revision(4);
    expect(slider().value).toBe(3);
    client.handle(acknowledgement(5, 3), []);
    client.handle(patch(6, 6), []);
    await at_revision(6);
    expect(slider().value).toBe(6);
  });

  test("of rows, when Python changed rows of that source too, end in the document of Python", async () => {
    await shown();
    const row = { x: new Float64Array([9]), n: new Int32Array([9]), label: ["z"] };
    (required(document_of_client().get_model_by_id("source")) as unknown as { stream(data: object): void }).stream(row);
    await until(() => expect(host.of_kind("patch").length).toBe(1));
    const data = { type: "map", entries: Object.entries({ x: [7], n: [7], label: ["y"] }) };
    const streamed = { kind: "ColumnsStreamed", model: { id: "source" }, attr: "data", data, rollover: null };
    client.handle(patch(2, 0, { events: [streamed] }), []);
    await at_revision(2);
    expect(asked()).toEqual([]);
    client.handle(acknowledgement(3, 2), []);
    await until(() => expect(asked()).toEqual([[null, null]]));
    expect(host.of_kind("attach")[0]?.seq).toBe(2);
  });

  test("are sent when the last view goes, before the kernel hears of that", async () => {
    const id = await shown();
    await move(2);
    await move(3);
    await client.remove_place(id);
    expect(host.sent.map(({ message }) => message.kind)).toEqual(["patch", "patch", "gone"]);
  });

  test("that were forgotten with the last view are not waited for by the kernel: the client says how far it is", async () => {
    const id = await shown();
    await move(2);
    await move(3);
    await client.remove_place(id); // numbers 2 and 3 are lost
    client.add_place(place);
    expect(host.of_kind("attach").map(({ seq }) => seq)).toEqual([3]);
    host.sent.length = 0;
    send_document(1, { seq: 3 });
    await until(() => expect(host.of_kind("patch").map(({ seq }) => seq)).toEqual([4])); // at once: that it is ready
  });

  test("are sent from a view that is moved to another place", async () => {
    const id = await shown();
    const removed = client.remove_place(id);
    const other = new FakePlace();
    client.add_place(other);
    await removed;
    send_document(1, { seq: 1 });
    await until(() => expect(other.busy).toBe(false));
    await move(4);
    await until(() => expect(values()).toEqual([[4]]));
    other.element.remove();
  });
});

describe("what the page has painted", () => {
  test("is acknowledged, once for all that came until then", async () => {
    const id = await shown();
    client.handle(patch(2, 3), []);
    client.handle(patch(3, 4), []);
    expect([info().revision, acks()]).toEqual([3, []]);
    await until(() => expect(acks()).toEqual([3]));
    expect(host.of_kind("ack")[0]).toEqual({
      kind: "ack",
      client: client.id,
      session: "session-1",
      revision: 3,
      cost_ms: expect.any(Number),
      views: [id],
      tick: 3,
    });
    client.handle(patch(4, 5), []);
    await until(() => expect(acks()).toEqual([3, 4]));
  });

  test("is not acknowledged where only own changes were, but with the next of others", async () => {
    await shown();
    await move(2);
    client.handle(acknowledgement(2, 2), []);
    await frame();
    expect(acks()).toEqual([]);
    client.handle(patch(3, 5), []);
    client.handle(acknowledgement(4, 2), []);
    await until(() => expect(acks()).toEqual([4]));
  });

  test("is acknowledged of a whole document, too, even of one that came twice", async () => {
    host.state = null;
    client.add_place(place);
    send_document(4, { client: null, seq: null });
    await until(() => expect(acks()).toEqual([4]));
    expect(place.busy).toBe(false);
    send_document(4, { seq: 0 });
    await until(() => expect(acks()).toEqual([4, 4]));
    expect(counts().resyncs).toBe(0);
  });

  test("is not acknowledged any more once the place is gone", async () => {
    const id = await shown();
    client.handle(patch(2, 3), []);
    await client.remove_place(id);
    await frame();
    expect(acks()).toEqual([]);
  });
});

describe("the kernel asks where the page is", () => {
  const sync = (revision: number, session = "session-1") => client.handle({ kind: "sync", session, revision }, []);

  test("at a revision that it has reached: it says so", async () => {
    await shown();
    client.handle(patch(2, 3), []);
    sync(2);
    await until(() => expect(acks()).toEqual([2]));
    sync(1);
    await until(() => expect(acks()).toEqual([2, 2]));
    expect(asked()).toEqual([]);
  });

  test("at a revision or session that it does not know: it asks for the document", async () => {
    await shown();
    sync(2);
    await until(() => expect(asked()).toEqual([[null, null]]));
    send_document(2);
    await at_revision(2);
    sync(2, "session-2");
    await until(() => expect(asked().length).toBe(2));
  });

  test("where the document could not be shown: it says that it is there, and does not try for ever", async () => {
    host.state = null;
    client.add_place(place);
    send_document(1, { json: "{" });
    await until(() => expect(host.of_kind("error").length).toBe(1));
    host.sent.length = 0;
    sync(1);
    sync(2);
    expect(host.sent.map(({ message }) => message.kind)).toEqual(["hi", "hi"]);
    expect(place.notices.length).toBe(1);
  });

  test("or says nothing for long: the client says where it is", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
    await shown();
    vi.advanceTimersByTime(20_000);
    client.handle({ kind: "notice", level: "warning", text: "still there" }, []);
    vi.advanceTimersByTime(20_000);
    expect(acks()).toEqual([]);
    vi.advanceTimersByTime(10_000);
    expect(acks()).toEqual([1]);
    await client.disconnect("the kernel is gone");
    vi.advanceTimersByTime(600_000);
    vi.useRealTimers();
    expect(acks()).toEqual([1]);
  });

  test("although nothing is shown: it says so, at most once a second", async () => {
    sync(1);
    expect(host.sent).toEqual([]); // nobody has heard of this client
    await client.remove_place(await shown());
    host.sent.length = 0;
    sync(1);
    client.handle(patch(2, 3), []);
    expect(host.sent.map(({ message }) => message)).toEqual([
      { kind: "gone", client: client.id, view: "", views: [], tick: 4 },
    ]);
    const now = vi.spyOn(performance, "now").mockReturnValue(performance.now() + 1000);
    client.handle(patch(2, 3), []);
    expect(host.of_kind("gone").length).toBe(2);
    now.mockRestore();
  });
});

describe("what comes in another order, twice or in parts", () => {
  test("patches are applied in theirs", async () => {
    await shown();
    for (const revision of [4, 3, 3, 5, 2, 4]) {
      client.handle(patch(revision, revision), []);
    }
    await at_revision(5);
    expect(slider().value).toBe(5);
    await frame();
    expect(asked()).toEqual([]);
  });

  test("a gap that is filled after the document was asked for ends the question", async () => {
    await shown();
    client.handle(patch(3, 3), []);
    await until(() => expect(asked().length).toBe(1));
    client.handle(patch(2, 2), []);
    await at_revision(3);
    send_document(2); // on its way while the gap was filled: older than what is shown
    await frame();
    expect([slider().value, counts().resyncs, info().revision]).toEqual([3, 0, 3]);
  });

  test("a question is repeated, and no more once the gap is filled or the last place is gone", async () => {
    const id = await shown();
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    client.handle(patch(3, 3), []);
    vi.advanceTimersByTime(100 + 2000 + 4000);
    expect(asked().length).toBe(3);
    client.handle(patch(2, 2), []);
    vi.advanceTimersByTime(0);
    await Promise.resolve();
    vi.advanceTimersByTime(60_000);
    expect([asked().length, info().revision]).toEqual([3, 3]);

    client.handle(patch(5, 3), []);
    vi.advanceTimersByTime(100);
    expect(asked().length).toBe(4);
    const removed = client.remove_place(id);
    vi.advanceTimersByTime(60_000);
    expect(asked().length).toBe(4);
    vi.useRealTimers();
    await removed;
  });

  test("patches after a document that is being built, or was asked for, follow it", async () => {
    host.state = null;
    client.add_place(place);
    client.handle(patch(6, 4), []);
    client.handle(patch(5, 3), []);
    send_document(4);
    await at_revision(6);
    expect([slider().value, asked().length]).toEqual([4, 1]);
  });

  test("JSON may be packed in a buffer, of patches and of documents", async () => {
    const utf8 = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
    await shown();
    const events = [{ kind: "ModelChanged", model: { id: "slider" }, attr: "title", new: "größer" }];
    client.handle(patch(2, 0, { events: [], packed: "b0", buffers: ["b0"] }), [utf8(events)]);
    await at_revision(2);
    expect(slider().title).toBe("größer");

    const { message, buffers } = document_message(5);
    const names = [...message.buffers, "packed"];
    const json = new TextEncoder().encode(message.json);
    client.handle({ ...message, client: null, seq: null, json: "", packed: "packed", buffers: names }, [
      ...buffers,
      json,
    ]);
    await at_revision(5);
    expect(slider().value).toBe(8);
  });

  test("a patch that is packed in nothing is said, and the document is asked for", async () => {
    await shown();
    client.handle(patch(2, 0, { events: [], packed: "b0" }), []);
    expect(host.of_kind("error")[0]?.message).toContain('JSON in the buffer "b0"');
    expect(asked()).toEqual([[null, null]]);
  });

  /** Sends a document as chunks of a few bytes. */
  function chunks(revision: number): { parts: [ChunkMessage, Uint8Array<ArrayBuffer>][]; message: DocumentMessage } {
    const { message, buffers } = document_message(revision);
    const sizes = buffers.map(({ byteLength }) => byteLength);
    const all = new Uint8Array(buffers.flatMap((buffer) => [...buffer]));
    const step = Math.ceil(all.length / 4);
    const parts = [0, 1, 2, 3].map((index): [ChunkMessage, Uint8Array<ArrayBuffer>] => [
      { kind: "chunk", client: null, transfer: `t${revision}`, index, count: 4, offset: index * step, sizes },
      all.slice(index * step, (index + 1) * step),
    ]);
    return { parts, message: { ...message, transfer: { id: `t${revision}`, count: 4 } } };
  }

  test("a large document comes in chunks, and the place that waits says how much has come", async () => {
    host.state = null;
    client.add_place(place);
    const { parts, message } = chunks(4);
    for (const [chunk, bytes] of parts) {
      client.handle(chunk, [bytes]);
    }
    expect(place.progress.map((part) => Math.round(4 * (part ?? 0)))).toEqual([1, 2, 3, 4]);
    client.handle({ ...parts[0]?.[0], client: "somebody" } as ChunkMessage, [new Uint8Array(9)]);
    expect(place.progress.length).toBe(4);
    client.handle(message, []);
    await until(() => expect(place.busy).toBe(false));
    expect(place.progress.at(-1)).toBeNull();
    const { data } = document_of_client().get_model_by_id("source") as unknown as { data: Record<string, unknown> };
    expect(data["x"]).toBeInstanceOf(Float64Array);

    const shown_before = place.progress.length;
    const next = chunks(5);
    for (const [chunk, bytes] of next.parts) {
      client.handle(chunk, [bytes]);
    }
    expect(place.progress.length).toBe(shown_before); // what is shown stays as it is
  });

  test("a message before its last chunk waits for it; without it the document is asked for again", async () => {
    await shown();
    const { parts, message } = chunks(4);
    const [[first, bytes], ...others] = parts as [(typeof parts)[0], ...typeof parts];
    for (const [chunk, part] of others) {
      client.handle(chunk, [part]);
    }
    client.handle(message, []);
    client.handle(first, [bytes]);
    await at_revision(4);
    expect(asked()).toEqual([]);

    const { parts: lost, message: next } = chunks(5);
    client.handle(required(lost[1])[0], [required(lost[1])[1]]);
    client.handle(next, []);
    await until(() => expect(asked()).toEqual([[null, null]]));
  });
});

describe("resyncs", () => {
  test("are the documents that this client asked for, and which took the place of one that was shown", async () => {
    await shown();
    send_document(2, { client: null, seq: null }); // update()
    await at_revision(2);
    send_document(0, { session: "session-2", seq: 1 }); // what update() had sent is lost
    await at_revision(0);
    expect(counts().resyncs).toBe(0);
    client.handle(patch(5, 3, { session: "session-2" }), []);
    await until(() => expect(asked()).toEqual([[null, null]]));
    send_document(5, { session: "session-2", seq: 1 });
    await at_revision(5);
    expect(counts().resyncs).toBe(1);
  });

  test("are none of them the first document, however often it was asked for", async () => {
    host.state = null;
    client.add_place(place);
    send_document(2);
    await at_revision(2);
    expect(counts().resyncs).toBe(0);
  });
});

describe("a document that takes the place of another", () => {
  /** What of the place the user can see, now. */
  const visible = (of = place): number =>
    [...of.element.children]
      .filter((stage) => !/hidden|none/.test((stage as HTMLElement).style.cssText))
      .reduce((total, stage) => total + stage.querySelectorAll(".bk-Slider").length, 0);

  /** Sees every state of the DOM and of the list of documents. */
  function watch() {
    const seen: number[] = [];
    const alive: number[] = [];
    const look = (): void => {
      seen.push(visible());
      alive.push(bokeh.documents.length);
    };
    const observer = new MutationObserver(look);
    observer.observe(place.element, { subtree: true, childList: true, attributes: true });
    return { seen, alive, stop: () => observer.disconnect() };
  }

  test("is built unseen, and shown when it is whole: nothing flickers, and never are there three", async () => {
    await shown();
    const old = place.element.querySelector(".bk-Slider");
    const { seen, alive, stop } = watch();
    client.handle(patch(3, 0), []);
    await until(() => expect(asked().length).toBe(1));
    send_document(4, { seq: 1 });
    await until(() => expect(counts().resyncs).toBe(1));
    await until(() => expect(acks()).toEqual([4]));
    stop();
    expect(new Set(seen)).toEqual(new Set([1]));
    expect(Math.max(...alive)).toBe(2);
    expect(lists_only(bokeh, document_of_client())).toBe(true);
    expect(place.element.querySelectorAll(".bk-Slider").length).toBe(1);
    expect(place.element.querySelector(".bk-Slider") === old).toBe(false);
    expect(place.element.style.position).toBe("");
    expect(place.busy).toBe(false);
    expect(host.of_kind("patch")).toEqual([]); // it was ready before
  });

  test("has the changes of the page that it lacks, and those that are made while it is built", async () => {
    await shown();
    await move(2);
    client.handle(patch(2, 0, { events: [{ kind: "Mystery" }] }), []);
    send_document(2, { seq: 1 });
    await being_built();
    await move(3);
    slider().setv({ title: "mine" });
    await until(() => expect(counts().resyncs).toBe(1));
    expect([slider().value, slider().title]).toEqual([3, "mine"]);
    expect(values()).toEqual([[2], [3, "mine"]]); // what waited was sent when it was replaced
    host.sent.length = 0;
    client.handle(acknowledgement(3, 2), []);
    client.handle(acknowledgement(4, 3), []);
    await at_revision(4);
    expect([slider().value, asked()]).toEqual([3, []]);
  });

  test("has a change that Python took after it, though the acknowledgement came before it was built", async () => {
    await shown();
    await move(2);
    client.handle(patch(2, 0, { events: [{ kind: "Mystery" }] }), []);
    send_document(2, { seq: 1 });
    client.handle(acknowledgement(3, 2), []);
    await at_revision(3);
    expect([slider().value, counts().resyncs]).toEqual([2, 1]);
  });

  test("is not shown where its place goes, or the client, while it is built", async () => {
    const first = await shown();
    const other = new FakePlace();
    const second = client.add_place(other);
    await until(() => expect(other.busy).toBe(false));
    client.handle(patch(2, 0, { events: [{ kind: "Mystery" }] }), []);
    send_document(2);
    await being_built();
    await client.remove_place(first);
    await until(() => expect(counts().resyncs).toBe(1));
    expect(place.element.childElementCount).toBe(0);
    expect([visible(other), bokeh.documents.length]).toEqual([1, 1]);

    client.handle(patch(3, 0, { events: [{ kind: "Mystery" }] }), []);
    send_document(3);
    await being_built();
    await client.remove_place(second);
    expect([bokeh.documents.length, other.element.childElementCount]).toEqual([0, 0]);
    other.element.remove();
  });

  test("that cannot be built leaves the one that is shown", async () => {
    await shown();
    send_document(4, { client: null, seq: null, json: "{" });
    await until(() => expect(host.of_kind("error").length).toBe(1));
    expect([visible(), bokeh.documents.length]).toEqual([1, 1]);
    expect(place.notices.length).toBe(1);
  });

  test("of another session has none of the changes of this one", async () => {
    await shown();
    await move(2);
    await move(3);
    send_document(0, { session: "session-2", seq: 1 });
    await until(() => expect(info().revision).toBe(0));
    expect(slider().value).toBe(8);
    expect(counts().in_flight).toBe(1); // that it is ready: it is another document
    expect(host.of_kind("patch").map(({ session }) => session)).toEqual(["session-1", "session-1", "session-2"]);
  });
});

test("nothing is done later by a client that is gone", async () => {
  await shown();
  await move(2);
  await move(3);
  client.handle(patch(3, 3), []);
  client.handle(patch(2, 3, { packed: null, transfer: { id: "t", count: 2 }, buffers: ["b"] }), []);
  await client.disconnect("the kernel is gone");
  host.sent.length = 0;
  await frame();
  expect(host.sent).toEqual([]);
});
