import type { View } from "@bokeh/bokehjs/build/js/lib/core/view";
import { beforeEach, expect, test, vi } from "vitest";
import { answer_export } from "../src/exports";
import { picture_of } from "../src/picture";
import type { ExportMessage } from "../src/protocol";

vi.mock(import("../src/picture"), () => ({ picture_of: vi.fn(), is_displayed: () => true }));

const view = { has_finished: () => true } as unknown as View;
const shown = { trees: () => [[view]], is_wanted: () => true };

function message(type: "png" | "svg"): ExportMessage {
  return { kind: "export", client: "c", request: "r", session: "s", revision: 0, type, timeout_ms: 1000 };
}

beforeEach(() => {
  vi.mocked(picture_of).mockReset();
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
