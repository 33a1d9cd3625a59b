/** BokehJS from node_modules, and a front end without any widget manager. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import type { HasProps } from "@bokeh/bokehjs/build/js/lib/core/has_props";
import { vi } from "vitest";
import { type BundleSource, load_bokehjs } from "../src/bokehjs";
import type { Host, Place } from "../src/client";
import type { OutputChange } from "../src/outputs";
import type { ClientMessage, DocumentState } from "../src/protocol";
import type { ThemeAttrs } from "../src/scheme";
import type { BokehRoot } from "../src/upstream";

const BOKEHJS = join(import.meta.dirname, "../node_modules/@bokeh/bokehjs");

/** Version of the BokehJS in node_modules. */
export const BOKEH_VERSION: string = JSON.parse(readFileSync(join(BOKEHJS, "package.json"), "utf-8")).version;

/** The components of the installed BokehJS, as the runtime model of a kernel carries them. */
export const BUNDLES: BundleSource = {
  version: BOKEH_VERSION,
  bundle: (name) => new Uint8Array(gzipSync(readFileSync(join(BOKEHJS, "build/js", `${name}.min.js`)), { level: 1 })),
};

export const COMPONENTS = ["bokeh", "bokeh-widgets"] as const;

export async function bokehjs(): Promise<BokehRoot> {
  return await load_bokehjs(BUNDLES, COMPONENTS);
}

export function required<T>(value: T | null | undefined): T {
  if (value === null || value === undefined) {
    throw new Error("the test expects something that is not there");
  }
  return value;
}

interface Deferred extends HasProps {
  initialize_props(attributes: Record<string, unknown>): void;
  finalize(): void;
  connect_signals(): void;
}

/** Makes a model with an id of our choice, in the steps of BokehJS's own deserializer. */
export function make_model(
  bokeh: BokehRoot,
  name: string,
  id: string,
  attributes: Record<string, unknown> = {},
): HasProps {
  const models = bokeh.Models as { get(name: string): new (attributes: { id: string }) => Deferred };
  const Model = models.get(name);
  const model = new Model({ id });
  model.initialize_props(attributes);
  model.finalize();
  model.connect_signals();
  return model;
}

/** Waits until a check no longer throws; BokehJS takes its time on a busy machine. */
export async function until(check: () => void): Promise<void> {
  await vi.waitFor(check, { timeout: 15_000, interval: 5 });
}

/** The value of a property, whatever its type. */
export function value_of(model: HasProps, attr: string): unknown {
  return model.property(attr).get_value();
}

interface Sent {
  readonly message: ClientMessage;
  readonly buffers: readonly ArrayBuffer[];
}

/** Keeps what is sent to the kernel; the test plays the kernel. */
export class FakeHost implements Host {
  readonly model_id = "model-1";
  is_live = true;
  readonly sent: Sent[] = [];
  source: BundleSource = BUNDLES;
  state: DocumentState | null;
  ids: readonly string[] | null = null;

  constructor(state: DocumentState | null = null) {
    this.state = state;
  }

  root_ids(): readonly string[] | null {
    return this.ids;
  }

  take_state(): DocumentState | null {
    const { state } = this;
    this.state = null;
    return state;
  }

  bundles(): BundleSource {
    return this.source;
  }

  theme: ThemeAttrs | null = null;

  dark_theme(): ThemeAttrs | null {
    return this.theme;
  }

  send(message: ClientMessage, buffers: ArrayBuffer[]): void {
    this.sent.push({ message, buffers });
  }

  /** What was sent of one kind, oldest first. */
  of_kind<K extends ClientMessage["kind"]>(kind: K): Extract<ClientMessage, { kind: K }>[] {
    const messages = this.sent.map(({ message }) => message);
    return messages.filter((message): message is Extract<ClientMessage, { kind: K }> => message.kind == kind);
  }
}

export class FakePlace implements Place {
  readonly element = document.body.appendChild(document.createElement("div"));
  readonly notices: { level: string; text: string }[] = [];
  /** What was shown of the way that the document has come; the last is null if nothing is. */
  readonly progress: (number | null)[] = [];
  /** Every change of what callbacks said. */
  readonly outputs: OutputChange[] = [];
  busy = false;
  retracted = 0;

  retract_notices(): void {
    this.retracted += 1;
  }

  show_output(change: OutputChange): void {
    this.outputs.push(change);
  }

  show_notice(level: "error" | "warning", text: string): void {
    this.notices.push({ level, text });
  }

  set_busy(busy: boolean): void {
    this.busy = busy;
  }

  show_progress(part: number | null): void {
    this.progress.push(part);
  }
}

/** Whether BokehJS lists these documents and no others; comparing their content would take for ever. */
export function lists_only(bokeh: BokehRoot, ...documents: readonly unknown[]): boolean {
  return (
    bokeh.documents.length == documents.length && documents.every((document, i) => bokeh.documents[i] === document)
  );
}
