/** The golden frames, from the page's side; tests/unit/test_golden_frames.py is the kernel's. */

import type { HasProps } from "@bokeh/bokehjs/build/js/lib/core/has_props";
import type { Document } from "@bokeh/bokehjs/build/js/lib/document/document";
import type { DocumentEvent } from "@bokeh/bokehjs/build/js/lib/document/events";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { page_registry } from "../src/bokehjs";
import { Client } from "../src/client";
import { type ClientMessage, named_buffers, parse_kernel_message } from "../src/protocol";
import type { BokehRoot } from "../src/upstream";
import { described_state, type Frame, frame_names, load, outcome } from "./golden";
import { bokehjs, FakeHost, FakePlace, lists_only, make_model, required, until } from "./page";

interface Page {
  readonly bokeh: BokehRoot;
  readonly host: FakeHost;
  readonly client: Client;
  readonly place: FakePlace;
  readonly place_id: string;
  readonly document: Document;
  model(id: string): HasProps;
}

let page: Page;

/** A client that shows the described document, and has said all that it says by itself. */
beforeEach(async () => {
  const bokeh = await bokehjs();
  const host = new FakeHost(described_state());
  const client = new Client(host);
  const place = new FakePlace();
  const place_id = client.add_place(place);
  await until(() => expect(host.of_kind("patch").length).toBe(1)); // document_ready
  const ready = required(parse_kernel_message(load("kernel_patch_acknowledgement").content));
  // the kernel has it, and takes the next one at once; the revision of the frames is the first one
  client.handle({ ...ready, seq: 1, revision: 0, origin: client.id } as typeof ready, []);
  const document = required(bokeh.documents[0]);
  page = { bokeh, host, client, place, place_id, document, model: (id) => required(document.get_model_by_id(id)) };
});

afterEach(async () => {
  await page.client.dispose();
  page.place.element.remove();
  expect(lists_only(page.bokeh)).toBe(true);
  expect(page.place.notices).toEqual([]);
});

describe("frames of the kernel", () => {
  const parse = ({ content, buffers }: Frame) => {
    const message = required(parse_kernel_message(content));
    const names = "buffers" in message ? message.buffers : Object.keys(buffers);
    return { message, buffers: named_buffers(names, Object.values(buffers)) };
  };
  const names = frame_names("to_client");
  const frames = names.filter((name) => name != "kernel_state");

  test.each(frames)("%s is taken, and its buffers are exact", (name) => {
    const frame = load(name);
    const { message, buffers } = parse(frame);
    expect(message).toBe(frame.content);
    for (const [id, bytes] of Object.entries(frame.buffers)) {
      const buffer = required(buffers.get(id));
      expect(buffer).toBeInstanceOf(ArrayBuffer);
      expect([...new Uint8Array(buffer)]).toEqual([...bytes]);
    }
    expect(buffers.size).toBe(Object.keys(frame.buffers).length);
  });

  const patches = frames.filter(
    (name) => load(name).content["kind"] == "patch" && load(name).content["events"] !== null,
  );

  test.each(patches)("%s is applied to a replica", async (name) => {
    const { content, buffers, result } = load(name);
    const heard: unknown[] = [];
    page.document.on_message("bokeh_event", (event) => heard.push((event as { event_name: string }).event_name));
    page.client.handle(required(parse_kernel_message(content)), Object.values(buffers));
    await until(() => expect(required(page_registry().replicas()[0]).revision).toBe(1));
    expect(outcome(page.document, result)).toEqual(result);
    // what Python changed is not sent back to it; to clear_input the view answers with its new value
    const clears = name == "kernel_patch_message_sent";
    expect(heard).toEqual(clears ? ["clear_input"] : []);
    expect(page.host.of_kind("patch").length).toBe(clears ? 2 : 1);
  });
});

/** The kernel sends a frame. */
function handle(name: string): void {
  const { content, buffers } = load(name);
  page.client.handle(required(parse_kernel_message(content)), Object.values(buffers));
}

type Change = () => void | Promise<void>;

function set(id: string, attributes: Record<string, unknown>): Change {
  return () => page.model(id).setv(attributes);
}

function columns(): Record<string, unknown> {
  const whole = new Float64Array([99, 2.5, Number.NaN, 99]);
  return { x: whole.subarray(1, 3), n: new Int32Array([7, 8]), label: ["p", "q"] };
}

interface Source extends HasProps {
  stream(data: Record<string, unknown>, rollover?: number): void;
  patch(patches: Map<string, unknown>): void;
}

/** What each frame of a client comes from. */
const CHANGES: Readonly<Record<string, Change>> = {
  client_ack: () => handle("kernel_patch_model_changed"),
  client_attach: () => undefined,
  client_attach_without_document: async () => {
    const client = new Client(Object.assign(page.host, { state: null }));
    client.add_place(new FakePlace());
    await client.dispose();
  },
  client_bye: () => page.client.leave_page(),
  client_clear_output: () => page.client.clear_output(),
  client_error: () =>
    page.client.handle(
      {
        kind: "patch",
        session: "session-1",
        revision: 1,
        origin: null,
        seq: null,
        events: [{ kind: "Mystery" }],
        buffers: [],
        requires: [],
        packed: null,
        transfer: null,
      },
      [],
    ),
  client_exported: () => {
    const question = required(parse_kernel_message(load("kernel_export").content));
    page.client.handle({ ...question, client: page.client.id } as typeof question, []);
  },
  client_gone: () => page.client.remove_place(page.place_id),
  client_hi: () => undefined,
  client_patch_column_data_changed: () => {
    const { ColumnDataChangedEvent } = page.bokeh.require("document/events") as {
      ColumnDataChangedEvent: new (...values: unknown[]) => DocumentEvent;
    };
    const event = new ColumnDataChangedEvent(page.document, page.model("source"), "data", columns(), null);
    page.document._trigger_on_change(event);
  },
  client_patch_columns_patched: () => {
    const patches = new Map<string, unknown>([
      ["label", [[0, "z"]]],
      ["x", [[2, Number.POSITIVE_INFINITY]]],
    ]);
    (page.model("source") as Source).patch(patches);
  },
  client_patch_columns_streamed: () => {
    (page.model("source") as Source).stream({ x: [3], n: [4], label: ["d"] }, 3);
  },
  client_patch_document_ready: () => undefined,
  client_patch_message_sent: () => {
    const { ButtonClick } = page.bokeh.require("core/bokeh_events") as { ButtonClick: new () => unknown };
    const button = page.model("button") as HasProps & { trigger_event(event: unknown): void };
    button.trigger_event(new ButtonClick());
  },
  client_patch_model_changed: set("slider", { value: 3 }),
  client_patch_model_changed_data: () => page.model("source").setv({ data: columns() }),
  client_patch_new_model: () => {
    const icon = make_model(page.bokeh, "BuiltinIcon", "icon", { icon_name: "settings", size: 20 });
    page.model("button").setv({ icon });
  },
  client_patch_root_added: () => page.document.add_root(make_model(page.bokeh, "Div", "div", { text: "added" })),
  client_patch_root_removed: () => page.document.remove_root(page.model("button")),
  client_patch_title_changed: () => page.document.set_title("renamed"),
};

describe("frames of a client", () => {
  /** The ids that a page draws by chance, and a stack that depends on the machine, made those of the files. */
  function normal(message: ClientMessage): Record<string, unknown> {
    return {
      ...message,
      client: "client-1",
      ...("view" in message ? { view: "view-1" } : {}),
      ...("views" in message ? { views: message.views.map((_, i) => `view-${i + 1}`) } : {}),
      ...("cost_ms" in message ? { cost_ms: 2 } : {}),
      ...("stack" in message ? { stack: "stack" } : {}),
    };
  }

  test("every one is made here", () => {
    expect(Object.keys(CHANGES)).toEqual(frame_names("to_kernel"));
  });

  test.each(Object.keys(CHANGES))("%s is what BokehJS and the client make of it", async (name) => {
    const frame = load(name);
    const kind = frame.content["kind"] as ClientMessage["kind"];
    const count = (frame.content["seq"] as number | undefined) ?? 1;
    await CHANGES[name]?.();
    await until(() => expect(page.host.of_kind(kind).length).toBeGreaterThanOrEqual(count));

    const sent = required(page.host.sent.filter(({ message }) => message.kind == kind).at(-1));
    expect(normal(sent.message)).toEqual(frame.content);
    expect(page.host.of_kind("patch").length).toBe(kind == "patch" ? count : 1);
    const bytes = sent.buffers.map((buffer) => [...new Uint8Array(buffer)]);
    expect(bytes).toEqual(Object.values(frame.buffers).map((buffer) => [...buffer]));
    if (name != "client_patch_column_data_changed") {
      const { heard: _, ...result } = frame.result;
      expect(outcome(page.document, result)).toEqual(result);
    }
    page.place.notices.length = 0;
  });
});
