import type { ChildProcess } from "node:child_process";
import { createInterface } from "node:readline";

const keptLines = 4;
const maxLineChars = 200;
/** Redis's advice to administrators at every start; in an error message it would hide the reason. */
const advice = /^WARNING (Memory overcommit|You have Transparent Huge Pages|The TCP backlog)/;

export interface LogTail {
  /** The last lines as the end of a sentence; empty when there were none. */
  quote(): string;
}

/** Reads what a process prints, hands over each line, and remembers the last few for an error message. */
export function collectTail(child: ChildProcess, onLine: (line: string) => void): LogTail {
  const lines: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    if (!stream) continue;
    createInterface({ input: stream }).on("line", (raw) => {
      const line = withoutStamp(raw).slice(0, maxLineChars);
      if (line === "") return;
      onLine(line);
      if (advice.test(line)) return;
      lines.push(line);
      if (lines.length > keptLines) lines.shift();
    });
  }
  return { quote: () => (lines.length === 0 ? "" : ` Its last words: ${lines.join(" | ")}`) };
}

/** Redis begins each line with `pid:role date time level`. */
function withoutStamp(line: string): string {
  return line.replace(/^\d+:[A-Z] .*?\d\d:\d\d:\d\d\.\d+ [.\-*#] /, "").trim();
}
