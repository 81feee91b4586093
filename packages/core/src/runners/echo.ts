/** The offline runner: its answer is the prompt. A demo that needs no key, no network and no program, and says so. */
import { setImmediate, setTimeout } from "node:timers/promises";
import { errorCodes, issuesOf, type Json, type JsonObject, KsiError } from "@ksi/contract";
import { z } from "zod";
import type { Runner, RunningTurn, Turn, TurnContext, TurnOutcome } from "./runner.ts";

const notice = "echo is an offline demo: it repeats the prompt and asks no model.";

/**
 * Repeats the prompt, word by word as `run.text`, and has it as result. It keeps no session and reports no usage,
 * since nothing was counted by a provider.
 *
 * `metadata.echo` scripts it, see {@link EchoScript}. With an `output_schema`, the prompt must itself be JSON that
 * satisfies the schema; `output` is then that JSON, else the run fails with `OUTPUT_INVALID`.
 */
export function createEchoRunner(): Runner {
  const models = ["echo"];
  return {
    name: "echo",
    models,
    takesImages: false,
    serves: (model) => model === "echo",
    probe: () => Promise.resolve({ name: "echo", available: true, models, advice: notice }),
    start(turn, context): RunningTurn {
      const outcome = answer(turn, context);
      return { outcome, ended: outcome.then(ignore, ignore) };
    },
  };
}

/** What `metadata.echo` may hold. */
export type EchoScript = z.infer<typeof echoScript>;

const echoScript = z.strictObject({
  /** Wait before each word, in ms; 0 to 60,000, default 0. */
  delay_ms: z.number().min(0).max(60_000).default(0),
  /** A tool that the agent pretends to use before it answers. */
  tool: z
    .strictObject({ name: z.string().min(1).max(100), input: z.json().default({}), result: z.string().default("ok") })
    .optional(),
  /** Ends the run with this error after the words. */
  fail: z.enum(errorCodes).optional(),
});

async function answer(turn: Turn, context: TurnContext): Promise<TurnOutcome> {
  const { signal, emit } = context;
  const script = readScript(turn.metadata?.echo);
  // Not waited for: it is stored before anything that is said, and to repeat an echo changes nothing.
  const handed = context.promptHanded();
  handed.catch(ignore);
  signal.throwIfAborted();

  if (script.tool) {
    const tool_use_id = `echo-${turn.run_id}`;
    const { name, input, result } = script.tool;
    emit({ event_type: "run.tool_use", payload: { tool_use_id, name, input } });
    emit({ event_type: "run.tool_result", payload: { tool_use_id, is_error: false, content: result } });
  }
  for (const text of splitWords(turn.prompt)) {
    await pause(script.delay_ms, signal);
    emit({ event_type: "run.text", payload: { text } });
  }
  await handed;
  if (script.fail) throw new KsiError(script.fail, `The run's metadata.echo asked to fail with ${script.fail}.`);

  return {
    result: turn.prompt,
    ...(turn.output_schema && { output: readOutput(turn.prompt, turn.output_schema) }),
    model: "echo",
    num_turns: 1,
    stop_reason: "end_turn",
    raw: { type: "result", subtype: "success", is_error: false, result: turn.prompt, session_id: turn.session_id },
  };
}

function readScript(value: Json | undefined): EchoScript {
  const read = echoScript.safeParse(value ?? {});
  if (read.success) return read.data;
  const issues = issuesOf(read.error).map(({ path, message }) => ({
    path: ["metadata", "echo", path].filter(Boolean).join("."),
    message,
  }));
  const first = issues.map(({ path, message }) => `${path}: ${message}`).join("; ");
  throw new KsiError("INVALID_INPUT", `metadata.echo cannot be followed (${first}).`, { details: { issues } });
}

/** More events than this tell nobody anything: a prompt of a megabyte would otherwise be 200,000 of them. */
const maxPieces = 4_000;

/** The words with the space after each, so that together they are the prompt again. */
function splitWords(prompt: string): string[] {
  const words = prompt.match(/^\s+|\S+\s*/g) ?? [prompt];
  const perPiece = Math.ceil(words.length / maxPieces);
  if (perPiece === 1) return words;
  return Array.from({ length: Math.ceil(words.length / perPiece) }, (_, i) =>
    words.slice(i * perPiece, (i + 1) * perPiece).join(""),
  );
}

/** Also without a delay each word yields, so that a long prompt neither blocks the worker nor outruns a cancel. */
async function pause(delayMs: number, signal: AbortSignal): Promise<void> {
  if (delayMs === 0) await setImmediate();
  else await setTimeout(delayMs, undefined, { signal }).catch(ignore);
  signal.throwIfAborted();
}

function readOutput(prompt: string, schema: JsonObject): Json {
  try {
    return z.json().parse(z.fromJSONSchema(schema as Parameters<typeof z.fromJSONSchema>[0]).parse(JSON.parse(prompt)));
  } catch (cause) {
    throw new KsiError(
      "OUTPUT_INVALID",
      "The prompt is not JSON that satisfies output_schema. The echo runner only repeats: send the answer as prompt.",
      { cause },
    );
  }
}

function ignore(): void {
  // The outcome says how it went; what waits for the end wants only the end.
}
