/** The AMD module: nbclassic, static embeds and CDN managers. */

import "../style/index.css";

export { BokehJSModel, BokehWidgetModel, BokehWidgetView, MODULE_NAME, VERSION } from "./widget";
