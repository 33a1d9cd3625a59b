/**
 * The messages on the comm. docs/protocol.md is the specification, bokeh_widget/_protocol.py the
 * same in Python; both are tested with the frames in tests/protocol.
 */

export const PROTOCOL_VERSION = 2;

/** The whole document, as the synced trait `_document` carries it. */
export interface DocumentState {
  readonly session: string;
  readonly revision: number;
  readonly json: string;
  readonly buffers: Readonly<Record<string, BufferSource>>;
  readonly requires: readonly string[];
}

/** A message whose buffers came before it, in so many chunks. */
export interface Transfer {
  readonly id: string;
  readonly count: number;
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
  /** Name of the buffer with the JSON of the events, if it is not in `events`. */
  readonly packed: string | null;
  readonly transfer: Transfer | null;
}

export interface DocumentMessage {
  readonly kind: "document";
  readonly client: string | null;
  readonly session: string;
  readonly revision: number;
  /** The last patch of `client` that the document contains; null if it is for every client. */
  readonly seq: number | null;
  readonly json: string;
  readonly buffers: readonly string[];
  readonly requires: readonly string[];
  /** Name of the buffer with the JSON, if it is not in `json`. */
  readonly packed: string | null;
  readonly transfer: Transfer | null;
}

/** A part of the buffers of a message that follows; null for every client. */
export interface ChunkMessage {
  readonly kind: "chunk";
  readonly client: string | null;
  readonly transfer: string;
  readonly index: number;
  readonly count: number;
  /** Where its first byte is among those of all buffers. */
  readonly offset: number;
  /** Bytes of each buffer of the message that follows. */
  readonly sizes: readonly number[];
}

/** The kernel asks whether the client is at this revision. */
export interface SyncMessage {
  readonly kind: "sync";
  readonly session: string;
  readonly revision: number;
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

/** Text that callbacks printed in a row, to one of the two streams. */
export interface StreamBlock {
  readonly id: number;
  readonly kind: "stream";
  readonly name: string;
  readonly text: string;
}

/** An object that a callback displayed: a MIME bundle. */
export interface DisplayBlock {
  readonly id: number;
  readonly kind: "display";
  readonly data: Readonly<Record<string, unknown>>;
  readonly metadata: Readonly<Record<string, unknown>>;
}

/** An error: a line, the traceback, and how often it came. */
export interface ErrorBlock {
  readonly id: number;
  readonly kind: "error";
  readonly text: string;
  readonly detail: string;
  readonly count: number;
}

export type OutputBlock = StreamBlock | DisplayBlock | ErrorBlock;

/** What callbacks printed, displayed and raised: blocks that are new or other than before. */
export interface OutputMessage {
  readonly kind: "output";
  readonly client: string | null;
  readonly session: string;
  /** Blocks before this one are gone. */
  readonly first: number;
  /** How many lines are gone because there were too many. */
  readonly cut: number;
  readonly blocks: readonly OutputBlock[];
}

/** The kernel asks one client for a picture of the document at this revision, or a later one. */
export interface ExportMessage {
  readonly kind: "export";
  readonly client: string;
  readonly request: string;
  readonly session: string;
  readonly revision: number;
  readonly type: "png" | "svg";
  /** After this time the answer is awaited no more. */
  readonly timeout_ms: number;
}

export type KernelMessage =
  | PatchMessage
  | DocumentMessage
  | ChunkMessage
  | SyncMessage
  | RefusedMessage
  | NoticeMessage
  | OutputMessage
  | ExportMessage;

/** Whether the page is light or dark. */
export type Scheme = "light" | "dark";

/** What says which views there are, in order. */
interface Ticked {
  readonly client: string;
  /** Rises by one with each message of these kinds of a client. */
  readonly tick: number;
}

interface Viewed extends Ticked {
  /** All views of the client, after this message. */
  readonly views: readonly string[];
}

export type ClientMessage =
  | (Viewed & {
      readonly kind: "attach";
      readonly session: string | null;
      readonly revision: number | null;
      readonly protocol: number;
      /** The last own patch that was acknowledged. */
      readonly seq: number;
    })
  | (Viewed & { readonly kind: "ack"; readonly session: string; readonly revision: number; readonly cost_ms: number })
  | (Viewed & { readonly kind: "hi"; readonly view: string; readonly scheme: Scheme })
  | (Viewed & { readonly kind: "gone"; readonly view: string })
  | (Ticked & { readonly kind: "bye" })
  | { readonly kind: "clear_output"; readonly client: string }
  | {
      readonly kind: "exported";
      readonly client: string;
      readonly request: string;
      /** In pixels of the picture. */
      readonly width: number;
      readonly height: number;
      /** Types of the models that are not in it. */
      readonly omitted: readonly string[];
      /** Why there is no picture; null if there is one, which is the only buffer then. */
      readonly error: string | null;
      readonly buffers: readonly string[];
    }
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
const is_size = (value: unknown): value is number => is_count(value) && value >= 0;
const is_names = (value: unknown): value is string[] => Array.isArray(value) && value.every(is_string);
const or_null =
  (check: (value: unknown) => boolean) =>
  (value: unknown): boolean =>
    value === null || check(value);

const is_transfer = (value: unknown): boolean => {
  const { id, count } = Object(value) as Partial<Record<keyof Transfer, unknown>>;
  return is_string(id) && is_size(count);
};

const is_record = (value: unknown): boolean => typeof value == "object" && value !== null && !Array.isArray(value);

const is_block = (value: unknown): boolean => {
  const block = Object(value) as Readonly<Record<string, unknown>>;
  switch (block["kind"]) {
    case "stream":
      return is_size(block["id"]) && is_string(block["name"]) && is_string(block["text"]);
    case "display":
      return is_size(block["id"]) && is_record(block["data"]) && is_record(block["metadata"]);
    case "error":
      return is_size(block["id"]) && is_string(block["text"]) && is_string(block["detail"]) && is_size(block["count"]);
    default:
      return false;
  }
};

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
    packed: or_null(is_string),
    transfer: or_null(is_transfer),
  },
  document: {
    client: or_null(is_string),
    session: is_string,
    revision: is_count,
    json: is_string,
    buffers: is_names,
    requires: is_names,
    seq: or_null(is_count),
    packed: or_null(is_string),
    transfer: or_null(is_transfer),
  },
  chunk: {
    client: or_null(is_string),
    transfer: is_string,
    index: is_size,
    count: is_size,
    offset: is_size,
    sizes: (value) => Array.isArray(value) && value.every(is_size),
  },
  sync: { session: is_string, revision: is_count },
  refused: { client: is_string, seq: is_count, message: is_string },
  output: {
    client: or_null(is_string),
    session: is_string,
    first: is_size,
    cut: is_size,
    blocks: (value) => Array.isArray(value) && value.every(is_block),
  },
  export: {
    client: is_string,
    request: is_string,
    session: is_string,
    revision: is_count,
    type: (value) => value === "png" || value === "svg",
    timeout_ms: is_size,
  },
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

/** The JSON of a message, which may be the UTF-8 of one of its buffers; that one is taken out. */
export function unpack_json(packed: string, buffers: Map<string, ArrayBuffer>): string {
  const bytes = buffers.get(packed);
  if (bytes === undefined) {
    throw new ProtocolError(
      `message from the kernel has its JSON in the buffer "${packed}", which did not come with it`,
    );
  }
  buffers.delete(packed);
  return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
}

/** The events of a patch, wherever they are; null in a mere acknowledgement. */
export function events_of(message: PatchMessage, buffers: Map<string, ArrayBuffer>): readonly unknown[] | null {
  if (message.packed === null) {
    return message.events;
  }
  const events: unknown = JSON.parse(unpack_json(message.packed, buffers));
  if (!Array.isArray(events)) {
    throw new ProtocolError(`message "patch" from the kernel: the buffer "${message.packed}" holds no array of events`);
  }
  return events;
}

/** The document of a message, as the model's state would carry it. */
export function state_of_document(message: DocumentMessage, buffers: Map<string, ArrayBuffer>): DocumentState {
  const { session, revision, requires, packed } = message;
  const json = packed === null ? message.json : unpack_json(packed, buffers);
  return { session, revision, json, buffers: Object.fromEntries(buffers), requires };
}

/** Bytes of all buffers of a message. */
export function total_bytes(buffers: Map<string, ArrayBuffer>): number {
  return [...buffers.values()].reduce((sum, { byteLength }) => sum + byteLength, 0);
}
