/** An executable that behaves like the `claude` CLI, and misbehaves on command; see bin/claude-stand-in.mjs. */
import { chmod, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createTempFolder } from "./temp-folder.ts";

/**
 * Orders, as words of a prompt (`"#delay=50 say this"`) or for every turn (`{ delay: "50" }`). Without any, the
 * answer is the prompt without its orders, streamed word by word.
 *
 * | order | what happens |
 * | --- | --- |
 * | `start=MS` | nothing for so long, before the first line |
 * | `delay=MS` | a wait before each word |
 * | `deltas=N`, `every=MS` | the answer is N numbered pieces, one every MS by the clock (fractions too) |
 * | `stamp` | each piece is the time at which it is written, in ms since 1970 with three decimals |
 * | `tool=NAME`, `tool-result=CHARS` | a tool is used before the answer |
 * | `think=WORD` | thinking is streamed before the answer |
 * | `recall` | the answer is the session's earlier prompts, joined by ` \| ` |
 * | `output=JSON` | the structured output, where a schema is given (default: the answer as JSON) |
 * | `no-output` | success without structured output |
 * | `break=N` | the provider breaks off after N words, and the answer is said anew |
 * | `max-tokens=N` | the provider stops at its limit after N words, and the answer goes on from there |
 * | `api-retry=STATUS`, `api-error=STATUS` | a retry is reported; the turn ends with the provider's error |
 * | `max-turns`, `budget` | the turn ends at that limit |
 * | `hang` | the turn never ends |
 * | `linger=MS` | the process stays after its result |
 * | `ignore=SIGINT,SIGTERM` | these signals have no effect |
 * | `crash=CODE`, `kill` | exit with a code, or die by SIGKILL, after the words and before the result |
 * | `exit-at=BYTES`, `code=CODE` | exit when so many bytes of stdout are written, with a code (default 1) or by a signal (`code=SIGKILL`) |
 * | `garbage=CODE` | prints what is not JSON, and exits |
 * | `flood-stdout=BYTES`, `flood-stderr=BYTES`, `long-line=BYTES` | so much of it, before the answer |
 * | `fork=group,session,background` | grandchildren that ignore signals (all three kinds by default) |
 */
export type StandInOrders = Readonly<Record<string, string>>;

export interface StandInTurn {
  readonly event: "started" | "ended";
  /** Milliseconds since 1970. A turn starts when its whole prompt was read. */
  readonly at: number;
  readonly pid: number;
  readonly session_id: string;
  readonly prompt: string;
  readonly system_prompt?: string;
  /** What the prompt's line held besides, in order; absent where the prompt was plain text. */
  readonly images?: readonly { readonly media_type: string; readonly data: string }[];
  /** Of the whole turn, at its end. The same for the same prompt in the same folder. */
  readonly stdout_bytes?: number;
  readonly cwd: string;
  readonly args: readonly string[];
  /** Names of the environment variables it got. */
  readonly env: readonly string[];
}

export interface StandInChild {
  readonly kind: "group" | "session" | "background";
  readonly pid: number;
}

export interface ClaudeStandIn extends AsyncDisposable {
  /** The executable, for `KSI_CLAUDE_BIN`. */
  readonly bin: string;
  /** Starts and ends of turns, in the order in which they happened. */
  turns(): Promise<StandInTurn[]>;
  /** The grandchildren that `fork` left. */
  children(): Promise<StandInChild[]>;
  /** Orders for every turn from now on. */
  order(orders: StandInOrders): Promise<void>;
}

/** A stand-in with sessions and records of its own, in a folder that goes with it. */
export async function createClaudeStandIn(): Promise<ClaudeStandIn> {
  const folder = await createTempFolder("ksi-stand-in-");
  const bin = join(folder.path, "claude");
  const program = fileURLToPath(new URL("../bin/claude-stand-in.mjs", import.meta.url));
  const quoted = [process.execPath, program].map((word) => `'${word}'`).join(" ");
  // A script rather than a link, so that the Node of the test runs it and not another one on PATH.
  await writeFile(bin, `#!/bin/sh\nCLAUDE_STAND_IN_HOME='${folder.path}' exec ${quoted} "$@"\n`);
  await chmod(bin, 0o755);
  return {
    bin,
    turns: () => readLines<StandInTurn>(join(folder.path, "turns.jsonl")),
    children: () => readLines<StandInChild>(join(folder.path, "children.jsonl")),
    order: (orders) => writeFile(join(folder.path, "script.json"), JSON.stringify(orders)),
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
}

async function readLines<T>(file: string): Promise<T[]> {
  const text = await readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return "";
    throw error;
  });
  // A line that is being written has no end yet.
  const lines = text.slice(0, text.lastIndexOf("\n") + 1).split("\n");
  return lines.filter(Boolean).map((line) => JSON.parse(line) as T);
}
