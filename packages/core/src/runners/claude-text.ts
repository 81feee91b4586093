/**
 * What becomes of the text that the CLI streams when the provider does not finish a message.
 *
 * A message is *open* while it is said. It then ends *whole*, or *broken off*: at the provider's limit of tokens, or with
 * the connection, where the blocks that were not whole are void. The CLI has the model go on from what is left of it,
 * and gives only the last message as its result. What went before of the same answer is kept here, to be put before
 * that; a tool begins a new answer, as what is said before it is no part of a result.
 */

export interface ClaudeText {
  /** A message of this id begins, or goes on. */
  open(id: string | undefined): void;
  /** `block` is its index in the message; without it the text is a block of its own. */
  add(text: string, block?: number): void;
  useTool(): void;
  /** The open message says why it stopped. */
  stop(reason: string): void;
  /** The blocks of the open message from this index on are void. Gives how many characters of text they have. */
  abandon(fromBlock: number): number;
  /** The whole answer, whose last message the CLI gives as its result. */
  answer(result: string): string;
}

export function createClaudeText(): ClaudeText {
  let before = "";
  let id: string | undefined;
  let blocks: string[] = [];
  /** The first block that is of the answer. */
  let begin = 0;
  let isBrokenOff = false;

  return {
    open(next) {
      if (next !== undefined && next === id) return;
      before = isBrokenOff ? before + blocks.slice(begin).join("") : "";
      [id, blocks, begin, isBrokenOff] = [next, [], 0, false];
    },
    add(text, block = blocks.length) {
      blocks[block] = (blocks[block] ?? "") + text;
    },
    useTool() {
      before = "";
      begin = blocks.length;
    },
    stop(reason) {
      isBrokenOff = reason === "max_tokens";
    },
    abandon(fromBlock) {
      isBrokenOff = true;
      return blocks.splice(fromBlock).join("").length;
    },
    answer: (result) => before + result,
  };
}
