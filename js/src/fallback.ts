/** What a saved notebook has beside a widget: what shows the plot where there is no kernel, or there are no widgets. */

import type { View } from "@bokeh/bokehjs/build/js/lib/core/view";
import { canvas_of } from "./picture";
import type { DocumentState } from "./protocol";
import { page_with } from "./saved_page";

export const WIDGET_VIEW = "application/vnd.jupyter.widget-view+json";

/** Key of the metadata of an output of ours; its value is the fallback that it has, or "none". */
export const FALLBACK = "bokeh_widget";

/** A picture of more characters of base64 is made smaller: a notebook is to stay small. */
const MAX_CHARACTERS = 180_000;

export interface SavedPicture {
  /** PNG, base64. */
  readonly data: string;
  /** In CSS pixels. */
  readonly width: number;
  readonly height: number;
}

/** Draws root views at one pixel for each CSS pixel, or at fewer; null if there is no plot to see. */
export function saved_picture_of(views: readonly View[]): SavedPicture | null {
  for (let wanted = 1; ; wanted /= 2) {
    const drawn = canvas_of(views, wanted);
    if (drawn === null) {
      return null;
    }
    const { canvas, scale } = drawn;
    const data = base64_of(canvas);
    if (data === null) {
      return null;
    }
    if (data.length <= MAX_CHARACTERS || canvas.width < 100) {
      return { data, width: Math.round(canvas.width / scale), height: Math.round(canvas.height / scale) };
    }
  }
}

/** Null if an image from another site is in it, which forbids that. */
function base64_of(canvas: HTMLCanvasElement): string | null {
  try {
    return canvas.toDataURL("image/png").replace(/^data:image\/png;base64,/, "");
  } catch {
    return null;
  }
}

/** What the user chose for a widget; any other value keeps nothing. */
export type Fallback = "png" | "html";

/** What is shown of a widget in this page. */
export interface Kept {
  picture(): SavedPicture | null;
  document(): DocumentState | null;
  root_ids(): readonly string[] | null;
}

interface Output {
  readonly data?: Readonly<Record<string, unknown>>;
  readonly metadata?: Readonly<Record<string, unknown>>;
}

interface Cell {
  readonly sharedModel?: {
    getOutputs?(): readonly Output[];
    updateOutputs?(start: number, end: number, outputs: readonly Output[], origin: string): void;
  };
}

/** The part of a notebook's context in JupyterLab that is used, which its widget manager has. */
export interface Saving {
  readonly model: { readonly cells?: Iterable<Cell> };
  readonly saveState: {
    connect(slot: (sender: unknown, state: string) => void): void;
    disconnect(slot: (sender: unknown, state: string) => void): void;
  };
}

/** Before the notebook is saved, puts what is shown beside the widget in each output that shows it. */
export function follow_saving(
  context: Saving | undefined,
  signal: AbortSignal,
  model_id: string,
  fallback: Fallback,
  kept: Kept,
): void {
  if (context?.saveState === undefined) {
    return; // no notebook
  }
  const on_state = (_sender: unknown, state: string): void => {
    // "started" comes before the notebook is written as JSON, in the same task
    if (state == "started") {
      keep(context, model_id, fallback == "png" ? with_picture(kept) : with_page(kept));
    }
  };
  context.saveState.connect(on_state);
  signal.addEventListener("abort", () => context.saveState.disconnect(on_state), { once: true });
}

/** Gives an output with what is shown now, or null if that is nothing. */
type Keep = (output: Output) => Output | null;

function with_picture({ picture }: Kept): Keep {
  let made: SavedPicture | null | undefined;
  return (output) => {
    made = made === undefined ? picture() : made;
    if (made === null) {
      return null;
    }
    const { data, width, height } = made;
    return {
      ...output,
      data: { ...output.data, "image/png": data },
      metadata: { ...output.metadata, [FALLBACK]: "png", "image/png": { width, height } },
    };
  };
}

function with_page({ document, root_ids }: Kept): Keep {
  return (output) => {
    const state = document();
    const html = output.data?.["text/html"];
    const changed = state === null || html === undefined ? null : page_with(text_of(html), state, root_ids());
    return changed === null ? null : { ...output, data: { ...output.data, "text/html": changed } };
  };
}

/** Notebook files have a text as one string, or as a list of lines. */
export function text_of(value: unknown): string {
  return Array.isArray(value) ? value.join("") : String(value);
}

function keep(context: Saving, model_id: string, kept: Keep): void {
  for (const { sharedModel: shared } of context.model.cells ?? []) {
    const outputs = shared?.getOutputs?.() ?? [];
    for (const [index, output] of outputs.entries()) {
      const view = output.data?.[WIDGET_VIEW] as { readonly model_id?: unknown } | undefined;
      const changed = view?.model_id === model_id ? kept(output) : null;
      if (changed !== null) {
        // so that JupyterLab does not take it for news: it would render the widget anew
        shared?.updateOutputs?.(index, index + 1, [changed], "silent-change");
      }
    }
  }
}
