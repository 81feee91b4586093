/**
 * The two streams a command writes to. Data and answers go to `out` (stdout), so that they can be piped; everything
 * about them goes to `err` (stderr). Colours appear only on a terminal and without NO_COLOR.
 */
import { styleText } from "node:util";
import { printable } from "./format.ts";

export type Style = Parameters<typeof styleText>[0];

export interface Stream {
  readonly isTty: boolean;
  /** Writes as it is. */
  write(text: string): void;
  line(text?: string): void;
  /** Text that came from an agent, a message or the daemon: as it is for a pipe, without control characters for a terminal. */
  foreign(text: string): string;
  /** The text in this style, where the stream shows colours. */
  style(style: Style, text: string): string;
  /** Columns of the terminal; `undefined` for a pipe. */
  readonly columns: number | undefined;
}

export interface Terminal {
  readonly out: Stream;
  readonly err: Stream;
  /** Settles when everything written has left the process, so that an exit cuts nothing off. */
  flushed(): Promise<void>;
}

export interface TerminalStreams {
  stdout: NodeJS.WriteStream;
  stderr: NodeJS.WriteStream;
}

export function createTerminal({ stdout, stderr }: TerminalStreams): Terminal {
  return {
    out: createStream(stdout),
    err: createStream(stderr),
    flushed: async () => {
      await Promise.all([flushed(stdout), flushed(stderr)]);
    },
  };
}

function createStream(stream: NodeJS.WriteStream): Stream {
  const isTty = stream.isTTY === true;
  const write = (text: string) => {
    if (text !== "" && !stream.destroyed) stream.write(text);
  };
  return {
    isTty,
    write,
    line: (text = "") => write(`${text}\n`),
    foreign: (text) => (isTty ? printable(text) : text),
    style: (style, text) => styleText(style, text, { stream }),
    get columns() {
      return isTty ? stream.columns : undefined;
    },
  };
}

function flushed(stream: NodeJS.WriteStream): Promise<void> {
  if (stream.destroyed || stream.writableLength === 0) return Promise.resolve();
  return new Promise((resolve) => {
    stream.write("", () => resolve());
  });
}

/**
 * Ends the process quietly once nobody reads its output any more (`ksi logs RUN -f | head`), instead of with EPIPE's
 * stack trace.
 */
export function exitWhenReaderLeaves(streams: TerminalStreams, exit: (code: number) => void): void {
  for (const stream of [streams.stdout, streams.stderr]) {
    stream.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EPIPE") exit(0);
      else throw error;
    });
  }
}
