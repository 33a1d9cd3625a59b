import { describe, expect, test, vi } from "vitest";
import { page_registry, type ReplicaInfo } from "../src/bokehjs";
import { Client } from "../src/client";
import { type DocumentMessage, PROTOCOL_VERSION } from "../src/protocol";
import {
  asked,
  at_revision,
  bokeh,
  client,
  host,
  patch,
  place,
  send_document,
  shown,
  slider,
  use_bokehjs,
} from "./client_page";
import { described_state } from "./golden";
import { BUNDLES, FakePlace, lists_only, required, until } from "./page";

const replica = (): ReplicaInfo | undefined => page_registry().replicas()[0];

/** Python sends the whole document to every client. */
const broadcast = (revision: number, fields: Partial<DocumentMessage> = {}): void =>
  send_document(revision, { client: null, ...fields });

describe("places", () => {
  test("the first one attaches with what the state carried, and is built", async () => {
    const id = client.add_place(place);
    expect(host.sent.map(({ message }) => message)).toEqual([
      { kind: "hi", client: client.id, view: id, views: [id], scheme: "light", tick: 1 },
      {
        kind: "attach",
        client: client.id,
        session: "session-1",
        revision: 0,
        protocol: PROTOCOL_VERSION,
        seq: 0,
        views: [id],
        tick: 2,
      },
    ]);
    expect(place.busy).toBe(true);
    await until(() => expect(place.busy).toBe(false));
    expect(place.element.querySelectorAll(".bk-Slider").length).toBe(1);
    expect(host.state).toBeNull(); // the page frees its copy
  });

  test("need no secure page: Jupyter is often served over plain HTTP", () => {
    vi.stubGlobal("crypto", { getRandomValues: crypto.getRandomValues.bind(crypto) });
    const ids = [new Client(host).id, new Client(host).id];
    vi.unstubAllGlobals();
    expect(new Set(ids).size).toBe(2);
    expect(ids.join(" ")).toMatch(/^[0-9a-f]{32} [0-9a-f]{32}$/);
  });

  test("all of one client share a document", async () => {
    const first = await shown(0);
    const other = new FakePlace();
    const second = client.add_place(other);
    await until(() => expect(other.busy).toBe(false));
    expect(host.sent.map(({ message }) => message)).toEqual([
      { kind: "hi", client: client.id, view: second, views: [first, second], scheme: "light", tick: 3 },
    ]);
    expect(lists_only(bokeh, replica()?.document)).toBe(true);
    expect(other.element.querySelectorAll(".bk-Slider").length).toBe(1);

    await client.remove_place(first);
    expect(place.element.childElementCount).toBe(0);
    expect(bokeh.documents.length).toBe(1);
    await client.remove_place(second);
    expect(lists_only(bokeh)).toBe(true);
    expect(host.of_kind("gone").map(({ view }) => view)).toEqual([first, second]);
    await client.remove_place(second);
    expect(host.of_kind("gone").length).toBe(2);
  });

  test("a client that was hidden asks for the document when it is shown again", async () => {
    await client.remove_place(await shown(0));
    expect(replica()).toBeUndefined();
    client.handle(patch(1, 5), []);
    host.sent.length = 0;
    client.add_place(place);
    expect(asked()).toEqual([[null, null]]);
    broadcast(1);
    await at_revision(1);
    expect(slider().value).toBe(8);
  });

  test("show only the roots that the host names", async () => {
    host.ids = ["button"];
    await shown_without_ready();
    expect(place.element.querySelectorAll(".bk-Slider").length).toBe(0);
    expect(place.element.querySelectorAll(".bk-Button").length).toBe(1);
  });

  async function shown_without_ready(): Promise<void> {
    client.add_place(place);
    await until(() => expect(place.busy).toBe(false));
  }

  test("that go while they are built leave nothing, and the kernel knows", async () => {
    const id = client.add_place(place);
    await client.remove_place(id);
    expect(lists_only(bokeh)).toBe(true);
    expect(place.element.childElementCount).toBe(0);
    expect(host.of_kind("gone").map(({ view }) => view)).toEqual([id]);
  });

  test.each([
    ["removed", (id: string) => client.remove_place(id)],
    ["disposed", () => client.dispose()],
    ["disconnected", () => client.disconnect("the kernel is gone")],
  ])("that are %s while another one is built get no view", async (_what, end) => {
    let ended: Promise<void> | undefined;
    let is_ending = false;
    place.set_busy = (busy) => {
      if (!busy && !is_ending) {
        is_ending = true;
        ended = end(second);
      }
    };
    client.add_place(place);
    const other = new FakePlace();
    const second = client.add_place(other);
    await until(() => expect(ended).toBeDefined());
    await ended;
    await client.dispose();
    expect(other.element.childElementCount).toBe(0);
    expect(other.busy).toBe(_what != "disconnected"); // nothing was built here
    other.element.remove();
  });

  test("say bye when their page unloads, if there are any", async () => {
    client.leave_page();
    expect(host.sent).toEqual([]);
    await shown(0);
    client.leave_page();
    expect(host.sent.map(({ message }) => message)).toEqual([{ kind: "bye", client: client.id, tick: 3 }]);
  });

  test("say hi again when their page comes back, and ask for the document", async () => {
    client.return_to_page();
    expect(host.sent).toEqual([]);
    const id = await shown(0);
    const other = client.add_place(new FakePlace());
    client.handle(patch(2, 5), []); // with a gap: the answer to this request is lost
    host.sent.length = 0;
    client.leave_page();
    client.return_to_page();
    const views = [id, other];
    expect(host.sent.map(({ message }) => message)).toMatchObject([
      { kind: "bye", tick: 4 },
      { kind: "hi", view: id, views, tick: 5 },
      { kind: "hi", view: other, views, tick: 6 },
      { kind: "attach", session: null, revision: null, seq: 1, views, tick: 7 },
    ]);
    // of the revision that is shown: what the page changed while it was away is not in Python
    broadcast(0, { client: client.id });
    await until(() => expect(slider().value).toBe(8));
  });
});

describe("documents", () => {
  test("are asked for where the state carried none", async () => {
    host.state = null;
    client.add_place(place);
    expect(asked()).toEqual([[null, null]]);
    broadcast(4, { client: client.id });
    await at_revision(4);
    expect(slider().value).toBe(8);
  });

  test("that come while the page still loads BokehJS are built at once, without the older one before", async () => {
    const { Document } = bokeh.require("document") as { Document: { from_json(...args: unknown[]): unknown } };
    const built = vi.spyOn(Document, "from_json");
    client.add_place(place); // as a page that reloads during a stream: its state is older than Python's document
    client.handle(patch(2, 5), []); // what it missed before this one, nobody sends again
    broadcast(4, { client: client.id });
    client.handle(patch(5, 3), []);
    await at_revision(5);
    expect(slider().value).toBe(3);
    expect(built).toHaveBeenCalledTimes(1);
    expect(asked()).toEqual([["session-1", 0]]);
  });

  test("for another client are left to it", async () => {
    await shown(0);
    broadcast(4, { client: "somebody" });
    client.handle(patch(1, 5), []);
    await at_revision(1);
    expect(slider().value).toBe(5);
  });

  test("of the revision that is shown change nothing", async () => {
    await shown(0);
    const before = replica()?.document;
    broadcast(0, { client: client.id });
    client.handle(patch(1, 5), []);
    await at_revision(1);
    expect(replica()?.document === before).toBe(true);
  });

  test("for every client are built, though the revision is shown: update() chose other roots of it", async () => {
    await shown(0);
    const before = replica()?.document;
    host.ids = ["button"];
    broadcast(0);
    await until(() => expect(place.element.querySelectorAll(".bk-Slider").length).toBe(0));
    await until(() => expect(place.element.querySelectorAll(".bk-Button").length).toBe(1));
    expect(lists_only(bokeh, replica()?.document)).toBe(true);
    expect(replica()?.document === before).toBe(false);
  });

  test("of another session replace the one that is shown", async () => {
    await shown(0);
    broadcast(0, { session: "session-2" });
    await until(() => expect(slider().value).toBe(8));
    client.handle(patch(1, 5), []); // of the first session: late
    client.handle(patch(1, 6, { session: "session-2" }), []);
    await at_revision(1);
    expect(slider().value).toBe(6);
    expect(bokeh.documents.length).toBe(1);
  });

  test("that arrive with the model's state again are the newest", async () => {
    await shown(0);
    host.state = { ...described_state(), revision: 9 };
    client.state_arrived();
    await at_revision(9);
    expect(bokeh.documents.length).toBe(1);
  });
});

describe("revisions", () => {
  test("follow one another", async () => {
    await shown(0);
    client.handle(patch(1, 5), []);
    client.handle(patch(2, 6), []);
    await at_revision(2);
    expect(slider().value).toBe(6);
    expect(host.of_kind("patch")).toEqual([]); // nothing is sent back
  });

  test("that were seen are ignored", async () => {
    await shown(0);
    client.handle(patch(1, 5), []);
    client.handle(patch(1, 6), []);
    client.handle(patch(0, 7), []);
    client.handle(patch(2, 2, { session: "session-0" }), []);
    await at_revision(1);
    expect(slider().value).toBe(5);
    expect(host.sent).toEqual([]);
  });

  test("with a gap are not applied: the document is asked for, once", async () => {
    await shown(0);
    client.handle(patch(2, 5), []);
    client.handle(patch(3, 6), []);
    client.handle({ kind: "refused", client: client.id, seq: 1, message: "late" }, []);
    await new Promise((resolve) => setTimeout(resolve)); // both have been looked at
    expect(asked()).toEqual([[null, null]]);
    expect([slider().value, replica()?.revision]).toEqual([1, 0]);

    broadcast(3);
    await at_revision(3);
    expect(slider().value).toBe(8);
    host.sent.length = 0;
    client.handle(patch(5, 6), []);
    await until(() => expect(asked()).toEqual([[null, null]]));
  });

  test("that came before the first place are applied to the state, and counted", async () => {
    client.handle(patch(1, 5), []);
    client.handle(patch(2, 6), []);
    client.add_place(place);
    expect(asked()).toEqual([["session-1", 2]]);
    await at_revision(2);
    expect(slider().value).toBe(6);
  });

  test("that come while the document is built are applied after", async () => {
    client.add_place(place);
    client.handle(patch(1, 5), []);
    client.handle(patch(2, 6), []);
    await at_revision(2);
    expect(slider().value).toBe(6);
  });

  test("of a model that nobody shows are not kept for ever", async () => {
    for (let revision = 1; revision <= 1001; revision++) {
      client.handle(patch(revision, 5), []);
    }
    client.add_place(place);
    expect(asked()).toEqual([[null, null]]);
    broadcast(1001);
    await at_revision(1001);
  });
});

describe("changes of the page", () => {
  const move = (value: number): void => {
    const document = required(bokeh.documents[0]);
    required(document.get_model_by_id("slider")).setv({ value });
  };

  test("carry the revision that they were made on, and count", async () => {
    await shown(0);
    move(3);
    await until(() => expect(host.of_kind("patch").length).toBe(1));
    client.handle(patch(1, 5, { origin: client.id, seq: 2, events: null }), []);
    move(6);
    await until(() => expect(host.of_kind("patch").length).toBe(2));
    expect(host.of_kind("patch").map(({ seq, revision }) => [seq, revision])).toEqual([
      [2, 0],
      [3, 1],
    ]);
  });

  test("are acknowledged: the revision rises, and nothing is applied again", async () => {
    await shown(0);
    move(3);
    client.handle(patch(1, 2, { origin: client.id, seq: 2 }), []);
    client.handle(patch(2, 2, { origin: client.id, seq: 2, events: null }), []);
    await at_revision(2);
    expect(slider().value).toBe(3);
    expect(asked()).toEqual([]);
  });

  test("win over what Python sent before it got them, and over nothing that comes after", async () => {
    await shown(0);
    move(3);
    client.handle(patch(1, 5), []); // on its way when the page moved the slider
    await at_revision(1);
    expect(slider().value).toBe(3);
    client.handle(patch(2, 3, { origin: client.id, seq: 2, events: null }), []);
    client.handle(patch(3, 7), []); // what a callback made of it
    await at_revision(3);
    expect(slider().value).toBe(7);
    expect(host.of_kind("patch").map(({ seq }) => seq)).toEqual([2]);
  });

  test("keep no other property of the same patch from being applied", async () => {
    await shown(0);
    move(3);
    const events = [
      { kind: "ModelChanged", model: { id: "slider" }, attr: "value", new: 5 },
      { kind: "ModelChanged", model: { id: "slider" }, attr: "title", new: "from Python" },
    ];
    client.handle(patch(1, 5, { events }), []);
    await at_revision(1);
    expect(slider().value).toBe(3);
    expect(required(required(bokeh.documents[0]).get_model_by_id("slider"))).toMatchObject({ title: "from Python" });
  });

  test("that a replaced document lacks are not lost: the document is asked for again", async () => {
    await shown(0);
    move(3); // number 2, on its way while the document below was encoded without it
    await until(() => expect(host.of_kind("patch").length).toBe(1));
    broadcast(4, { client: null });
    await at_revision(4);
    expect(slider().value).toBe(8);
    host.sent.length = 0;
    client.handle(patch(5, 3, { origin: client.id, seq: 2, events: null }), []);
    await until(() => expect(asked()).toEqual([[null, null]]));
    expect(replica()?.revision).toBe(4);
  });

  test("of another client are applied", async () => {
    await shown(0);
    client.handle(patch(1, 4, { origin: "somebody", seq: 7 }), []);
    await at_revision(1);
    expect(slider().value).toBe(4);
  });

  test("of another client that came without events are asked for", async () => {
    await shown(0);
    client.handle(patch(1, 4, { origin: "somebody", seq: 7, events: null }), []);
    expect(asked()).toEqual([[null, null]]);
  });

  test("that are refused are said and taken back with the whole document", async () => {
    await shown(0);
    move(3);
    client.handle({ kind: "refused", client: client.id, seq: 2, message: "too fast" }, []);
    expect(place.notices).toEqual([{ level: "error", text: "too fast" }]);
    expect(asked()).toEqual([[null, null]]);
    // a refused change raises no revision: the document has the number of the one that is shown
    broadcast(0);
    await until(() => expect(slider().value).toBe(8));
    expect(bokeh.documents.length).toBe(1);
  });

  test("of another client that are refused do not matter here", async () => {
    await shown(0);
    client.handle({ kind: "refused", client: "somebody", seq: 2, message: "too fast" }, []);
    expect([place.notices, asked()]).toEqual([[], []]);
  });
});

describe("the end", () => {
  test("dispose frees everything and is silent", async () => {
    await shown(0);
    await client.dispose();
    expect(lists_only(bokeh)).toBe(true);
    expect(place.element.childElementCount).toBe(0);
    client.handle(patch(1, 5), []);
    client.add_place(place);
    expect(host.sent).toEqual([]);
  });

  test("dispose waits for what is just being built", async () => {
    client.add_place(place);
    await client.dispose();
    expect(lists_only(bokeh)).toBe(true);
    expect(place.element.childElementCount).toBe(0);
    expect(host.of_kind("patch")).toEqual([]);
    expect(place.notices).toEqual([]);
  });

  test("dispose while the views are built leaves none", async () => {
    client.add_place(place);
    await until(() => expect(bokeh.documents.length).toBe(1));
    await client.dispose();
    expect(lists_only(bokeh)).toBe(true);
    expect(place.element.childElementCount).toBe(0);
  });

  test("a kernel that is gone is said where it was shown", async () => {
    await shown(0);
    await client.disconnect("the kernel is gone");
    expect(place.notices).toEqual([{ level: "warning", text: "the kernel is gone" }]);
    expect(lists_only(bokeh)).toBe(true);
    expect(place.element.childElementCount).toBe(0);
    expect(host.sent).toEqual([]);
  });
});

describe("what fails", () => {
  test("what callbacks said of a document goes when one of another session is shown", async () => {
    await shown(0);
    const block = { id: 0, kind: "stream", name: "stdout", text: "a" } as const;
    client.handle({ kind: "output", client: null, session: "session-1", first: 0, cut: 0, blocks: [block] }, []);
    expect(place.outputs.at(-1)?.blocks).toEqual([block]);
    const count = place.outputs.length;
    broadcast(0);
    await until(() => expect(place.retracted).toBe(2));
    expect(place.outputs.length).toBe(count);
    send_document(0, { session: "session-2", client: null, seq: null });
    await until(() => expect(place.outputs.at(-1)?.first).toBe(Number.POSITIVE_INFINITY));
  });

  test("a notice of the kernel is shown in every place", async () => {
    await shown(0);
    const other = new FakePlace();
    client.add_place(other);
    client.handle({ kind: "notice", level: "warning", text: "careful" }, []);
    const notices = [{ level: "warning", text: "careful" }];
    expect([place.notices, other.notices]).toEqual([notices, notices]);
  });

  test("a patch is said in the cell and to the kernel, and the document is asked for", async () => {
    await shown(0);
    client.handle(patch(1, 5, { events: [{ kind: "Mystery" }] }), []);
    const [error] = host.of_kind("error");
    expect(error).toMatchObject({ client: client.id, context: "apply a patch" });
    expect(error?.message).toContain("Mystery");
    expect(error?.stack).toContain("apply_json_patch");
    expect(place.notices).toEqual([
      { level: "error", text: `bokeh_widget could not apply a patch: ${required(error).message}` },
    ]);
    expect(asked()).toEqual([[null, null]]);
    const before = place.retracted;
    broadcast(1);
    await at_revision(1);
    expect(slider().value).toBe(8);
    expect(place.retracted).toBe(before + 1); // the cause is over
  });

  test("a view that throws when it is removed is said, and the ones after it come and go", async () => {
    await shown(0);
    const fail_to_go = (): void => {
      for (const view of replica()?.views ?? []) {
        Object.assign(view as object, {
          remove: () => {
            throw new Error("I stay");
          },
        });
      }
    };
    fail_to_go();
    const late = { type: "object", name: "Button", id: "late", attributes: { label: "late" } };
    client.handle(patch(1, 0, { events: [{ kind: "RootRemoved", model: { id: "slider" } }] }), []);
    client.handle(patch(2, 0, { events: [{ kind: "RootAdded", model: late }] }), []);
    const buttons = place.element.querySelectorAll(".bk-Button").length;
    await until(() => expect(place.element.querySelectorAll(".bk-Button").length).toBe(buttons + 1));
    expect(host.of_kind("error")).toMatchObject([{ context: "render", message: "I stay" }]);
    expect(place.element.querySelectorAll(".bk-Slider").length).toBe(0);

    fail_to_go();
    const { document } = required(replica()) as { document: { views_manager?: unknown } };
    await client.dispose();
    expect(place.element.childElementCount).toBe(0);
    expect(document.views_manager).toBeUndefined();
  });

  test("a change that cannot be sent is said, and the others are sent", async () => {
    await shown(0);
    required(required(bokeh.documents[0]).get_model_by_id("slider")).setv({ tags: [() => 0], value: 3 });
    await until(() => expect(host.of_kind("patch").length).toBe(1));
    expect(host.of_kind("patch")[0]?.events).toMatchObject([{ attr: "value", new: 3 }]);
    expect(host.of_kind("error")).toMatchObject([{ context: "send a change" }]);
    expect(place.notices[0]?.text).toContain("is not serializable");
  });

  test("a document is said, and a better one is shown", async () => {
    host.state = { ...described_state(), json: described_state().json.replace('"Button"', '"Nonsense"') };
    client.add_place(place);
    await until(() => expect(host.of_kind("error").length).toBe(1));
    expect(host.of_kind("error")[0]).toMatchObject({ context: "show the document" });
    expect(place.busy).toBe(false);
    expect(lists_only(bokeh)).toBe(true);
    broadcast(1);
    await at_revision(1);
    expect(slider().value).toBe(8);
  });

  test("BokehJS that did not come is said, and the next place tries again", async () => {
    page_registry()._roots.clear();
    host.source = { version: BUNDLES.version, bundle: () => null };
    client.add_place(place);
    await until(() => expect(place.notices.length).toBe(1));
    expect(place.notices[0]?.text).toContain('the kernel has not sent the BokehJS bundle "bokeh"');
    expect(place.busy).toBe(false);

    host.source = BUNDLES;
    host.sent.length = 0;
    const other = new FakePlace();
    client.add_place(other);
    expect(asked()).toEqual([[null, null]]);
    broadcast(1);
    await at_revision(1);
    await until(() => expect(other.busy).toBe(false));
    await use_bokehjs();
  });
});
