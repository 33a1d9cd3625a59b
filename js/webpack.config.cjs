/** The AMD modules for nbclassic and for managers that load from a CDN. */
const path = require("node:path");

const output = (filename) => ({
  filename,
  path: path.resolve(__dirname, "../bokeh_widget/nbextension"),
  library: { type: "amd" },
  publicPath: "",
});

const module_rules = { rules: [{ test: /\.css$/, use: ["style-loader", "css-loader"] }] };

module.exports = [
  {
    entry: "./lib/index.js",
    output: output("index.js"),
    module: module_rules,
    externals: ["@jupyter-widgets/base"],
    devtool: false,
  },
  {
    entry: "./lib/notebook.js",
    output: output("extension.js"),
    devtool: false,
  },
];
