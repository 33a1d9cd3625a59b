/** A client in a page, made anew for each test of the module that imports this; the test plays the kernel. */

import { afterEach, beforeEach, expect, vi } from "vitest";
import { page_registry, type ReplicaInfo } from "../src/bokehjs";
import { Client } from "../src/client";
import type { DocumentMessage, PatchMessage } from "../src/protocol";
import type { BokehRoot } from "../src/upstream";
import { described_state, load } from "./golden";
import { bokehjs, FakeHost, FakePlace, lists_only, required, until } from "./page";

export let bokeh: BokehRoot;
export let host: FakeHost;
export let client: Client;
export let place: FakePlace;

beforeEach(async () => {
  vi.spyOn(console, "error").mockImplementation(() => undefined);
  await use_bokehjs();
  host = new FakeHost(described_state());
  client = new Client(host);
  place = new FakePlace();
});

afterEach(async () => {
  await client.dispose();
  place.element.remove();
  expect(lists_only(bokeh)).toBe(true);
  expect(page_registry().replicas()).toEqual([]);
  vi.restoreAllMocks();
});

/** Loads BokehJS, again where a test has thrown it out. */
export async function use_bokehjs(): Promise<void> {
  bokeh = await bokehjs();
}

// --- what the page does and has -----------------------------------------------------------------

interface Slider {
  value: number;
  title: string;
  setv(values: Record<string, unknown>): void;
}

export const info = (): ReplicaInfo => required(page_registry().replicas()[0]);
export const document_of_client = () => info().document as BokehRoot["documents"][number];
export const slider = () => required(document_of_client().get_model_by_id("slider")) as unknown as Slider;

/** The user moves the slider, in a task of its own. */
export async function move(value: number): Promise<void> {
  slider().setv({ value });
  await Promise.resolve();
}

/** Shows the document in a place, and forgets what was said until Python has heard that it is ready. */
export async function shown(revision = 1): Promise<string> {
  const id = client.add_place(place);
  await until(() => expect(host.of_kind("patch").length).toBe(1)); // document_ready
  client.handle(acknowledgement(revision, 1), []);
  await until(() => expect(place.busy).toBe(false));
  await at_revision(revision);
  host.sent.length = 0;
  return id;
}

export const at_revision = (revision: number) =>
  until(() => expect(page_registry().replicas()[0]?.revision).toBe(revision));

/** Which document the page asked for, each time. */
export const asked = () => host.of_kind("attach").map(({ session, revision }) => [session, revision]);

// --- what the kernel says -------------------------------------------------------------------------

/** Python sets the slider. */
export function patch(revision: number, value: number, fields: Partial<PatchMessage> = {}): PatchMessage {
  return {
    kind: "patch",
    session: "session-1",
    revision,
    origin: null,
    seq: null,
    events: [{ kind: "ModelChanged", model: { id: "slider" }, attr: "value", new: value }],
    buffers: [],
    requires: [],
    packed: null,
    transfer: null,
    ...fields,
  };
}

export const acknowledgement = (revision: number, seq: number): PatchMessage =>
  patch(revision, 0, { origin: client.id, seq, events: null });

/** The whole document for this client, in which the slider is at 8. */
export function document_message(revision: number, fields: Partial<DocumentMessage> = {}) {
  const { content, buffers } = load("kernel_document");
  const message = { ...(content as unknown as DocumentMessage), client: client.id, revision, ...fields };
  const json = fields.json ?? message.json.replace('"value":1', '"value":8');
  return { message: { ...message, json }, buffers: Object.values(buffers) };
}

export function send_document(revision: number, fields: Partial<DocumentMessage> = {}): void {
  const { message, buffers } = document_message(revision, fields);
  client.handle(message, buffers);
}
