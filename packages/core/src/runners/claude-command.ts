/** What a turn becomes on the command line and in the environment of `claude`. */
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { JsonObject } from "@ksi/contract";
import { pickAgentEnvironment } from "../agent-environment.ts";
import type { Turn } from "./runner.ts";

/** How a turn joins its session: as its first, or as the next. */
export interface Joining {
  readonly way: "start" | "resume";
  /** The CLI's name of the session. */
  readonly id: string;
}

/**
 * Every value stands in one argument with its flag (`--model=x`), so that no value can be read as a flag of its own.
 * The prompt is no argument: it goes to stdin, where `ps` does not show it.
 */
export function claudeArguments(turn: Turn, joining: Joining, systemPromptFile: string | undefined): string[] {
  return [
    "--print",
    "--output-format=stream-json",
    ...(turn.images?.length ? ["--input-format=stream-json"] : []),
    "--verbose",
    "--include-partial-messages",
    "--disable-slash-commands",
    `--model=${turn.model}`,
    joining.way === "start" ? `--session-id=${joining.id}` : `--resume=${joining.id}`,
    ...toolArguments(turn.tools),
    ...(systemPromptFile === undefined ? [] : [`--append-system-prompt-file=${systemPromptFile}`]),
    // Without it a resumed session keeps the system prompt of its first turn, whatever this turn's is.
    "--system-prompt-snapshot=off",
    ...(turn.output_schema ? [`--json-schema=${JSON.stringify(withoutDraft(turn.output_schema))}`] : []),
  ];
}

/**
 * The CLI knows draft 07 alone, by this one name, and refuses a schema that says another, as those that zod
 * 4 writes do; most schemas read alike in all of them.
 */
function withoutDraft(schema: JsonObject): JsonObject {
  const { $schema, ...rest } = schema;
  return $schema === "http://json-schema.org/draft-07/schema#" ? schema : rest;
}

/** The environment of every turn: what may pass of the daemon's, over the defaults for an unattended agent. */
export function claudeEnvironment(env: NodeJS.ProcessEnv, passEnv: readonly string[]): Record<string, string> {
  return {
    // The CLI's own ten retries hold a wrong key for 184 s before it says so; five take about 15 s.
    CLAUDE_CODE_MAX_RETRIES: "5",
    // One request's answer must begin within this; the CLI's own limit is ten minutes.
    API_TIMEOUT_MS: "120000",
    // An update in the middle of a turn, by many agents at once, helps nobody.
    DISABLE_AUTOUPDATER: "1",
    ...pickAgentEnvironment(env, passEnv),
    // `@/any/path` in a prompt would attach that file, also for an agent without tools.
    CLAUDE_CODE_DISABLE_ATTACHMENTS: "1",
  };
}

/**
 * The prompt as stdin: as it is, or behind its images as the one line of a conversation in stream-json.
 *
 * The CLI runs or refuses a prompt that begins with `/` and the name of a command, also with commands disabled and
 * also behind images; behind a space it is text for the model, like any other.
 */
export function claudeStdin({ prompt, images = [] }: Pick<Turn, "prompt" | "images">): string {
  const text = prompt.startsWith("/") ? ` ${prompt}` : prompt;
  if (images.length === 0) return text;
  const pictures = images.map((image) => ({ type: "image", source: { type: "base64", ...image } }));
  const message = { role: "user", content: [...pictures, { type: "text", text }] };
  return `${JSON.stringify({ type: "user", message, parent_tool_use_id: null })}\n`;
}

export interface SystemPromptFile extends AsyncDisposable {
  readonly path: string | undefined;
}

/** A private file, since an argument ends at 128 KiB and is shown to every user of the machine by `ps`. */
export async function writeSystemPrompt(text: string | undefined): Promise<SystemPromptFile> {
  if (text === undefined) return { path: undefined, [Symbol.asyncDispose]: () => Promise.resolve() };
  const folder = await mkdtemp(join(tmpdir(), "ksi-"));
  await chmod(folder, 0o700);
  const path = join(folder, "system-prompt.txt");
  await writeFile(path, text, { mode: 0o600 });
  return { path, [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }) };
}

/**
 * `--tools` is what there is, `--allowedTools` what may be used without asking: a tool that is merely not allowed
 * could still read files. MCP servers of the user's own settings are kept out unless a tool of one is named.
 */
function toolArguments(tools: readonly string[]): string[] {
  const isMcp = (tool: string) => tool.startsWith("mcp__");
  const builtIn = tools.filter((tool) => !isMcp(tool)).map((tool) => tool.replace(/\(.*$/, ""));
  return [
    `--tools=${[...new Set(builtIn)].join(",")}`,
    ...(tools.length > 0 ? [`--allowedTools=${tools.join(",")}`] : []),
    ...(tools.some(isMcp) ? [] : ["--strict-mcp-config"]),
  ];
}
