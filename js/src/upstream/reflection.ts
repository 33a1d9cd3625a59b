/** Reading what the types of BokehJS do not name, and finding classes that a release may not have. */

import type { BokehRoot, State, ViewLike } from "./state";

/** The prototypes of all view classes that the registered models name, each once. */
export function* view_classes(state: State): Generator<object> {
  const names: unknown = property(state.bokeh.Models, "names");
  const seen = new Set<object>();
  for (const name of Array.isArray(names) ? (names as string[]) : []) {
    let prototype: unknown = view_prototype(state, name);
    while (is_object(prototype) && prototype !== Object.prototype && !seen.has(prototype)) {
      seen.add(prototype);
      yield prototype;
      prototype = Object.getPrototypeOf(prototype);
    }
  }
}

export function model_prototype(state: State, name: string): unknown {
  const get: unknown = property(state.bokeh.Models, "get");
  return typeof get == "function" ? property(Reflect.apply(get, state.bokeh.Models, [name]), "prototype") : undefined;
}

export function view_prototype(state: State, model: string): unknown {
  return property(property(model_prototype(state, model), "default_view"), "prototype");
}

/** The prototype in a chain that itself has the property. */
export function owner_of(prototype: unknown, name: string): unknown {
  let owner = prototype;
  while (is_object(owner) && !Object.hasOwn(owner, name)) {
    owner = Object.getPrototypeOf(owner);
  }
  return owner;
}

export function is_view(state: State, value: unknown): value is ViewLike {
  return is_object(value) && Object.prototype.isPrototypeOf.call(state.view_class.prototype, value);
}

export function is_object(value: unknown): value is object {
  return (typeof value == "object" && value !== null) || typeof value == "function";
}

export function property(holder: unknown, name: string | symbol): unknown {
  return is_object(holder) ? (Reflect.get(holder, name) as unknown) : undefined;
}

export function invoke(holder: unknown, method: string): void {
  const found: unknown = property(holder, method);
  if (typeof found == "function") {
    Reflect.apply(found, holder, []);
  }
}

export function clear_timer(timer: unknown): void {
  if (typeof timer == "number") {
    clearTimeout(timer);
  }
}

/** A module of BokehJS, or undefined if this release has none of that name. */
export function optional_module(bokeh: BokehRoot, name: string): unknown {
  try {
    return bokeh.require(name);
  } catch {
    return undefined;
  }
}

/** The value of a key, made when it is missing. */
export function entry<Key extends object | string, Value>(
  map: { get(key: Key): Value | undefined; set(key: Key, value: Value): unknown },
  key: Key,
  make: () => Value,
): Value {
  let value = map.get(key);
  if (value === undefined) {
    value = make();
    map.set(key, value);
  }
  return value;
}
