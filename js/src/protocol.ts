/**
 * The messages on the comm. docs/protocol.md is the specification, bokeh_widget/_protocol.py the
 * same in Python; both are tested with the frames in tests/protocol.
 */

export const PROTOCOL_VERSION = 1;

/** The whole document, as the synced trait `_document` carries it. */
export interface DocumentState {
  readonly session: string;
  readonly revision: number;
  readonly json: string;
  readonly buffers: Readonly<Record<string, BufferSource>>;
  readonly requires: readonly string[];
}

/** One step of the document; `events` is null in an acknowledgement for `origin`. */
export interface PatchMessage {
  readonly kind: "patch";
  readonly session: string;
  readonly revision: number;
  readonly origin: string | null;
  readonly seq: number | null;
  readonly events: readonly unknown[] | null;
  readonly buffers: readonly string[];
  readonly requires: readonly string[];
}

export interface DocumentMessage {
  readonly kind: "document";
  readonly client: string | null;
  readonly session: string;
  readonly revision: number;
  readonly json: string;
  readonly buffers: readonly string[];
  readonly requires: readonly string[];
}

export interface RefusedMessage {
  readonly kind: "refused";
  readonly client: string;
  readonly seq: number;
  readonly message: string;
}

export interface NoticeMessage {
  readonly kind: "notice";
  readonly level: "error" | "warning";
  readonly text: string;
}

export type KernelMessage = PatchMessage | DocumentMessage | RefusedMessage | NoticeMessage;

export type ClientMessage =
  | {
      readonly kind: "attach";
      readonly client: string;
      readonly session: string | null;
      readonly revision: number | null;
      readonly protocol: number;
    }
  | { readonly kind: "hi"; readonly client: string; readonly view: string }
  | { readonly kind: "gone"; readonly client: string; readonly view: string }
  | { readonly kind: "bye"; readonly client: string }
  | {
      readonly kind: "patch";
      readonly client: string;
      readonly session: string;
      readonly seq: number;
      readonly revision: number;
      readonly events: readonly unknown[];
      readonly buffers: readonly string[];
    }
  | {
      readonly kind: "error";
      readonly client: string;
      readonly context: string;
      readonly message: string;
      readonly stack: string;
    };

/** A message of the kernel is malformed: the page cannot know what it means. */
export class ProtocolError extends Error {
  override readonly name = "ProtocolError";
}

const is_string = (value: unknown): value is string => typeof value == "string";
const is_count = (value: unknown): value is number => Number.isInteger(value);
const is_names = (value: unknown): value is string[] => Array.isArray(value) && value.every(is_string);
const or_null =
  (check: (value: unknown) => boolean) =>
  (value: unknown): boolean =>
    value === null || check(value);

type Checks = Readonly<Record<string, (value: unknown) => boolean>>;

const CHECKS: Readonly<Record<KernelMessage["kind"], Checks>> = {
  patch: {
    session: is_string,
    revision: is_count,
    origin: or_null(is_string),
    seq: or_null(is_count),
    events: or_null(Array.isArray),
    buffers: is_names,
    requires: is_names,
  },
  document: {
    client: or_null(is_string),
    session: is_string,
    revision: is_count,
    json: is_string,
    buffers: is_names,
    requires: is_names,
  },
  refused: { client: is_string, seq: is_count, message: is_string },
  notice: { level: (value) => value === "error" || value === "warning", text: is_string },
};

/**
 * Checks a message of the kernel and gives it its type; null for messages that are not ours
 * (ipywidgets' own "focus" and "blur" have no `kind`).
 */
export function parse_kernel_message(content: unknown): KernelMessage | null {
  if (typeof content != "object" || content === null || !("kind" in content)) {
    return null;
  }
  const { kind } = content;
  if (!is_string(kind) || !Object.hasOwn(CHECKS, kind)) {
    throw new ProtocolError(`unknown kind of message from the kernel: ${JSON.stringify(kind)}`);
  }
  const fields = content as Readonly<Record<string, unknown>>;
  for (const [name, check] of Object.entries(CHECKS[kind as KernelMessage["kind"]])) {
    if (!check(fields[name])) {
      throw new ProtocolError(
        `message "${kind}" from the kernel: field "${name}" has the value ${JSON.stringify(fields[name])}`,
      );
    }
  }
  return content as KernelMessage;
}

/** An exact copy-free ArrayBuffer where the view spans it, else a slice: BokehJS takes no views. */
export function exact_buffer(source: BufferSource): ArrayBuffer {
  if (source instanceof ArrayBuffer) {
    return source;
  }
  const { buffer, byteOffset, byteLength } = source;
  if (buffer instanceof ArrayBuffer && byteOffset == 0 && byteLength == buffer.byteLength) {
    return buffer;
  }
  return new Uint8Array(buffer, byteOffset, byteLength).slice().buffer;
}

/** Pairs the buffers of a message with the names that it gives them. */
export function named_buffers(names: readonly string[], buffers: readonly BufferSource[]): Map<string, ArrayBuffer> {
  if (names.length != buffers.length) {
    throw new ProtocolError(
      `message from the kernel names ${names.length} buffers, but ${buffers.length} came with it`,
    );
  }
  return new Map(names.map((name, i) => [name, exact_buffer(buffers[i] as BufferSource)]));
}
