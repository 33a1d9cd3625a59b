/**
 * A picture of what one place shows: each plot as BokehJS exports it, where it is in the page.
 *
 * BokehJS draws plots, their size bars included, and nothing else: sliders, tables and text are HTML, which no canvas
 * takes. Their room stays empty, and the picture names them.
 */

import type { View } from "@bokeh/bokehjs/build/js/lib/core/view";
import { painted_as_vectors } from "./upstream";

export type PictureType = "png" | "svg";

export interface Picture {
  /** Of the type image/png or image/svg+xml. */
  readonly blob: Blob;
  /** In pixels of the image. */
  readonly width: number;
  readonly height: number;
  /** Types of the models that are not in it, such as "Slider", each once. */
  readonly omitted: readonly string[];
}

export interface PictureOptions {
  /** Pixels of a PNG for each CSS pixel; those of the screen by default. */
  readonly scale?: number;
}

interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

interface Layer {
  readonly canvas: HTMLCanvasElement | SVGSVGElement;
}

/** What is used of the views of BokehJS. */
interface ElementView extends View {
  readonly el: HTMLElement;
  readonly bbox: Box;
  readonly child_views?: readonly ElementView[];
  readonly canvas_view?: { readonly model: { readonly hidpi: boolean } };
  export(type: PictureType, hidpi: boolean): Layer;
}

interface Drawn extends Box {
  readonly view: ElementView;
}

/** Models without anything to see in a picture. */
const UNSEEN: ReadonlySet<string> = new Set(["Toolbar", "Spacer"]);

const SVG = "http://www.w3.org/2000/svg";

/** A canvas that is larger than this in one direction stays blank in some browsers. */
const MAX_CANVAS_PX = 16_384;

/** What is to be drawn, outer ones first. */
interface Scene extends Box {
  readonly backgrounds: readonly (Box & { readonly color: string })[];
  readonly plots: readonly Drawn[];
  readonly omitted: readonly string[];
}

/**
 * Makes a picture of the roots of one place.
 *
 * @param views the roots that the place shows, {@link DocumentView.views}.
 * @throws Error if there is no plot, or none of them has a size just now: a place in a closed tab has none.
 */
export async function picture_of(
  views: readonly View[],
  type: PictureType,
  { scale = devicePixelRatio }: PictureOptions = {},
): Promise<Picture> {
  const scene = scene_of(views);
  if (scene.plots.length == 0) {
    const found = scene.omitted.length == 0 ? "nothing that is visible" : `only ${scene.omitted.join(", ")}`;
    throw new Error(
      `a picture shows plots, and there is ${found} here; show a figure, and make it visible in the page`,
    );
  }
  return type == "png" ? await png_of(scene, scale) : svg_of(scene);
}

/** A drawing on a canvas, and how many pixels of it one of CSS has. */
export interface Canvas {
  readonly canvas: HTMLCanvasElement;
  readonly scale: number;
}

/**
 * Draws the roots of one place at once, without waiting.
 *
 * @param scale pixels for each CSS pixel; fewer if a browser could not make a canvas of so many.
 * @returns null if there is no plot, or none of them has a size just now.
 */
export function canvas_of(views: readonly View[], scale: number): Canvas | null {
  const scene = scene_of(views);
  if (scene.plots.length == 0) {
    return null;
  }
  const possible = Math.min(scale, MAX_CANVAS_PX / Math.max(scene.width, scene.height));
  return { canvas: draw(scene, possible), scale: possible };
}

function scene_of(all_views: readonly View[]): Scene {
  const views = all_views as readonly ElementView[];
  const backgrounds: (Box & { color: string })[] = [];
  const plots: Drawn[] = [];
  const omitted = new Set<string>();
  const visit = (view: ElementView): void => {
    if (!is_displayed(view)) {
      return; // in a tab that is not the active one
    }
    const box = box_of(view);
    if (view.canvas_view !== undefined) {
      plots.push({ ...box, view });
    } else if (view.child_views === undefined || view.child_views.length == 0) {
      if (!UNSEEN.has(view.model.type)) {
        omitted.add(view.model.type);
      }
    } else {
      backgrounds.push({ ...box, color: getComputedStyle(view.el).backgroundColor });
      view.child_views.forEach(visit);
    }
  };
  views.forEach(visit);
  const boxes = views.filter(is_displayed).map(box_of);
  const x = Math.min(...boxes.map((box) => box.x));
  const y = Math.min(...boxes.map((box) => box.y));
  const right = Math.max(...boxes.map((box) => box.x + box.width));
  const bottom = Math.max(...boxes.map((box) => box.y + box.height));
  const moved = <T extends Box>(box: T): T => ({ ...box, x: box.x - x, y: box.y - y });
  return {
    x: 0,
    y: 0,
    width: Math.ceil(right - x),
    height: Math.ceil(bottom - y),
    backgrounds: backgrounds.map(moved),
    plots: plots.map(moved),
    omitted: [...omitted],
  };
}

/** Whether a view has a size in the page just now. */
export function is_displayed(view: View): boolean {
  const { width, height } = (view as ElementView).el.getBoundingClientRect();
  return width > 0 && height > 0;
}

/** In CSS pixels of the page. BokehJS's own box counts from the parent, and an export from the outermost one. */
function box_of({ el }: ElementView): Box {
  const { x, y, width, height } = el.getBoundingClientRect();
  return { x, y, width, height };
}

/** With the pixels that its own canvas has: WebGL draws into one of just that size. */
function export_plot({ view }: Drawn, type: PictureType): Layer {
  return view.export(type, view.canvas_view?.model.hidpi ?? true);
}

function draw(scene: Scene, scale: number): HTMLCanvasElement {
  const canvas = document.createElement("canvas");
  canvas.width = Math.round(scene.width * scale);
  canvas.height = Math.round(scene.height * scale);
  if (Math.max(canvas.width, canvas.height) > MAX_CANVAS_PX) {
    throw new Error(
      `a PNG of ${canvas.width} × ${canvas.height} pixels is larger than browsers can make, ${MAX_CANVAS_PX} in each ` +
        "direction; make the plot smaller, or export it as SVG",
    );
  }
  const context = canvas.getContext("2d");
  if (context === null) {
    throw new Error("the browser gives no canvas to draw on; close other plots, and try again");
  }
  context.scale(scale, scale);
  for (const { x, y, width, height, color } of scene.backgrounds) {
    context.fillStyle = color;
    context.fillRect(x, y, width, height);
  }
  for (const plot of scene.plots) {
    const image = export_plot(plot, "png").canvas as HTMLCanvasElement;
    if (image.width > 0 && image.height > 0) {
      context.drawImage(image, plot.x, plot.y, plot.view.bbox.width, plot.view.bbox.height);
    }
  }
  return canvas;
}

async function png_of(scene: Scene, scale: number): Promise<Picture> {
  const canvas = draw(scene, scale);
  const blob = await new Promise<Blob | null>((resolve, reject) => {
    try {
      canvas.toBlob(resolve, "image/png");
    } catch (error) {
      const reason =
        "the browser makes no PNG of a plot with an image from another site, which has to allow that (CORS)";
      reject(new Error(reason, { cause: error }));
    }
  });
  if (blob === null) {
    throw new Error("the browser made no PNG of the plot; make it smaller");
  }
  return { blob, width: canvas.width, height: canvas.height, omitted: scene.omitted };
}

function svg_of(scene: Scene): Picture {
  const { width, height, omitted } = scene;
  const root = document.createElementNS(SVG, "svg");
  set_attributes(root, { width, height, viewBox: `0 0 ${width} ${height}` });
  for (const { color, ...box } of scene.backgrounds) {
    const rect = document.createElementNS(SVG, "rect");
    set_attributes(rect, { ...box, fill: color });
    root.append(rect);
  }
  for (const plot of scene.plots) {
    const image = painted_as_vectors(plot.view, () => export_plot(plot, "svg")).canvas;
    set_attributes(image, { x: plot.x, y: plot.y });
    root.append(image); // out of the layer that BokehJS has made for it, and nobody holds
  }
  const text = new XMLSerializer().serializeToString(root);
  return { blob: new Blob([text], { type: "image/svg+xml" }), width, height, omitted };
}

function set_attributes(element: Element, attributes: Readonly<Record<string, string | number>>): void {
  for (const [name, value] of Object.entries(attributes)) {
    element.setAttribute(name, `${value}`);
  }
}
