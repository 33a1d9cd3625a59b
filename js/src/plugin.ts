/** Registration with JupyterLab, Notebook and Voila. */

import { IJupyterWidgetRegistry } from "@jupyter-widgets/base";
import { type Renderers, show_fallbacks_of_lost_widgets } from "./upstream_jupyter";
import { BokehJSModel, BokehWidgetModel, BokehWidgetView, MODULE_NAME, VERSION } from "./widget";
import "../style/index.css";

/** The part of the application that is used; Voila has no documents. */
interface App {
  readonly docRegistry?: {
    addWidgetExtension(
      widget: string,
      extension: { createNew(panel: { readonly content: { readonly rendermime: Renderers } }): void },
    ): unknown;
  };
}

/** The part of JupyterLab's plugin interface that is used, so that its packages are not needed. */
interface Plugin {
  readonly id: string;
  readonly description: string;
  readonly autoStart: true;
  readonly requires: readonly unknown[];
  activate(app: App, registry: IJupyterWidgetRegistry): void;
}

const plugin: Plugin = {
  id: `${MODULE_NAME}:plugin`,
  description: "Live Bokeh documents as Jupyter widgets.",
  autoStart: true,
  requires: [IJupyterWidgetRegistry],
  activate(app, registry) {
    app.docRegistry?.addWidgetExtension("Notebook", {
      createNew: ({ content }) => show_fallbacks_of_lost_widgets(content.rendermime),
    });
    const exports = { BokehJSModel, BokehWidgetModel, BokehWidgetView };
    registry.registerWidget({ name: MODULE_NAME, version: VERSION, exports });
  },
};

export default plugin;
