/** A client and a small kernel, with a channel between them that drops, doubles, delays and reorders. */

import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { page_registry } from "../src/bokehjs";
import { Client } from "../src/client";
import type { ClientMessage, DocumentMessage, KernelMessage } from "../src/protocol";
import type { BokehRoot } from "../src/upstream";
import { described_state, load } from "./golden";
import { bokehjs, FakeHost, FakePlace, lists_only, required } from "./page";

type Values = { value: number; title: string };

/** Numbers that look drawn by chance, the same ones for a seed. */
function random_of(seed: number): () => number {
  let state = seed * 2654435761 + 1;
  return () => {
    state = (Math.imul(state ^ (state >>> 15), 2246822519) + 374761393) | 0;
    return ((state ^ (state >>> 13)) >>> 0) / 2 ** 32;
  };
}

/** Python's side as docs/protocol.md has it, of a document with one slider. */
class Kernel {
  readonly values: Values = { value: 1, title: "" };
  revision = 0;
  send: (message: KernelMessage) => void = () => undefined;
  #seq = 0;

  take(message: ClientMessage): void {
    if (message.kind == "attach" && message.revision !== this.revision) {
      this.#send_document(message.client);
    } else if (message.kind == "patch" && message.seq <= this.#seq) {
      this.#send_patch(0, message.client, this.#seq, null); // it came twice, or the acknowledgement was lost
    } else if (message.kind == "patch" && message.seq == this.#seq + 1) {
      for (const { kind, attr, new: value } of message.events as { kind: string; attr: keyof Values; new: never }[]) {
        if (kind == "ModelChanged") {
          this.values[attr] = value;
        }
      }
      this.#seq = message.seq;
      this.revision += 1;
      this.#send_patch(this.revision, message.client, message.seq, null);
    }
  }

  change(attr: keyof Values, value: number | string): void {
    Object.assign(this.values, { [attr]: value });
    this.revision += 1;
    this.#send_patch(this.revision, null, null, [{ kind: "ModelChanged", model: { id: "slider" }, attr, new: value }]);
  }

  #send_patch(revision: number, origin: string | null, seq: number | null, events: unknown[] | null): void {
    const rest = { session: "session-1", buffers: [], requires: [], packed: null, transfer: null };
    this.send({ kind: "patch", revision, origin, seq, events, ...rest });
  }

  #send_document(client: string): void {
    const content = load("kernel_document").content as unknown as DocumentMessage;
    const { value, title } = this.values;
    const json = content.json.replace('"value":1', `"value":${value},"title":${JSON.stringify(title)}`);
    this.send({ ...content, client, revision: this.revision, seq: this.#seq, json });
  }
}

let bokeh: BokehRoot;

beforeEach(async () => {
  bokeh = await bokehjs();
  vi.useFakeTimers({
    toFake: ["setTimeout", "clearTimeout", "requestAnimationFrame", "cancelAnimationFrame", "performance"],
  });
});

afterEach(() => {
  vi.useRealTimers();
});

test.each(Array.from({ length: 12 }, (_, seed) => seed))("both sides end alike, seed %i", async (seed) => {
  const random = random_of(seed);
  const kernel = new Kernel();
  let is_faulty = true;

  /** Hands a message over: at once, later, twice or never. */
  function pass(deliver: () => void): void {
    const chance = is_faulty ? random() : 1;
    if (chance < 0.1) {
      return;
    }
    const times = chance < 0.2 ? 2 : 1;
    for (let i = 0; i < times; i++) {
      setTimeout(deliver, chance < 0.3 ? 300 * random() : 5);
    }
  }

  const host = new FakeHost(described_state());
  const { buffers } = load("kernel_document");
  const client = new Client(host);
  host.send = (message) => pass(() => kernel.take(message));
  kernel.send = (message) =>
    pass(() => client.handle(message, message.kind == "document" ? Object.values(buffers) : []));
  const place = new FakePlace();
  client.add_place(place);
  const info = () => required(page_registry().replicas()[0]);
  const slider = () => {
    const { document } = info() as unknown as { document: BokehRoot["documents"][number] };
    return required(document.get_model_by_id("slider")) as unknown as Values & { setv(values: object): void };
  };
  await vi.waitFor(() => expect(info().views.length).toBe(3), { timeout: 5_000 });

  for (let step = 0; step < 150; step++) {
    const [who, what] = [random(), random()];
    const change: [keyof Values, number | string] =
      what < 0.7 ? ["value", Math.floor(10 * random())] : ["title", `${step}`];
    if (who < 0.45) {
      kernel.change(...change);
    } else if (who < 0.9) {
      slider().setv({ [change[0]]: change[1] });
    }
    await vi.advanceTimersByTimeAsync(60 * random());
  }
  is_faulty = false;
  await vi.advanceTimersByTimeAsync(1000);
  kernel.send({ kind: "sync", session: "session-1", revision: kernel.revision });
  await vi.advanceTimersByTimeAsync(120_000);

  const { value, title } = slider();
  expect([{ value, title }, info().revision]).toEqual([kernel.values, kernel.revision]);
  expect([info().waiting, info().in_flight]).toEqual([0, 0]);
  expect(info().resyncs).toBeGreaterThan(0);
  expect(place.notices).toEqual([]);
  const disposed = client.dispose();
  await vi.advanceTimersByTimeAsync(1000);
  await disposed;
  place.element.remove();
  expect(lists_only(bokeh)).toBe(true);
});
