import { gunzipSync, gzipSync } from "node:zlib";
import { beforeEach, describe, expect, test, vi } from "vitest";
import { type BundleSource, load_bokehjs, missing_bundles, page_registry } from "../src/bokehjs";
import { BOKEH_VERSION, BUNDLES, make_model, required } from "./page";

/** A kernel that counts how often each bundle is taken, and whose bundles a test may spoil. */
class Kernel implements BundleSource {
  readonly taken: string[] = [];
  readonly spoiled = new Map<string, BufferSource | null>();

  constructor(readonly version: string = BOKEH_VERSION) {}

  bundle(name: string): BufferSource | null {
    this.taken.push(name);
    const spoiled = this.spoiled.get(name);
    return spoiled === undefined ? BUNDLES.bundle(name) : spoiled;
  }
}

const gzip = (text: string): BufferSource => new Uint8Array(gzipSync(text));

beforeEach(() => {
  page_registry()._roots.clear(); // as in a page that has just been loaded
});

describe("loading", () => {
  test("evaluates the bundles in their order, once", async () => {
    const kernel = new Kernel();
    const bokeh = await load_bokehjs(kernel, ["bokeh", "bokeh-widgets"]);
    expect(bokeh.version).toBe(BOKEH_VERSION);
    expect(kernel.taken).toEqual(["bokeh", "bokeh-widgets"]);
    expect(make_model(bokeh, "Slider", "slider").type).toBe("Slider");

    expect((await load_bokehjs(kernel, ["bokeh", "bokeh-widgets"])) === bokeh).toBe(true);
    expect(kernel.taken.length).toBe(2);
  });

  test("adds a bundle that only a later document needs", async () => {
    const kernel = new Kernel();
    const bokeh = await load_bokehjs(kernel, ["bokeh"]);
    expect(() => make_model(bokeh, "Slider", "slider")).toThrow();
    await load_bokehjs(kernel, ["bokeh", "bokeh-widgets"]);
    expect(kernel.taken).toEqual(["bokeh", "bokeh-widgets"]);
    expect(make_model(bokeh, "Slider", "slider").type).toBe("Slider");
  });

  test("is shared by two kernels of one version, also at the same time", async () => {
    const [first, second] = [new Kernel(), new Kernel()];
    const [a, b] = await Promise.all([load_bokehjs(first, ["bokeh"]), load_bokehjs(second, ["bokeh"])]);
    expect(a === b).toBe(true);
    expect([first.taken, second.taken]).toEqual([["bokeh"], []]);
    expect(page_registry().versions()).toEqual([BOKEH_VERSION]);
    expect(page_registry().bokeh(BOKEH_VERSION) === a).toBe(true);
  });

  test("keeps two versions apart", async () => {
    const other = new Kernel("3.9.1");
    const source = new TextDecoder().decode(gunzipSync(BUNDLES.bundle("bokeh") as Uint8Array));
    other.spoiled.set("bokeh", gzip(source.replaceAll(`"${BOKEH_VERSION}"`, '"3.9.1"')));
    const [a, b] = await Promise.all([load_bokehjs(new Kernel(), ["bokeh"]), load_bokehjs(other, ["bokeh"])]);
    expect(a === b).toBe(false);
    expect([a.version, b.version]).toEqual([BOKEH_VERSION, "3.9.1"]);
    expect(a.documents === b.documents).toBe(false);
    expect(page_registry().versions()).toEqual([BOKEH_VERSION, "3.9.1"]);
  });

  test.each([
    ["3.9.3.dev2", "3.9.3-dev.2"],
    ["3.9.0rc1", "3.9.0-rc.1"],
    [`${BOKEH_VERSION}+4.gabc`, BOKEH_VERSION],
  ])("takes Bokeh %s for BokehJS %s, and lists it by Python's name", async (python, javascript) => {
    const kernel = new Kernel(python);
    const source = new TextDecoder().decode(gunzipSync(BUNDLES.bundle("bokeh") as Uint8Array));
    kernel.spoiled.set("bokeh", gzip(source.replaceAll(`"${BOKEH_VERSION}"`, `"${javascript}"`)));
    const bokeh = await load_bokehjs(kernel, ["bokeh"]);
    expect(bokeh.version).toBe(javascript);
    expect(page_registry().versions()).toEqual([python]);

    // the code of an ES module looks Bokeh up by the same name
    const code = "export default () => Bokeh.version";
    const callback = make_model(bokeh, "CustomJS", "callback", { code }) as unknown as {
      _compile_module(): Promise<unknown>;
    };
    const create = vi.spyOn(URL, "createObjectURL");
    await callback._compile_module().catch(() => undefined); // this environment imports no blob
    const blob = required(create.mock.calls[0])[0] as Blob;
    create.mockRestore();
    expect(await blob.text()).toContain(`globalThis[Symbol.for("bokeh_widget")].bokeh("${python}"); ${code}`);
  });
});

describe("what fails", () => {
  test.each([
    ["did not come", null, 'the kernel has not sent the BokehJS bundle "bokeh-widgets"'],
    ["throws", gzip("throw new Error('broken bundle')"), "broken bundle"],
    ["is no JavaScript", gzip("}"), "Unexpected token"],
    ["is cut off", new Uint8Array(gzipSync("const a = 1;")).slice(0, 12), "unexpected end of file"],
  ])("a bundle that %s is named and tried again", async (_what, spoiled, message) => {
    const kernel = new Kernel();
    kernel.spoiled.set("bokeh-widgets", spoiled);
    await expect(load_bokehjs(kernel, ["bokeh", "bokeh-widgets"])).rejects.toThrow(message);

    kernel.spoiled.clear();
    const bokeh = await load_bokehjs(kernel, ["bokeh", "bokeh-widgets"]);
    expect(make_model(bokeh, "Slider", "slider").type).toBe("Slider");
    expect(kernel.taken).toEqual(["bokeh", "bokeh-widgets", "bokeh-widgets"]);
  });

  test("BokehJS of another version than the kernel says", async () => {
    const kernel = new Kernel("3.9.77");
    await expect(load_bokehjs(kernel, ["bokeh"])).rejects.toThrow(
      `BokehJS says that it is ${BOKEH_VERSION}, but Bokeh 3.9.77 is imported in the kernel; restart the kernel, and`,
    );
  });

  test("a bundle that defines no Bokeh", async () => {
    const kernel = new Kernel();
    kernel.spoiled.set("bokeh", gzip("const nothing = 0;"));
    await expect(load_bokehjs(kernel, ["bokeh"])).rejects.toThrow(
      `the bundle "bokeh" of BokehJS ${BOKEH_VERSION} did not define Bokeh`,
    );
  });

  test("a document that requires no BokehJS", async () => {
    await expect(load_bokehjs(new Kernel(), [])).rejects.toThrow('a document must require "bokeh"');
  });
});

describe("the page", () => {
  test("gets no global Bokeh", async () => {
    await load_bokehjs(new Kernel(), ["bokeh", "bokeh-widgets"]);
    expect("Bokeh" in globalThis).toBe(false);
  });

  test("keeps the Bokeh that somebody else loaded", async () => {
    const foreign = { version: "2.4.3", documents: [] };
    Object.assign(globalThis, { Bokeh: foreign });
    try {
      const bokeh = await load_bokehjs(new Kernel(), ["bokeh", "bokeh-widgets"]);
      expect((globalThis as { Bokeh?: unknown }).Bokeh).toBe(foreign);
      expect(foreign).toEqual({ version: "2.4.3", documents: [] });
      expect(bokeh.version).toBe(BOKEH_VERSION);
    } finally {
      Reflect.deleteProperty(globalThis, "Bokeh");
    }
  });

  test("gives the code of a CustomJS the private Bokeh by its name", async () => {
    const bokeh = await load_bokehjs(new Kernel(), ["bokeh"]);
    const code = "return [Bokeh.version, cb_obj.answer, factor]";
    const callback = make_model(bokeh, "CustomJS", "callback", { code, args: { factor: 2 } });
    const { execute } = callback as unknown as { execute(this: unknown, origin: object): Promise<unknown> };
    expect(await execute.call(callback, { answer: 42 })).toEqual([BOKEH_VERSION, 42, 2]);
  });

  test("has one registry, whichever copy of the module asks", () => {
    const registry = page_registry();
    expect(page_registry()).toBe(registry);
    const holder = globalThis as unknown as Record<symbol, unknown>;
    expect(required(holder[Symbol.for("bokeh_widget")])).toBe(registry);
  });
});

test("missing_bundles names what is not loaded yet", () => {
  expect(missing_bundles(new Set(["bokeh"]), ["bokeh", "bokeh-gl"])).toEqual(["bokeh-gl"]);
  expect(missing_bundles(new Set(["bokeh"]), [])).toEqual([]);
});
