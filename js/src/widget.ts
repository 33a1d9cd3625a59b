/** The host in front ends with ipywidgets: our widget models and view. */

import {
  DOMWidgetModel,
  DOMWidgetView,
  type IBackboneModelOptions,
  type ISerializers,
  unpack_models,
  WidgetModel,
} from "@jupyter-widgets/base";
import type { BundleSource } from "./bokehjs";
import { Client, type Host } from "./client";
import { Connection, follow_kernel, type KernelConnection } from "./connection";
import { make_data_region } from "./data_table";
import { make_place } from "./element_place";
import { type Fallback, follow_saving, type Saving } from "./fallback";
import { OutputRegion } from "./output_region";
import { type ClientMessage, type DocumentState, PROTOCOL_VERSION, parse_kernel_message } from "./protocol";
import { rendermime_of } from "./rendermime";
import { follow_scheme, type ThemeAttrs } from "./scheme";
import { release_comm, track_message_handlers } from "./upstream_jupyter";
import { VERSION } from "./version";

export { VERSION };
export const MODULE_NAME = "bokeh-widget";

type Attributes = Record<string, unknown>;
type WidgetState = ReturnType<WidgetModel["get_state"]>;

const COMPONENT_TRAITS: Readonly<Record<string, string>> = {
  bokeh: "core",
  "bokeh-widgets": "widgets_",
  "bokeh-tables": "tables",
  "bokeh-gl": "gl",
  "bokeh-mathjax": "mathjax",
};

/** Binary values stay as they are: the manager finds them in the state, and writes them as base64 where it saves. */
const AS_IT_IS = { serialize: (value: unknown): unknown => value };

/** Carries BokehJS from the kernel; never displayed. */
export class BokehJSModel extends WidgetModel implements BundleSource {
  static override serializers: ISerializers = {
    ...WidgetModel.serializers,
    ...Object.fromEntries([...Object.values(COMPONENT_TRAITS), "extensions"].map((trait) => [trait, AS_IT_IS])),
  };

  override defaults(): Attributes {
    return {
      ...super.defaults(),
      _model_name: "BokehJSModel",
      _model_module: MODULE_NAME,
      _model_module_version: "*",
    };
  }

  get version(): string {
    return this.get("version") as string;
  }

  get warning(): string {
    return (this.get("warning") as string | undefined) ?? "";
  }

  bundle(name: string): BufferSource | null {
    const trait = COMPONENT_TRAITS[name];
    if (trait !== undefined) {
      return (this.get(trait) as BufferSource | null | undefined) ?? null;
    }
    const extensions = this.get("extensions") as Readonly<Record<string, BufferSource>> | undefined;
    return extensions?.[name] ?? null;
  }

  override close(comm_closed = false): Promise<void> {
    release_comm(this);
    return super.close(comm_closed);
  }
}

interface KernelOwner {
  readonly kernel?: KernelConnection | null;
}

const DISCONNECTED =
  "Disconnected: the kernel that this plot belongs to has stopped or was restarted. Run the cell again.";

const SAVED = "Saved plot: Python is not connected to it. Run the cell to make it live.";

export class BokehWidgetModel extends DOMWidgetModel {
  static override serializers: ISerializers = {
    ...DOMWidgetModel.serializers,
    _document: AS_IT_IS,
    _bokehjs: { deserialize: unpack_models as unknown as NonNullable<ISerializers[string]["deserialize"]> },
  };

  // Backbone calls initialize() from its constructor, before fields of this class exist: these are
  // declared only, and set there
  declare client: Client;
  declare connection: Connection;
  declare private _kernel: KernelConnection | null | undefined;
  declare private _release: AbortController;

  override defaults(): Attributes {
    return {
      ...super.defaults(),
      _model_name: "BokehWidgetModel",
      _model_module: MODULE_NAME,
      _model_module_version: "*",
      _view_name: "BokehWidgetView",
      _view_module: MODULE_NAME,
      _view_module_version: "*",
      _document: null,
      _bokehjs: null,
      _root_ids: null,
      _fallback: null,
      _dark_theme: null,
      aria_label: "",
      _package_version: "",
      _protocol_version: 0,
    };
  }

  override initialize(attributes: Attributes, options: IBackboneModelOptions): void {
    super.initialize(attributes, options);
    this._release = new AbortController();
    this.client = new Client(host_of(this));
    this.on("msg:custom", this._on_message, this);
    this.on("change:_document", () => this.client.state_arrived(), this);
    this.on("comm_live_update", this._on_comm_live_update, this);
    const { signal } = this._release;
    this.connection = new Connection(() => this.client.return_to_line());
    this._kernel = (this.widget_manager as unknown as KernelOwner).kernel;
    follow_kernel(this._kernel, this.connection, signal, () => this._disconnect());
    follow_page(this.client, signal);
    const fallback = this.get("_fallback") as Fallback | null;
    if (fallback !== null) {
      const { context } = this.widget_manager as unknown as { readonly context?: Saving };
      follow_saving(context, signal, this.model_id, fallback, {
        picture: () => this.client.picture(),
        document: () => this.client.saved_state(),
        root_ids: () => this.get("_root_ids") as string[] | null,
      });
    }
    follow_scheme(() => this.client.scheme_changed(), signal);
  }

  /** Whether the kernel can be sent something. A notebook that is closed lets go of its kernel before its views go. */
  get is_connected(): boolean {
    return this.comm !== undefined && this.comm_live && this._kernel?.isDisposed !== true;
  }

  /** What keeps this page from showing the widget, or an empty string. */
  get mismatch(): string {
    const kernel_protocol = this.get("_protocol_version") as number;
    if (kernel_protocol == PROTOCOL_VERSION) {
      return "";
    }
    const older = kernel_protocol < PROTOCOL_VERSION ? "the kernel" : "JupyterLab";
    return (
      `bokeh_widget is ${this.get("_package_version") as string} in the environment of the kernel and ` +
      `${VERSION} in that of JupyterLab, and these cannot work together. Update it in the environment of ` +
      `${older}, then restart the kernel and reload the page.`
    );
  }

  get bokehjs(): BokehJSModel | null {
    return this.get("_bokehjs") as BokehJSModel | null;
  }

  private _on_message(content: unknown, buffers: readonly DataView[] | undefined): void {
    try {
      const message = parse_kernel_message(content);
      if (message !== null) {
        this.client.handle(message, (buffers ?? []) as readonly BufferSource[]);
      }
    } catch (error) {
      this.client.fail("read a message of the kernel", error);
    }
  }

  /** The manager saves the notebook's widgets: what is shown now, not what the state began with. */
  override get_state(drop_defaults?: boolean): WidgetState {
    const state = { ...super.get_state(drop_defaults) };
    const document = this.client.saved_state() as unknown as WidgetState | null;
    return document === null ? state : { ...state, _document: document };
  }

  private _on_comm_live_update(): void {
    if (!this.comm_live) {
      this._disconnect();
    }
  }

  private _disconnect(): void {
    void this.client.disconnect(DISCONNECTED);
  }

  override close(comm_closed = false): Promise<void> {
    this._release.abort();
    release_comm(this);
    const disposed = this.client.dispose();
    this.off(undefined, undefined, this);
    return super.close(comm_closed).then(() => disposed);
  }
}

function host_of(model: BokehWidgetModel): Host {
  return {
    model_id: model.model_id,
    is_live: model.comm !== undefined,
    root_ids: () => model.get("_root_ids") as string[] | null,
    take_state: () => {
      const state = model.get("_document") as DocumentState | null;
      if (model.comm !== undefined) {
        // past Backbone: nothing is to be told, and the kernel least of all
        model.attributes["_document"] = null;
      } // else nobody sends it again for the next view
      return state;
    },
    bundles: () => {
      const source = model.bokehjs;
      if (source === null) {
        throw new Error("the runtime model of bokeh_widget is missing; run the cell again");
      }
      return source;
    },
    dark_theme: () => model.get("_dark_theme") as ThemeAttrs | null,
    send: (message: ClientMessage, buffers: ArrayBuffer[]) => {
      if (model.is_connected) {
        model.send(message as unknown as Parameters<typeof model.send>[0], model.callbacks(), buffers);
      }
    },
  };
}

/** A page that goes may be kept by the browser, and come back as it was without being loaded again. */
export function follow_page(client: Client, signal: AbortSignal): void {
  window.addEventListener("pagehide", () => client.leave_page(), { signal });
  const on_show = ({ persisted }: PageTransitionEvent): void => {
    if (persisted) {
      client.return_to_page();
    }
  };
  window.addEventListener("pageshow", on_show, { signal });
}

export class BokehWidgetView extends DOMWidgetView {
  declare model: BokehWidgetModel;
  declare private _place_id: string | undefined;
  declare private _forget_handlers: () => void;
  declare private _output: OutputRegion;
  declare private _leave_connection: () => void;
  declare private _leave_titles: () => void;

  override initialize(parameters: Parameters<DOMWidgetView["initialize"]>[0]): void {
    this._forget_handlers = track_message_handlers(this.model, () => super.initialize(parameters));
  }

  override render(): void {
    super.render();
    this.el.classList.add("bokeh-widget");
    const plot = document.createElement("div");
    plot.classList.add("bokeh-widget-plot");
    plot.setAttribute("role", "figure");
    plot.tabIndex = 0;
    const notices = document.createElement("div");
    notices.classList.add("bokeh-widget-notices");
    notices.setAttribute("role", "status");
    const line = document.createElement("div");
    line.classList.add("bokeh-widget-connection");
    line.setAttribute("role", "status");
    this._leave_connection = this.model.connection.add_place(line);
    const output = document.createElement("div");
    const { client, widget_manager } = this.model;
    const label = (): void => plot.setAttribute("aria-label", (this.model.get("aria_label") as string) || client.label);
    label();
    this.listenTo(this.model, "change:aria_label", label);
    this._leave_titles = client.title_changes.follow(label);
    this._output = new OutputRegion(output, rendermime_of(widget_manager), () => client.clear_output());
    this.el.append(
      plot,
      make_data_region(() => client.roots),
      line,
      notices,
      output,
    );
    const place = make_place(plot, notices, this._output);
    const { mismatch } = this.model;
    if (mismatch != "") {
      client.fail("work with this kernel", mismatch, place);
      return;
    }
    const warning = this.model.bokehjs?.warning ?? "";
    if (warning != "") {
      place.show_notice("warning", warning, false);
    }
    const { comm, comm_live } = this.model;
    // a model without a comm is one of a saved page, and has its document
    if (!comm_live && (comm !== undefined || this.model.get("_document") === null)) {
      place.show_notice("warning", DISCONNECTED, false);
      return;
    }
    if (this.model.comm === undefined && "kernel" in widget_manager) {
      place.show_notice("warning", SAVED, false);
    }
    this._place_id = client.add_place(place);
  }

  override remove(): this {
    const id = this._place_id;
    this._place_id = undefined;
    this._forget_handlers();
    this._leave_connection();
    this._leave_titles();
    this._output.dispose();
    if (id !== undefined) {
      void this.model.client.remove_place(id);
    }
    return super.remove();
  }
}
