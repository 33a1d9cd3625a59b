/** The picture of a plot in the saved notebook: what shows it where there is no kernel, and no widgets. */

import type { View } from "@bokeh/bokehjs/build/js/lib/core/view";

export const WIDGET_VIEW = "application/vnd.jupyter.widget-view+json";

/** Key of the metadata of an output whose picture is ours. */
export const FALLBACK = "bokeh_widget";

/** A picture of more characters of base64 is made smaller: a notebook is to stay small. */
const MAX_CHARACTERS = 180_000;

export interface Picture {
  /** PNG, base64. */
  readonly data: string;
  /** In CSS pixels. */
  readonly width: number;
  readonly height: number;
}

interface Exportable extends View {
  export(type: "png", hidpi: boolean): { readonly canvas: HTMLCanvasElement };
}

function is_exportable(view: View): view is Exportable {
  return "export" in view;
}

/** Draws root views one below the other, at one pixel for each CSS pixel; null if there is nothing to see. */
export function picture_of(views: readonly View[]): Picture | null {
  const parts = views.filter(is_exportable).map((view) => view.export("png", false).canvas);
  const seen = parts.filter((part) => part.width > 0 && part.height > 0);
  const width = Math.max(0, ...seen.map((part) => part.width));
  const height = seen.reduce((sum, part) => sum + part.height, 0);
  if (seen.length == 0) {
    return null;
  }
  for (let scale = 1; ; scale /= 2) {
    const canvas = document.createElement("canvas");
    canvas.width = Math.max(1, Math.round(width * scale));
    canvas.height = Math.max(1, Math.round(height * scale));
    const context = canvas.getContext("2d");
    if (context === null) {
      return null;
    }
    context.scale(scale, scale);
    let top = 0;
    for (const part of seen) {
      context.drawImage(part, 0, top);
      top += part.height;
    }
    const data = canvas.toDataURL("image/png").replace(/^data:image\/png;base64,/, "");
    if (data.length <= MAX_CHARACTERS || canvas.width < 100) {
      return { data, width, height };
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
  picture: () => Picture | null,
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

function put_picture(context: Saving, model_id: string, picture: () => Picture | null): void {
  let made: Picture | null | undefined;
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
