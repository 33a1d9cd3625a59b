/** What the front end renders displayed objects with, as far as it is used: its packages are not needed for that. */

type Bundle = Readonly<Record<string, unknown>>;

/** A Lumino widget that shows a MIME bundle. */
interface Renderer {
  renderModel(model: unknown): Promise<void>;
  readonly isAttached: boolean;
  dispose(): void;
}

/** The static side of Lumino's widgets, which their subclasses inherit. */
interface RendererClass {
  attach(renderer: Renderer, host: HTMLElement): void;
  detach(renderer: Renderer): void;
}

export interface Rendermime {
  preferredMimeType(bundle: Bundle, safe: "any"): string | undefined;
  createRenderer(mime_type: string): Renderer;
  createModel(options: { data: Bundle; metadata: Bundle; trusted: boolean }): unknown;
}

/** Something rendered, to be freed. */
export interface Rendered {
  dispose(): void;
}

/** Gives the registry of a front end's widget manager, where it has one: JupyterLab, Notebook and Voila do. */
export function rendermime_of(manager: unknown): Rendermime | null {
  const { rendermime } = Object(manager) as { rendermime?: Partial<Rendermime> };
  return typeof rendermime?.createRenderer == "function" ? (rendermime as Rendermime) : null;
}

/** Renders a MIME bundle into an element of the page; null if nothing here can. */
export function render(rendermime: Rendermime, data: Bundle, metadata: Bundle, host: HTMLElement): Rendered | null {
  const mime_type = rendermime.preferredMimeType(data, "any");
  if (mime_type === undefined) {
    return null;
  }
  const renderer = rendermime.createRenderer(mime_type);
  const { attach, detach } = renderer.constructor as unknown as RendererClass;
  const attach_if_in_page = (): void => {
    if (host.isConnected && !renderer.isAttached) {
      attach(renderer, host);
    }
  };
  attach_if_in_page();
  // what comes before the view is in the page is attached with the next frame
  const frame = requestAnimationFrame(attach_if_in_page);
  renderer.renderModel(rendermime.createModel({ data, metadata, trusted: true })).catch((error: unknown) => {
    console.error(`bokeh_widget could not render ${mime_type}:`, error);
  });
  return {
    dispose() {
      cancelAnimationFrame(frame);
      if (renderer.isAttached && host.isConnected) {
        detach(renderer);
      }
      renderer.dispose();
    },
  };
}
