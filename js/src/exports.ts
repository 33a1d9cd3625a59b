/** Answers of a page to the kernel's questions for a picture. */

import type { View } from "@bokeh/bokehjs/build/js/lib/core/view";
import { is_displayed, picture_of } from "./picture";
import type { ClientMessage, ExportMessage } from "./protocol";
import { painted } from "./timing";

/** What a picture is made of. */
export interface Exported {
  /** The root views of each place, if they have what the kernel asks for and are built; null as long as they are not. */
  trees(session: string, revision: number): readonly (readonly View[])[] | null;
  /** Whether they may still come. */
  is_wanted(): boolean;
}

/** So long a plot may take to paint by itself: in a hidden tab it does not, and an export paints it all the same. */
const PAINT_LIMIT_MS = 2000;

/** Jupyter Server closes the line of a page that sends more than 10 MiB at once, and the message has more than this. */
const MAX_PICTURE_BYTES = 9 * 2 ** 20;

/** Makes the picture when what is asked for has been painted, and gives the answer with its buffers. */
export async function answer_export(
  message: ExportMessage,
  client: string,
  exported: Exported,
): Promise<[ClientMessage, ArrayBuffer[]]> {
  const answer = { kind: "exported" as const, client, request: message.request };
  try {
    const views = await painted_views(message, exported);
    const { blob, width, height, omitted } = await picture_of(views, message.type);
    if (blob.size > MAX_PICTURE_BYTES) {
      throw new Error(
        `the picture has ${blob.size} bytes, and a page can send ${MAX_PICTURE_BYTES} at once; ` +
          (message.type == "svg" ? "make a PNG, or show less data" : "make the plot smaller"),
      );
    }
    const data = await blob.arrayBuffer();
    return [{ ...answer, width, height, omitted, error: null, buffers: ["picture"] }, [data]];
  } catch (thrown) {
    const error = thrown instanceof Error ? thrown.message : String(thrown);
    return [{ ...answer, width: 0, height: 0, omitted: [], error, buffers: [] }, []];
  }
}

async function painted_views(
  { session, revision, timeout_ms }: ExportMessage,
  { trees, is_wanted }: Exported,
): Promise<readonly View[]> {
  const began_ms = performance.now();
  while (is_wanted()) {
    await painted();
    const waited_ms = performance.now() - began_ms;
    const found = is_wanted() ? trees(session, revision) : null;
    const views = found?.find((tree) => tree.some(is_displayed)) ?? found?.[0];
    if (views !== undefined && (waited_ms > PAINT_LIMIT_MS || views.every((view) => view.has_finished()))) {
      return views;
    }
    if (waited_ms > timeout_ms) {
      throw new Error(`the page did not get revision ${revision} of the document within ${timeout_ms} ms`);
    }
  }
  throw new Error("the page does not show the plot any more");
}
