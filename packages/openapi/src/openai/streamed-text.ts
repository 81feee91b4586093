/**
 * The text of a streamed answer.
 *
 * An agent that uses tools says something before and after each: several blocks of text, of which the run's `result` is
 * the last. All of them are streamed, as they come, with a blank line between two. The stop sequences are looked for in
 * each block by itself, so that what is streamed always ends with what the same run answers without a stream.
 */
import { createStopCutter, type StopCutter } from "./stop-sequences.ts";

/** Each gives the text that can be sent now; empty for none. */
export interface StreamedText {
  text(delta: string): string;
  /** A tool is used: the block is over. */
  endBlock(): string;
  /** The rest: what was held back, or all of the run's content if no text came before. */
  end(content: string): string;
  /** Whether a stop sequence ended the last block. */
  readonly isCut: boolean;
}

export function createStreamedText(stops: readonly string[]): StreamedText {
  let cutter: StopCutter = createStopCutter(stops);
  let hasText = false;
  let isSent = false;
  let isNewBlock = false;

  function send(text: string): string {
    if (text === "") return "";
    const separator = isSent && isNewBlock ? "\n\n" : "";
    [isSent, isNewBlock] = [true, false];
    return separator + text;
  }

  return {
    get isCut() {
      return cutter.isCut;
    },
    text(delta) {
      hasText = true;
      return send(cutter.push(delta));
    },
    endBlock() {
      const rest = send(cutter.flush());
      cutter = createStopCutter(stops);
      isNewBlock = true;
      return rest;
    },
    end(content) {
      const text = hasText ? "" : cutter.push(content);
      return send(text + cutter.flush());
    },
  };
}
