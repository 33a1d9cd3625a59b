// Loaded into Playwright's driver (NODE_OPTIONS). The driver watches the network of each page, and Chromium then copies
// every frame of a websocket to it, as base64 in JSON: for 32 MB three processes are busy for some 100 ms each, which
// nobody's browser does without its developer tools. Whoever wants the frames asks for them with parameters, and gets
// them (websocket_frames).
const { Socket } = require("node:net");

const { write } = Socket.prototype;
const WATCH = /^(\{"id":\d+,"method":"Network\.)enable("(?:,"sessionId":"[^"]*")?\})$/;

Socket.prototype.write = function (chunk, ...rest) {
  return write.call(this, typeof chunk === "string" ? chunk.replace(WATCH, "$1disable$2") : chunk, ...rest);
};
