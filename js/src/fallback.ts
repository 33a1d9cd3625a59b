/** The picture of a plot in the saved notebook: what shows it where there is no kernel, and no widgets. */

import type { View } from "@bokeh/bokehjs/build/js/lib/core/view";
import { canvas_of } from "./picture";

export const WIDGET_VIEW = "application/vnd.jupyter.widget-view+json";

/** Key of the metadata of an output whose picture is ours. */
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
  for (let scale = 1; ; scale /= 2) {
    const canvas = canvas_of(views, scale);
    if (canvas === null) {
      return null;
    }
    const data = canvas.toDataURL("image/png").replace(/^data:image\/png;base64,/, "");
    if (data.length <= MAX_CHARACTERS || canvas.width < 100) {
      return { data, width: Math.round(canvas.width / scale), height: Math.round(canvas.height / scale) };
    }
  }
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

/** Before the notebook is saved, puts a picture beside the widget in each output that shows it. */
export function follow_saving(
  context: Saving | undefined,
  signal: AbortSignal,
  model_id: string,
  picture: () => SavedPicture | null,
): void {
  if (context?.saveState === undefined) {
    return; // no notebook
  }
  const on_state = (_sender: unknown, state: string): void => {
    // "started" comes before the notebook is written as JSON, in the same task
    if (state == "started") {
      put_picture(context, model_id, picture);
    }
  };
  context.saveState.connect(on_state);
  signal.addEventListener("abort", () => context.saveState.disconnect(on_state), { once: true });
}

function put_picture(context: Saving, model_id: string, picture: () => SavedPicture | null): void {
  let made: SavedPicture | null | undefined;
  for (const { sharedModel: shared } of context.model.cells ?? []) {
    const outputs = shared?.getOutputs?.() ?? [];
    for (const [index, output] of outputs.entries()) {
      const view = output.data?.[WIDGET_VIEW] as { readonly model_id?: unknown } | undefined;
      if (view?.model_id !== model_id) {
        continue;
      }
      made = made === undefined ? picture() : made;
      if (made === null) {
        return;
      }
      const { data, width, height } = made;
      const changed = {
        ...output,
        data: { ...output.data, "image/png": data },
        metadata: { ...output.metadata, [FALLBACK]: "png", "image/png": { width, height } },
      };
      // so that JupyterLab does not take it for news: it would render the widget anew
      shared?.updateOutputs?.(index, index + 1, [changed], "silent-change");
    }
  }
}
