/**
 * A small sign of life on a terminal's last line, with the time that has passed. Where stderr is no terminal it is
 * silent. Hidden whenever something else is written, so that it never mixes with an answer.
 */
import { shorten } from "./format.ts";
import type { Stream } from "./terminal.ts";

export interface Spinner extends Disposable {
  /** Shows this label from now on. */
  show(label: string): void;
  /** Clears the line, until the next `show`. */
  hide(): void;
}

const frames = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
const frameMs = 80;
const clearLine = "\r\u001b[2K";

export function createSpinner(stream: Stream, isPlain: boolean): Spinner {
  if (!stream.isTty || isPlain) return { show: () => {}, hide: () => {}, [Symbol.dispose]: () => {} };

  const startedMs = performance.now();
  let label = "";
  let timer: NodeJS.Timeout | undefined;

  const draw = () => {
    const elapsedMs = performance.now() - startedMs;
    const frame = frames[Math.floor(elapsedMs / frameMs) % frames.length] ?? "";
    const seconds = `${Math.floor(elapsedMs / 1_000)} s`;
    const room = (stream.columns ?? 80) - seconds.length - 5;
    stream.write(
      `${clearLine}${stream.style("cyan", frame)} ${stream.style("dim", `${shorten(label, room)}  ${seconds}`)}`,
    );
  };
  const hide = () => {
    if (!timer) return;
    clearInterval(timer);
    timer = undefined;
    stream.write(clearLine);
  };
  return {
    show(next) {
      label = stream.foreign(next);
      if (timer) return;
      timer = setInterval(draw, frameMs);
      draw();
    },
    hide,
    [Symbol.dispose]: hide,
  };
}
