/** Registration with JupyterLab, Notebook and Voila. */

import { IJupyterWidgetRegistry } from "@jupyter-widgets/base";
import { BokehJSModel, BokehWidgetModel, BokehWidgetView, MODULE_NAME, VERSION } from "./widget";
import "../style/index.css";

/** The part of JupyterLab's plugin interface that is used, so that its packages are not needed. */
interface Plugin {
  readonly id: string;
  readonly description: string;
  readonly autoStart: true;
  readonly requires: readonly unknown[];
  activate(app: unknown, registry: IJupyterWidgetRegistry): void;
}

const plugin: Plugin = {
  id: `${MODULE_NAME}:plugin`,
  description: "Live Bokeh documents as Jupyter widgets.",
  autoStart: true,
  requires: [IJupyterWidgetRegistry],
  activate(_app, registry) {
    const exports = { BokehJSModel, BokehWidgetModel, BokehWidgetView };
    registry.registerWidget({ name: MODULE_NAME, version: VERSION, exports });
  },
};

export default plugin;
