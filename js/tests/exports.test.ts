import type { View } from "@bokeh/bokehjs/build/js/lib/core/view";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { answer_export } from "../src/exports";
import { is_displayed, picture_of } from "../src/picture";
import type { ExportMessage } from "../src/protocol";

vi.mock(import("../src/picture"), () => ({ picture_of: vi.fn(), is_displayed: vi.fn() }));

const make_view = (): View => ({ has_finished: () => true }) as unknown as View;
const view = make_view();
const shown = { trees: () => [[view]], is_wanted: () => true };

function message(type: "png" | "svg"): ExportMessage {
  return { kind: "export", client: "c", request: "r", session: "s", revision: 0, type, timeout_ms: 1000 };
}

beforeEach(() => {
  vi.mocked(picture_of).mockReset();
  vi.mocked(is_displayed).mockReset().mockReturnValue(true);
});

afterEach(() => {
  vi.useRealTimers();
});

test("a picture is sent as it is", async () => {
  const blob = new Blob(["picture"]);
  vi.mocked(picture_of).mockResolvedValue({ blob, width: 3, height: 2, omitted: ["Slider"] });
  const [answer, buffers] = await answer_export(message("png"), "c", shown);
  expect(answer).toMatchObject({ width: 3, height: 2, omitted: ["Slider"], error: null, buffers: ["picture"] });
  expect(buffers.map((buffer) => new TextDecoder().decode(buffer))).toEqual(["picture"]);
});

test.each([
  ["png", "make the plot smaller"],
  ["svg", "make a PNG"],
] as const)("a %s for which Jupyter Server would close the line is refused", async (type, advice) => {
  const blob = new Blob([new Uint8Array(9 * 2 ** 20 + 1)]);
  vi.mocked(picture_of).mockResolvedValue({ blob, width: 3, height: 2, omitted: [] });
  const [answer, buffers] = await answer_export(message(type), "c", shown);
  expect(answer).toMatchObject({ error: expect.stringContaining(advice), buffers: [] });
  expect(buffers).toEqual([]);
});

const blob = new Blob(["picture"]);

test("of several places it is the one that has a size, with all its roots", async () => {
  vi.mocked(picture_of).mockResolvedValue({ blob, width: 3, height: 2, omitted: [] });
  const [hidden, first, second] = [make_view(), make_view(), make_view()];
  vi.mocked(is_displayed).mockImplementation((asked) => asked === second);
  await answer_export(message("png"), "c", { ...shown, trees: () => [[hidden], [first, second]] });
  expect(vi.mocked(picture_of).mock.calls).toEqual([[[first, second], "png"]]);
  expect(vi.mocked(picture_of).mock.calls[0]?.[0][1]).toBe(second);
});

test("where all places are hidden it is the first one", async () => {
  vi.mocked(picture_of).mockResolvedValue({ blob, width: 3, height: 2, omitted: [] });
  vi.mocked(is_displayed).mockReturnValue(false);
  const first = make_view();
  await answer_export(message("png"), "c", { ...shown, trees: () => [[first], [view]] });
  expect(vi.mocked(picture_of).mock.calls[0]?.[0][0]).toBe(first);
});

test("in a tab that is hidden, which paints nothing, it is drawn all the same", async () => {
  vi.useFakeTimers({
    toFake: ["setTimeout", "clearTimeout", "requestAnimationFrame", "cancelAnimationFrame", "performance"],
  });
  vi.stubGlobal("requestAnimationFrame", () => 0); // never
  vi.mocked(picture_of).mockResolvedValue({ blob, width: 3, height: 2, omitted: [] });
  const unpainted = { has_finished: () => false } as unknown as View;
  const answer = answer_export({ ...message("png"), timeout_ms: 60_000 }, "c", {
    ...shown,
    trees: () => [[unpainted]],
  });
  await vi.advanceTimersByTimeAsync(1500);
  expect(picture_of).not.toHaveBeenCalled();
  await vi.advanceTimersByTimeAsync(2000);
  expect((await answer)[0]).toMatchObject({ error: null });
  vi.unstubAllGlobals();
});

test("a page that does not get the revision, or shows the plot no more, says so", async () => {
  const never = await answer_export({ ...message("png"), timeout_ms: 1 }, "c", { ...shown, trees: () => null });
  expect(never[0]).toMatchObject({ error: "the page did not get revision 0 of the document within 1 ms" });
  const gone = await answer_export(message("png"), "c", { ...shown, is_wanted: () => false });
  expect(gone[0]).toMatchObject({ error: "the page does not show the plot any more" });
});
