/** A terminal whose output a test can read: by stream, and as it would stand on one screen. Without colours. */
import { printable } from "../format.ts";
import type { Stream, Terminal } from "../terminal.ts";

export interface RecordedTerminal extends Terminal {
  readonly text: { out: string; err: string; screen: string };
}

export function createRecordedTerminal(isTty = { out: false, err: false }): RecordedTerminal {
  const text = { out: "", err: "", screen: "" };
  const record = (name: "out" | "err"): Stream => {
    const write = (written: string) => {
      text[name] += written;
      text.screen += written;
    };
    return {
      isTty: isTty[name],
      columns: isTty[name] ? 80 : undefined,
      write,
      line: (line = "") => write(`${line}\n`),
      foreign: (foreign) => (isTty[name] ? printable(foreign) : foreign),
      style: (_style, styled) => styled,
    };
  };
  return { text, out: record("out"), err: record("err"), flushed: async () => {} };
}
