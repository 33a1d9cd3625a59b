/** What WebGL and MathJax keep. */

import { first_time, ledger_of } from "./ledger";
import { entry, invoke, is_object, optional_module, owner_of, property, view_prototype } from "./reflection";
import type { SignalLike, State, Undo, ViewLike } from "./state";

/**
 * The buffers and textures of a glyph that is drawn with WebGL live in a context that the whole
 * page shares, until someone frees them: nobody does. The context itself, one per page, stays.
 *
 * Upstream: no issue known.
 */
export function webgl(_state: State, view: ViewLike): void {
  const glyph: unknown = property(view, "glglyph");
  if (!is_object(glyph)) {
    return;
  }
  Reflect.set(view, "glglyph", undefined);
  for (const [name, value] of Object.entries(glyph)) {
    for (const part of Array.isArray(value) ? (value as unknown[]) : [value]) {
      if (!is_object(part)) {
        continue;
      }
      if (property(part, "regl_wrapper") != null) {
        const buffer: unknown = property(part, "buffer");
        if (buffer != null) {
          Reflect.set(part, "buffer", undefined);
          invoke(buffer, "destroy");
        }
      } else if (name == "_tex") {
        invoke(part, "destroy"); // not those of dashes: they are a cache that glyphs share
      }
    }
  }
}

/**
 * Math text that is drawn before MathJax has loaded waits on the page-wide `ready` signal of its
 * provider, once more with each painting, and never leaves it.
 *
 * Upstream: no issue known.
 */
export function math_provider(state: State): void {
  for (const name of ["Div", "TeX"]) {
    const prototype = owner_of(view_prototype(state, name), "provider");
    if (!is_object(prototype) || !first_time(state, prototype, "math_provider")) {
      continue;
    }
    const getter = Object.getOwnPropertyDescriptor(prototype, "provider")?.get;
    if (getter === undefined) {
      continue;
    }
    const facades = new WeakMap<ViewLike, object>();
    Object.defineProperty(prototype, "provider", {
      configurable: true,
      get(this: ViewLike): unknown {
        const provider: unknown = getter.call(this);
        return is_object(provider) ? entry(facades, this, () => provider_of_view(state, this, provider)) : provider;
      },
    });
  }
}

/** The provider as one view sees it: waiting for it ends with the view. */
function provider_of_view(state: State, view: ViewLike, provider: object): object {
  const connect = (slot: () => void): boolean => {
    const ready = property(provider, "ready") as SignalLike;
    const undos = entry(ledger_of(state, view), "math_provider", () => []);
    if (undos.length > 0 || view.is_destroyed) {
      return false; // it waits already
    }
    const once = (): void => {
      ready.disconnect(once);
      slot();
    };
    undos.push(() => ready.disconnect(once));
    return ready.connect(once);
  };
  const ready = { connect };
  return new Proxy(provider, {
    get(target, name) {
      if (name == "ready") {
        return ready;
      }
      const value: unknown = Reflect.get(target, name, target);
      return typeof value == "function" ? (value.bind(target) as unknown) : value;
    },
    set: (target, name, value) => Reflect.set(target, name, value, target),
  });
}

/**
 * Each formula registers a class of its own for tags with MathJax, for ever, and derives it from
 * that of the formula before: some 55 kB each. The class is replaced by the common base when the
 * formula has been typeset, its name goes after the next one, which begins by looking it up.
 *
 * Upstream: https://github.com/mathjax/MathJax/issues/3591
 */
export function math_classes(state: State): void {
  const providers = optional_module(state.bokeh, "models/text/providers");
  const table = new Set<Map<unknown, unknown>>();
  for (const name of ["BundleProvider", "CDNProvider"]) {
    const prototype: unknown = property(property(providers, name), "prototype");
    if (!is_object(prototype) || !first_time(state, prototype, "math_classes")) {
      continue;
    }
    const getter = Object.getOwnPropertyDescriptor(prototype, "MathJax")?.get;
    if (getter === undefined) {
      continue;
    }
    const cleaned = new WeakMap<object, object>();
    Object.defineProperty(prototype, "MathJax", {
      configurable: true,
      get(this: object): unknown {
        const mathjax: unknown = getter.call(this);
        return is_object(mathjax) ? entry(cleaned, mathjax, () => clean_mathjax(mathjax, table)) : mathjax;
      },
    });
  }
}

/** MathJax whose `tex2svg` takes back what it has registered for one formula. */
function clean_mathjax(mathjax: object, tables: Set<Map<unknown, unknown>>): object {
  const tex2svg: unknown = property(mathjax, "tex2svg");
  if (typeof tex2svg != "function") {
    return mathjax;
  }
  const clean = (...args: unknown[]): unknown => {
    const undo = tables.size == 0 ? find_tag_tables(tables) : undefined;
    const before = [...tables].map((table) => [table, [...table.keys()]] as const);
    try {
      return Reflect.apply(tex2svg, mathjax, args);
    } finally {
      undo?.();
      for (const [table, names] of before) {
        for (const name of names.filter(is_formula_tag)) {
          table.delete(name);
        }
      }
      for (const table of tables) {
        for (const name of [...table.keys()].filter(is_formula_tag)) {
          table.set(name, table.get("none")); // what it derives from, as do all others
        }
      }
    }
  };
  return new Proxy(Object.create(mathjax) as object, {
    get: (_target, name) => (name == "tex2svg" ? clean : (Reflect.get(mathjax, name) as unknown)),
  });
}

function is_formula_tag(name: unknown): boolean {
  return typeof name == "string" && /^(configTags|MathtoolsTags)-\d+$/.test(name);
}

/**
 * Notes the tables in which MathJax registers tags. They are private to it, so the first formula,
 * which is typeset synchronously, is watched doing so.
 */
function find_tag_tables(tables: Set<Map<unknown, unknown>>): Undo {
  const set = Map.prototype.set;
  Map.prototype.set = function (this: Map<unknown, unknown>, name: unknown, value: unknown) {
    if (is_formula_tag(name)) {
      tables.add(this);
    }
    return set.call(this, name, value);
  };
  return () => {
    Map.prototype.set = set;
  };
}

/**
 * Exported as SVG, glyphs that WebGL draws come as one picture of pixels, which a screen with more than one pixel for
 * each of CSS puts at a wrong size. They have all they need to be drawn as vectors.
 *
 * Upstream: no issue known.
 */
export function painted_as_vectors<T>(view: object, draw: () => T): T {
  const glyphs = new Map<ViewLike, unknown>();
  for (const part of all_of(view as ViewLike)) {
    const glglyph: unknown = property(part, "glglyph");
    if (glglyph != null) {
      glyphs.set(part, glglyph);
    }
  }
  try {
    for (const glyph of glyphs.keys()) {
      Reflect.set(glyph, "glglyph", undefined);
    }
    return draw();
  } finally {
    for (const [glyph, glglyph] of glyphs) {
      Reflect.set(glyph, "glglyph", glglyph);
    }
  }
}

function all_of(view: ViewLike, found = new Set<ViewLike>()): Set<ViewLike> {
  if (!found.has(view)) {
    found.add(view);
    for (const child of view.children()) {
      all_of(child, found);
    }
  }
  return found;
}
