/**
 * BokehJS, once per page and version, from the sources that the kernel sends.
 *
 * The only module that evaluates BokehJS and the only one that could touch `window.Bokeh`: it
 * does not. Each version lives on a root object of its own, so that a foreign BokehJS in the page
 * and other versions of ours stay apart.
 */

import { type BokehRoot, instrument } from "./upstream";

/** Where the bundles come from: the hidden runtime model of one kernel. */
export interface BundleSource {
  readonly version: string;
  /** The gzip of a bundle, or null if the kernel has not sent it. */
  bundle(name: string): BufferSource | null;
}

/** What is alive in this page, for tests and for diagnosis. */
export interface ReplicaInfo {
  readonly model_id: string;
  readonly client_id: string;
  readonly revision: number;
  /** Changes that wait to be sent. */
  readonly waiting: number;
  /** Changes that were taken in by later ones before they were sent. */
  readonly coalesced: number;
  /** Frames of changes that Python has not acknowledged. */
  readonly in_flight: number;
  /** Number of the last of them. */
  readonly seq: number;
  /** How many documents took the place of one that was shown because this client had missed something, and asked. */
  readonly resyncs: number;
  readonly document: unknown;
  readonly views: readonly unknown[];
}

/** The page-global registry, `globalThis[Symbol.for("bokeh_widget")]`. */
export interface PageRegistry {
  bokeh(version: string): BokehRoot | undefined;
  versions(): string[];
  replicas(): ReplicaInfo[];
  readonly _roots: Map<string, LoadedVersion>;
  readonly _replicas: Set<() => ReplicaInfo>;
}

interface Root {
  Bokeh?: BokehRoot;
}

interface LoadedVersion {
  readonly root: Root;
  readonly bundles: Map<string, Promise<void>>;
}

const CORE = "bokeh";
const KEY = Symbol.for("bokeh_widget");

/** The registry, made by whichever copy of this module comes first to the page. */
export function page_registry(): PageRegistry {
  const holder = globalThis as unknown as Record<symbol, PageRegistry | undefined>;
  const found = holder[KEY];
  if (found !== undefined) {
    return found;
  }
  const roots = new Map<string, LoadedVersion>();
  const replicas = new Set<() => ReplicaInfo>();
  const registry: PageRegistry = {
    bokeh: (version) => roots.get(version)?.root.Bokeh,
    versions: () => [...roots.keys()],
    replicas: () => [...replicas].map((describe) => describe()),
    _roots: roots,
    _replicas: replicas,
  };
  holder[KEY] = registry;
  return registry;
}

async function gunzip(data: BufferSource): Promise<string> {
  const stream = new Blob([data]).stream().pipeThrough(new DecompressionStream("gzip"));
  return await new Response(stream).text();
}

/**
 * Compiles the code of a CustomJS and its like. Such code may name the global `Bokeh`, which a
 * private BokehJS does not set: it gets it as an enclosing variable.
 */
function function_maker(root: Root): (...args: string[]) => unknown {
  return (...args) => {
    const body = args.at(-1) ?? "";
    const names = args.slice(0, -1).join(",");
    const outer = new Function("Bokeh", `return function anonymous(${names}\n) {\n${body}\n}`);
    return (outer as (bokeh: unknown) => unknown)(root.Bokeh);
  };
}

/** Evaluates a bundle with a private `this`, so that it finds `Bokeh` there, and leaves it there. */
function evaluate(source: string, name: string, root: Root): void {
  const compiling = source.replaceAll("new Function(", "bokeh_widget_function(");
  const run = new Function(
    "bokeh_widget_function",
    "Bokeh",
    "require",
    "define",
    "exports",
    "module",
    `${compiling}\n//# sourceURL=bokeh_widget/${name}.js`,
  );
  run.call(root, function_maker(root), root.Bokeh);
}

interface ModuleCode {
  code: string;
  _compile_module(): Promise<unknown>;
}

const DECLARES_BOKEH = /\b(?:const|let|var|class|function|import)\b[^;\n]*\bBokeh\b/;

/**
 * The same for CustomJS that is written as an ES module, whose code is imported, not compiled.
 *
 * @param version by which the registry lists this BokehJS.
 */
function provide_bokeh_to_modules(bokeh: BokehRoot, version: string): void {
  const { CustomJS } = bokeh.require("models/callbacks/customjs") as { CustomJS: { prototype: ModuleCode } };
  const { prototype } = CustomJS;
  const compile = prototype._compile_module;
  const preamble = `const Bokeh = globalThis[Symbol.for("bokeh_widget")].bokeh(${JSON.stringify(version)});`;
  prototype._compile_module = function (): Promise<unknown> {
    const { code } = this;
    if (!/\bBokeh\b/.test(code) || DECLARES_BOKEH.test(code)) {
      return compile.call(this);
    }
    return compile.call(Object.create(this, { code: { value: `${preamble} ${code}` } }) as ModuleCode);
  };
}

/**
 * The release that a version belongs to. Pre-releases and local builds have two spellings: Bokeh
 * 3.9.3.dev2 comes with BokehJS 3.9.3-dev.2, Bokeh 3.9.2+4.gabc with BokehJS 3.9.2.
 */
function release_of(version: string): string {
  return /^\d+\.\d+\.\d+/.exec(version)?.[0] ?? version;
}

async function load_bundle(source: BundleSource, name: string, root: Root): Promise<void> {
  const data = source.bundle(name);
  if (data === null) {
    throw new Error(`the kernel has not sent the BokehJS bundle "${name}"; run the cell again, or restart the kernel`);
  }
  evaluate(await gunzip(data), name, root);
  const bokeh = root.Bokeh;
  if (bokeh === undefined) {
    throw new Error(`the bundle "${name}" of BokehJS ${source.version} did not define Bokeh`);
  }
  if (release_of(bokeh.version) != release_of(source.version)) {
    throw new Error(
      `BokehJS says that it is ${bokeh.version}, but Bokeh ${source.version} is imported in the kernel; restart ` +
        "the kernel, and if this comes again, reinstall bokeh in its environment",
    );
  }
  if (name == CORE) {
    provide_bokeh_to_modules(bokeh, source.version);
  }
  instrument(bokeh);
}

/**
 * Loads bundles in their order. Two kernels with one version share a load; a failed load is
 * forgotten, so that the next one tries again.
 */
export async function load_bokehjs(source: BundleSource, names: readonly string[]): Promise<BokehRoot> {
  const { _roots: roots } = page_registry();
  let version = roots.get(source.version);
  if (version === undefined) {
    version = { root: {}, bundles: new Map() };
    roots.set(source.version, version);
  }
  const { root, bundles } = version;
  for (const name of names) {
    let loading = bundles.get(name);
    if (loading === undefined) {
      loading = load_bundle(source, name, root);
      bundles.set(name, loading);
      loading.catch(() => bundles.delete(name));
    }
    await loading;
  }
  if (root.Bokeh === undefined) {
    throw new Error(`BokehJS ${source.version} is not loaded: a document must require "bokeh"`);
  }
  return root.Bokeh;
}

/** Whether every one of the bundles is evaluated, so that a patch can be applied at once. */
export function missing_bundles(loaded: ReadonlySet<string>, names: readonly string[]): string[] {
  return names.filter((name) => !loaded.has(name));
}
