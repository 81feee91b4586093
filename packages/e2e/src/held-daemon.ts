/** A daemon whose agent says a word when it is told to, so that a test can hold it between two words. */
import { execFile } from "node:child_process";
import { chmod, open, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { createTempFolder } from "@ksi/testing";
import { type LiveDaemon, startLiveDaemon } from "./live-daemon.ts";

export interface HeldDaemon extends LiveDaemon {
  /** What the agent of its next turn says. There is one turn at a time. */
  readonly turn: Dictation;
}

export interface Dictation {
  /** One delta, of plain letters and spaces. Said at once by an agent that runs, and else as soon as it does. */
  say(text: string): Promise<void>;
  /** Ends the turn with all that was said as its result. */
  finish(): Promise<void>;
}

export async function startHeldDaemon(): Promise<HeldDaemon> {
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(await createTempFolder("ksi-held-"));
  const pipe = join(folder.path, "words");
  await promisify(execFile)("mkfifo", [pipe]);
  const bin = join(folder.path, "claude");
  await writeFile(bin, program(pipe));
  await chmod(bin, 0o755);
  const live = stack.use(await startLiveDaemon({ env: { KSI_CLAUDE_BIN: bin } }));

  // For reading as well, since a pipe that nobody reads cannot be opened for writing alone without waiting. Closed before
  // the daemon is stopped, since that waits for agents, and this ends them.
  const words = stack.use(await open(pipe, "r+"));
  const turn: Dictation = {
    say: async (text) => void (await words.write(`${text}\n`)),
    finish: async () => void (await words.write(".\n")),
  };
  const owned = stack.move();
  return { ...live, turn, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

const program = (pipe: string) => `#!/bin/sh
case "$*" in *--version*) echo '2.1.329 (Claude Code)'; exit ;; esac
cat > /dev/null
echo '{"type":"system","subtype":"init","model":"dictated","tools":[]}'
while IFS= read -r word && [ "$word" != . ]; do
  said="$said$word"
  echo '{"type":"stream_event","event":{"type":"content_block_delta","delta":{"type":"text_delta","text":"'"$word"'"}}}'
done < '${pipe}'
usage='"usage":{"input_tokens":10,"output_tokens":5}'
echo '{"type":"result","subtype":"success","is_error":false,"num_turns":1,'"$usage"',"result":"'"$said"'"}'
`;
