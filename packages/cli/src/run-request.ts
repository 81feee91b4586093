/** From the words and options of `ksi run` to what `runs.spawn` takes. */
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import type { JsonObject, SpawnRequest } from "@ksi/client";
import { KsiError } from "@ksi/contract/errors";
import type { Cli } from "./cli.ts";
import { parseJsonObject } from "./parse.ts";
import { readImages } from "./read-images.ts";
import { readStdin } from "./read-stdin.ts";

export interface RunOptions {
  session?: string | undefined;
  model?: string | undefined;
  profile?: string | undefined;
  cwd?: string | undefined;
  /** `false` is `--no-tools`. */
  tools?: string[] | boolean | undefined;
  timeout?: number | undefined;
  metadata?: JsonObject | undefined;
  systemPrompt?: string | undefined;
  priority?: number | undefined;
  agentId?: string | undefined;
  schema?: string | undefined;
  image?: string[] | undefined;
}

/** Everything but the working directory, which depends on where the daemon runs. */
export async function buildRunRequest(words: string[], options: RunOptions, cli: Cli): Promise<SpawnRequest> {
  const { session, model, profile, tools, timeout, metadata, systemPrompt, priority, agentId, schema, image } = options;
  const outputSchema = schema === undefined ? undefined : await readSchema(resolve(cli.cwd, schema));
  const images = image === undefined ? undefined : await readImages(image, cli.cwd);
  return {
    prompt: await readPrompt(words, cli.stdin),
    ...(images !== undefined && { images }),
    ...(session !== undefined && { session_id: session }),
    ...(model !== undefined && { model }),
    ...(profile !== undefined && { agent_profile: profile }),
    ...(Array.isArray(tools) && { tools }),
    ...(tools === false && { enable_tools: false }),
    ...(timeout !== undefined && { timeout_ms: timeout }),
    ...(metadata !== undefined && { metadata }),
    ...(systemPrompt !== undefined && { system_prompt: systemPrompt }),
    ...(priority !== undefined && { priority }),
    ...(agentId !== undefined && { agent_id: agentId }),
    ...(outputSchema !== undefined && { output_schema: outputSchema }),
  };
}

/** The words; a `-` at their end, or no words at all and a pipe, stand for what stdin holds. */
async function readPrompt(words: string[], stdin: NodeJS.ReadStream): Promise<string> {
  const wantsStdin = words.at(-1) === "-" || (words.length === 0 && !stdin.isTTY);
  const said = (words.at(-1) === "-" ? words.slice(0, -1) : words).join(" ");
  const read = wantsStdin ? (await readStdin(stdin, promptMaxBytes, promptTooLong)).trimEnd() : "";
  const prompt = [said, read].filter(Boolean).join("\n\n");
  if (prompt.trim() !== "") return prompt;
  const reason = wantsStdin ? "stdin was empty" : "there is none";
  throw new KsiError("INVALID_INPUT", `Give a prompt (${reason}), such as: ksi run "What is 2+2?"`);
}

/** Above what the daemon takes (1,000,000 characters), so that it is the daemon that says so; below what hurts. */
const promptMaxBytes = 4_000_000;
const promptTooLong = "The prompt on stdin is too long: at most 1,000,000 characters.";

async function readSchema(path: string): Promise<JsonObject> {
  const text = await readFile(path, "utf8").catch((cause: NodeJS.ErrnoException) => {
    throw new KsiError("INVALID_INPUT", `--schema: ${path} cannot be read (${cause.code}).`, { cause });
  });
  try {
    return parseJsonObject(text);
  } catch (cause) {
    throw new KsiError("INVALID_INPUT", `--schema: ${path} must hold a JSON Schema, which is a JSON object.`, {
      cause,
    });
  }
}
