/**
 * What BokehJS needs to load and happy-dom lacks: a canvas to measure and draw on. It takes every
 * call and every value and paints nothing; what is painted is for the tests in a real browser.
 */

const nothing: object = new Proxy(() => undefined, {
  get: (_target, name) => (name === Symbol.toPrimitive ? () => 0 : nothing),
  apply: () => nothing,
  set: () => true,
});

Reflect.deleteProperty(globalThis, "OffscreenCanvas");
Object.defineProperty(HTMLCanvasElement.prototype, "getContext", { value: () => nothing });
Object.defineProperty(window, "visualViewport", { value: new EventTarget(), configurable: true });
