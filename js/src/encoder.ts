/** BokehJS document events to JSON and raw buffers, with BokehJS's own serializer. */

import type { HasProps } from "@bokeh/bokehjs/build/js/lib/core/has_props";
import type { TypedArray } from "@bokeh/bokehjs/build/js/lib/core/types";
import type { Document } from "@bokeh/bokehjs/build/js/lib/document/document";
import type { DocumentEvent } from "@bokeh/bokehjs/build/js/lib/document/events";
import type { BokehRoot } from "./upstream";

export interface EncodedChanges {
  readonly events: unknown[];
  readonly buffers: Map<string, ArrayBuffer>;
}

type Ref = ReturnType<HasProps["ref"]>;

/** What this module uses of a document beside its public names. */
interface ModelTables {
  readonly _all_models: Map<string, HasProps>;
  readonly _new_models: Set<HasProps>;
}

interface SerializerInternals {
  readonly _references?: Map<unknown, Ref>;
  get_ref(obj: unknown): Ref | undefined;
  add_ref(obj: unknown, ref: Ref): void;
  encode(obj: unknown): unknown;
  _encode(obj: unknown): unknown;
  _encode_typed_array(obj: TypedArray): unknown;
}

type SerializerClass = new () => SerializerInternals;

/**
 * Encodes events one by one, when they are sent. A model that Python does not know is defined in
 * the first place that names it, as it is then: see {@link is_contained}.
 */
export class ChangeEncoder {
  readonly #tables: ModelTables;
  readonly #make_serializer: (buffers: Map<string, ArrayBuffer>) => SerializerInternals;
  /** Models that the event which is just being encoded defines; whether each counted as new. */
  readonly #defined = new Map<HasProps, boolean>();
  /** All models that the events which wait here define. */
  readonly #defined_before = new Set<HasProps>();
  #serializer: SerializerInternals | null = null;
  #events: unknown[] = [];
  #buffers = new Map<string, ArrayBuffer>();

  constructor(bokeh: BokehRoot, document: Document) {
    const { Serializer: Base } = bokeh.require("core/serialization") as { Serializer: SerializerClass };
    const { HasProps: ModelBase } = bokeh.require("core/has_props") as {
      HasProps: abstract new () => HasProps;
    };
    const tables = document as unknown as ModelTables;
    this.#tables = tables;
    const defined = this.#defined;

    class BufferedSerializer extends Base {
      readonly #buffers: Map<string, ArrayBuffer>;

      constructor(buffers: Map<string, ArrayBuffer>) {
        super();
        this.#buffers = buffers;
      }

      // BokehJS makes a table of all models for each patch; asking for one keeps a patch cheap
      override get_ref(obj: unknown): Ref | undefined {
        const ref = super.get_ref(obj);
        if (ref === undefined && obj instanceof ModelBase) {
          const is_known = tables._all_models.get(obj.id) === obj && !tables._new_models.has(obj);
          return is_known ? obj.ref() : undefined;
        }
        return ref;
      }

      override add_ref(obj: unknown, ref: Ref): void {
        super.add_ref(obj, ref);
        defined.set(obj as HasProps, tables._new_models.delete(obj as HasProps));
      }

      override _encode(obj: unknown): unknown {
        if (obj instanceof ArrayBuffer) {
          const id = `b${this.#buffers.size}`;
          this.#buffers.set(id, obj);
          return { type: "bytes", data: { id } };
        }
        return super._encode(obj);
      }

      override _encode_typed_array(obj: TypedArray): unknown {
        // BokehJS sends the whole memory under a view of a part of it
        const is_whole = obj.byteLength == obj.buffer.byteLength;
        return super._encode_typed_array(is_whole ? obj : obj.slice());
      }
    }
    this.#make_serializer = (buffers) => new BufferedSerializer(buffers);
  }

  /**
   * Counts models as known to Python, although BokehJS lists each as new that it ever attached.
   *
   * @param json the document's JSON: models that it does not define stay new; null for none of them.
   */
  mark_known(json: string | null): void {
    if (json === null) {
      this.#tables._new_models.clear();
      return;
    }
    const defined = new Set(Array.from(json.matchAll(/"id":"([^"]+)"/g), (match) => match[1]));
    for (const model of this.#tables._new_models) {
      if (defined.has(model.id)) {
        this.#tables._new_models.delete(model);
      }
    }
  }

  get is_empty(): boolean {
    return this.#events.length == 0;
  }

  /**
   * Whether Python needs to hear of no change of a model that is older than this moment: the
   * definition contains it that has been encoded, or will be once something names the model.
   */
  is_contained(model: HasProps): boolean {
    return this.#defined_before.has(model) || this.#tables._new_models.has(model);
  }

  /** Encodes one more event. One that cannot be encoded throws, and leaves no trace. */
  add(event: DocumentEvent): void {
    this.#serializer ??= this.#make_serializer(this.#buffers);
    const { size } = this.#buffers;
    this.#defined.clear();
    try {
      this.#events.push(this.#serializer.encode(event));
      for (const model of this.#defined.keys()) {
        this.#defined_before.add(model);
      }
    } catch (error) {
      this.#undo(this.#serializer, size);
      throw error;
    } finally {
      this.#defined.clear();
    }
  }

  /** What the failed event has defined is not sent: later events must not refer to it. */
  #undo(serializer: SerializerInternals, buffer_count: number): void {
    for (const [model, was_new] of this.#defined) {
      serializer._references?.delete(model);
      if (was_new) {
        this.#tables._new_models.add(model);
      }
    }
    for (const name of [...this.#buffers.keys()].slice(buffer_count)) {
      this.#buffers.delete(name);
    }
  }

  take(): EncodedChanges {
    const taken = { events: this.#events, buffers: this.#buffers };
    this.#serializer = null;
    this.#events = [];
    this.#buffers = new Map();
    this.#defined_before.clear();
    return taken;
  }
}
