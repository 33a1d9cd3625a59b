/** What the JavaScript engine keeps: objects with the same properties share a shape, which holds their accessors. */

import { first_time, wrap } from "./ledger";
import { entry, is_object, optional_module, property } from "./reflection";
import type { State, ViewLike } from "./state";

const KINDS = ["Line", "Fill", "Text", "Hatch", "Image"];

/**
 * BokehJS defines accessors on single objects (visuals, glyph views that inherit from another one), each a function
 * that holds its view. The engine books the first ones in the shape, which lives as long as an object that began
 * in the same way: the very first plot of a page stays as long as there is another one.
 *
 * Upstream: no issue known.
 */
export function shapes(state: State): void {
  give_own_shapes(state, "core/visuals/index", "Visuals");
  for (const kind of KINDS) {
    for (const variant of ["Scalar", "Vector"]) {
      give_own_shapes(state, `core/visuals/${kind.toLowerCase()}`, `${kind}${variant}`);
    }
  }
  share_accessors(state);
}

/** Lets each object that a class of a module constructs begin a shape of its own, which goes with it. */
function give_own_shapes(state: State, module: string, name: string): void {
  const exported = optional_module(state.bokeh, module);
  const original: unknown = property(exported, name);
  if (!is_object(exported) || typeof original != "function" || !first_time(state, exported, `shapes ${name}`)) {
    return;
  }
  const replacement: object = new Proxy(original, {
    construct: (target, args: unknown[], new_target): object => {
      if (new_target !== replacement) {
        return Reflect.construct(target, args, new_target) as object; // of a derived class
      }
      // derived: with the prototype of `target` itself the engine would take the shape of that one
      class Once extends (target as new (...args: unknown[]) => object) {}
      return new Once(...args);
    },
  });
  Reflect.set(exported, name, replacement);
}

/** Lets all glyph views have the same accessor for the same attribute; what it reads from is noted beside. */
function share_accessors(state: State): void {
  const glyph_view = property(optional_module(state.bokeh, "models/glyphs/glyph"), "GlyphView");
  const accessors = new Map<string, () => unknown>();
  const bases = new WeakMap<object, Map<string, object>>();
  const prototype = property(glyph_view, "prototype");
  wrap<ViewLike>(state, "shapes", prototype, "_inherit_from", (view, call, [attr, base]) => {
    const define_inherited: unknown = property(view, "_define_inherited");
    if (typeof attr != "string" || !is_object(base) || typeof define_inherited != "function") {
      return call();
    }
    entry(bases, view, () => new Map<string, object>()).set(attr, base);
    const get = entry(accessors, attr, () => {
      return function (this: object): unknown {
        return property(bases.get(this)?.get(attr), attr);
      };
    });
    Object.defineProperty(view, attr, { configurable: true, enumerable: true, get });
    Reflect.apply(define_inherited, view, [attr, true]);
    return undefined;
  });
}
