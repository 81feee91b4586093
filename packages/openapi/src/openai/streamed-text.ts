/**
 * The text of a streamed answer.
 *
 * An agent that uses tools says something before and after each: several blocks of text, of which the run's `result` is
 * the last. All of them are streamed, as they come, with a blank line between two. The stop sequences are looked for in
 * each block by itself, so that what is streamed always ends with what the same run answers without a stream.
 *
 * Nothing that was sent can be taken back. When the agent takes back some of a block, what the client has of it is *due*:
 * the agent must say it again, of which nothing is sent, before it says more.
 */
import { KsiError } from "@ksi/contract";
import { createStopCutter, type StopCutter } from "./stop-sequences.ts";

/**
 * Each gives the text that can be sent now; empty for none. All but `flush` throw `MODEL_ERROR` when the agent says
 * something else than what is due.
 */
export interface StreamedText {
  text(delta: string): string;
  /** The last `chars` characters that were said are void. */
  retract(chars: number): void;
  /** A tool is used: the block is over. */
  endBlock(): string;
  /** The rest: what was held back, or all of the run's content if no text came before. */
  end(content: string): string;
  /** What was held back, of an answer that has no end. */
  flush(): string;
  /** Whether a stop sequence ended the last block. */
  readonly isCut: boolean;
}

export function createStreamedText(stops: readonly string[]): StreamedText {
  let cutter: StopCutter = createStopCutter(stops);
  let hasText = false;
  let isSent = false;
  let isNewBlock = false;
  /** Of this block: what the agent said, what was sent of it, and what of that is due. */
  let [said, sent, due] = ["", "", ""];

  function send(text: string): string {
    const news = afterDue(text);
    if (news === "") return "";
    const separator = isSent && isNewBlock ? "\n\n" : "";
    [isSent, isNewBlock] = [true, false];
    sent += news;
    return separator + news;
  }

  function afterDue(text: string): string {
    if (due.startsWith(text)) {
      due = due.slice(text.length);
      return "";
    }
    if (!text.startsWith(due)) throw saidOtherwise();
    const news = text.slice(due.length);
    due = "";
    return news;
  }

  function sendLast(text: string): string {
    const last = send(text);
    if (due !== "") throw saidOtherwise();
    return last;
  }

  return {
    get isCut() {
      return cutter.isCut;
    },
    text(delta) {
      hasText = true;
      said += delta;
      return send(cutter.push(delta));
    },
    retract(chars) {
      // What was said before a tool can no longer be said again in its place.
      if (chars > said.length) throw saidOtherwise();
      said = said.slice(0, said.length - chars);
      cutter = createStopCutter(stops);
      due = sent.slice(cutter.push(said).length);
    },
    endBlock() {
      const rest = sendLast(cutter.flush());
      cutter = createStopCutter(stops);
      [said, sent, isNewBlock] = ["", "", true];
      return rest;
    },
    end(content) {
      const text = hasText ? "" : cutter.push(content);
      return sendLast(text + cutter.flush());
    },
    flush() {
      const rest = cutter.flush();
      return due === "" ? send(rest) : "";
    },
  };
}

function saidOtherwise(): KsiError {
  return new KsiError(
    "MODEL_ERROR",
    "The provider broke off, and the agent began anew with other words than were already sent. The run's result is whole: see x-ksi-run-id for the run.",
  );
}
