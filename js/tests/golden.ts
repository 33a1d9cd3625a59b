/** Reads the golden frames of tests/protocol; their README.md describes the format. */

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { HasProps } from "@bokeh/bokehjs/build/js/lib/core/has_props";
import type { Document } from "@bokeh/bokehjs/build/js/lib/document/document";
import type { DocumentState } from "../src/protocol";
import { required, value_of } from "./page";

const FOLDER = join(import.meta.dirname, "../../tests/protocol");

interface Result {
  readonly title?: string;
  readonly roots?: readonly string[];
  readonly models?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  /** What callbacks in Python hear. */
  readonly heard?: readonly unknown[];
}

interface File {
  readonly direction: "to_client" | "to_kernel";
  readonly content: Readonly<Record<string, unknown>>;
  readonly buffers: Readonly<Record<string, string>>;
  readonly result?: Result;
}

export interface Frame {
  readonly direction: "to_client" | "to_kernel";
  readonly content: Readonly<Record<string, unknown>>;
  readonly buffers: Readonly<Record<string, Uint8Array<ArrayBuffer>>>;
  readonly result: Result;
}

export interface InvalidCase {
  readonly description: string;
  readonly content: unknown;
  readonly buffers: readonly string[];
  readonly error: string;
}

/** Bytes of their own, as a comm hands them out: a view of a part of a larger buffer. */
export function from_base64(text: string): Uint8Array<ArrayBuffer> {
  const bytes = Buffer.from(text, "base64");
  const padded = new Uint8Array(bytes.length + 16);
  padded.set(bytes, 8);
  return padded.subarray(8, 8 + bytes.length);
}

function read<T>(name: string): T {
  return JSON.parse(readFileSync(join(FOLDER, `${name}.json`), "utf-8")) as T;
}

/** One frame; the JSON of a document, which the files keep as an object, is made text again. */
export function load(name: string): Frame {
  const { direction, content, buffers, result } = read<File>(name);
  const json = content["json"];
  return {
    direction,
    content: json === undefined ? content : { ...content, json: JSON.stringify(json) },
    buffers: Object.fromEntries(Object.entries(buffers).map(([id, text]) => [id, from_base64(text)])),
    result: result ?? {},
  };
}

export function frame_names(direction: File["direction"]): string[] {
  const names = readdirSync(FOLDER).flatMap((name) => (name.endsWith(".json") ? [name.slice(0, -5)] : []));
  const frames = names.filter((name) => !name.startsWith("invalid_"));
  return frames.filter((name) => load(name).direction == direction).sort();
}

export function load_invalid(name: string): InvalidCase[] {
  return read<InvalidCase[]>(`invalid_${name}`);
}

/** The document that all frames are about, as a model's state carries it. */
export function described_state(): DocumentState {
  const { content, buffers } = load("kernel_state");
  return { ...(content as unknown as DocumentState), buffers };
}

function is_model(value: object): value is HasProps {
  return "attach_document" in value;
}

/** A value of a property as the `result` of a frame writes it. */
export function plain(value: unknown): unknown {
  if (typeof value == "number" && !Number.isFinite(value)) {
    return { type: "number", value: Number.isNaN(value) ? "nan" : `${value < 0 ? "-" : "+"}inf` };
  }
  if (typeof value != "object" || value === null) {
    return value;
  }
  if (is_model(value)) {
    return { id: value.id };
  }
  if (Array.isArray(value) || (ArrayBuffer.isView(value) && !(value instanceof DataView))) {
    return Array.from(value as Iterable<unknown>, plain);
  }
  const items = value instanceof Map ? [...value] : Object.entries(value);
  return Object.fromEntries(items.map(([name, item]) => [name, plain(item)]));
}

/** What of a document a `result` speaks of. */
export function outcome(document: Document, expected: Result): Result {
  const models = Object.entries(expected.models ?? {}).map(([id, attributes]) => {
    const model = required(document.get_model_by_id(id));
    return [id, Object.fromEntries(Object.keys(attributes).map((attr) => [attr, plain(value_of(model, attr))]))];
  });
  return {
    ...(expected.title === undefined ? {} : { title: document.title() }),
    ...(expected.roots === undefined ? {} : { roots: document.roots().map(({ id }) => id) }),
    ...(expected.models === undefined ? {} : { models: Object.fromEntries(models) }),
  };
}
