/** What callbacks of the shown document printed, displayed and raised: as the kernel has it. */

import type { OutputBlock, OutputMessage } from "./protocol";

/** What a place has to do to show the output as it is now. */
export interface OutputChange {
  /** Blocks that are new, or other than before, in the order of their ids. */
  readonly blocks: readonly OutputBlock[];
  /** Blocks before this one are gone. */
  readonly first: number;
  /** How many lines are gone because there were too many. */
  readonly cut: number;
}

/** Everything goes. */
const NOTHING: OutputChange = { blocks: [], first: Number.POSITIVE_INFINITY, cut: 0 };

export class Outputs {
  readonly #blocks = new Map<number, OutputBlock>();
  #session: string | null = null;
  #cut = 0;

  /** All that there is, for a place that is new. */
  get all(): OutputChange {
    const blocks = [...this.#blocks.values()].sort((a, b) => a.id - b.id);
    return { blocks, first: blocks[0]?.id ?? 0, cut: this.#cut };
  }

  /** Takes a message in; gives what is to be shown of it, in this order. */
  take({ session, blocks, first, cut }: OutputMessage): OutputChange[] {
    const changes = this.follow(session);
    for (const block of blocks) {
      this.#blocks.set(block.id, block);
    }
    for (const id of this.#blocks.keys()) {
      if (id < first) {
        this.#blocks.delete(id);
      }
    }
    this.#cut = cut;
    return [...changes, { blocks: blocks.filter(({ id }) => id >= first), first, cut }];
  }

  /** The document of this session is shown from here on: what callbacks of another one said is over. */
  follow(session: string): OutputChange[] {
    const is_other = this.#session !== null && this.#session != session;
    this.#session = session;
    if (!is_other) {
      return [];
    }
    this.#blocks.clear();
    this.#cut = 0;
    return [NOTHING];
  }
}
