/** The AMD modules: for nbclassic, and for managers that load dist/index.js of the npm package from a CDN. */
const path = require("node:path");

const module_of = (name, entry, folder, filename) => ({
  name,
  entry,
  output: { filename, path: path.resolve(__dirname, folder), library: { type: "amd" }, publicPath: "" },
  module: { rules: [{ test: /\.css$/, use: ["style-loader", "css-loader"] }] },
  externals: ["@jupyter-widgets/base"],
  devtool: false,
});

const NBEXTENSION = "../bokeh_widget/nbextension";

module.exports = [
  module_of("index", "./lib/index.js", NBEXTENSION, "index.js"),
  module_of("extension", "./lib/notebook.js", NBEXTENSION, "extension.js"),
  module_of("dist", "./lib/index.js", "dist", "index.js"),
];
