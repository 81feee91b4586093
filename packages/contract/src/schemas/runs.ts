import { z } from "zod";
import { errorCodes } from "../errors.ts";
import { limits } from "../limits.ts";
import { runStatuses } from "../run-state.ts";
import { agentId, image, jsonObject, page, runId, sessionId, timestamp } from "./common.ts";

/** Tokens of one run, as the provider counted them. */
export const usage = z.object({
  input_tokens: z.number().int().nonnegative(),
  output_tokens: z.number().int().nonnegative(),
  cache_read_input_tokens: z.number().int().nonnegative().optional(),
  cache_creation_input_tokens: z.number().int().nonnegative().optional(),
});

export const wireError = z.object({
  code: z.enum(errorCodes),
  message: z.string(),
  details: z.record(z.string(), z.unknown()).optional(),
});

export const spawnInput = z.object({
  /** What the agent is asked to do. */
  prompt: z.string().min(1, "must not be empty").max(limits.promptChars),
  /**
   * What the agent is to look at before it reads the prompt, in this order: 20 at most. `INVALID_INPUT` where the
   * model's runner takes no images. KSI keeps them until the run has ended and gives them to nobody; the agent has them
   * in its session.
   */
  images: z.array(image).max(limits.images, `must be at most ${limits.images} images`).optional(),
  /** Continue this session, or start one under this id. Default: a new session. */
  session_id: sessionId.optional(),
  /** `sonnet`, `opus`, `haiku`, `echo`, or any name that a runner serves. Default: the server's `default_model`. */
  model: z
    .string()
    .min(1)
    .max(200)
    .regex(/^[A-Za-z0-9][A-Za-z0-9._:/@[\]-]*$/, "is not a model name")
    .optional(),
  /** Narrows the configured tools, and those of the profile, to these; other names are left out. */
  tools: z
    .array(z.string().regex(/^[A-Za-z][A-Za-z0-9_*-]{0,99}$/, "is not a tool name"))
    .max(100)
    .optional(),
  /** `false` gives the agent no tools at all. */
  enable_tools: z.boolean().default(true),
  /** The agent on whose behalf this runs; copied to every event of the run. */
  agent_id: agentId.optional(),
  /**
   * A profile of `profiles.list`, kept with the run, which has what it says at that moment: `model`, `cwd` and
   * `timeout_ms` where the run names none, its `system_prompt` before the run's, and no tools but those that both allow.
   * `INVALID_INPUT` where there is none of this name, with the names that there are.
   */
  agent_profile: z.string().min(1).max(128).optional(),
  /** Added to the agent's own system prompt, and to that of the profile. */
  system_prompt: z.string().min(1).max(limits.systemPromptChars).optional(),
  /** Working directory; must lie inside one of the server's roots. Default: the first root. */
  cwd: z.string().min(1).max(4096).optional(),
  /** 0 is served first, 100 last. */
  priority: z.number().int().min(0).max(100).default(50),
  /** Time limit in ms from the start of the agent. */
  timeout_ms: z.number().int().min(1).max(limits.runTimeoutMsMax).optional(),
  /** A JSON Schema; the run's `output` then satisfies it, or the run fails with `OUTPUT_INVALID`. */
  output_schema: jsonObject.optional(),
  /** A repeat with the same key (kept for a day) answers the first run; with another body it is a `CONFLICT`. */
  idempotency_key: z.string().min(1).max(255).optional(),
  /** Yours; given back with the run. The echo runner reads its script from `metadata.echo`. */
  metadata: jsonObject.optional(),
});

export const spawnAccepted = z.object({
  status: z.literal("accepted"),
  run_id: runId,
  session_id: sessionId,
  message: z.string(),
});

export const run = z.object({
  run_id: runId,
  session_id: sessionId,
  status: z.enum(runStatuses),
  model: z.string(),
  /** The runner that executed it; absent until it started. */
  runner: z.string().optional(),
  agent_id: agentId.optional(),
  agent_profile: z.string().optional(),
  priority: z.number().int(),
  timeout_ms: z.number().int(),
  created_at: timestamp,
  started_at: timestamp.optional(),
  ended_at: timestamp.optional(),
  /** The agent's final text; present when `completed`. */
  result: z.string().optional(),
  /**
   * The agent's answer as JSON that satisfies `output_schema`; present when one was given and the run `completed`. Without
   * keys called `__proto__`, `constructor` or `prototype`, which no schema can ask for; `result` has what was said.
   */
  output: z.json().optional(),
  /** Why the run did not complete; present when `failed`, `cancelled` or `timed_out`. */
  error: wireError.optional(),
  usage: usage.optional(),
  /** US dollars for this run, as the agent reported them. */
  cost_usd: z.number().optional(),
  /** Time the agent took, from the start of its process to its result. */
  duration_ms: z.number().optional(),
  num_turns: z.number().int().optional(),
  stop_reason: z.string().optional(),
  metadata: jsonObject.optional(),
});

export const runRef = z.object({ run_id: runId });
export const cancelInput = runRef.extend({
  reason: z.string().max(500).optional(),
  /**
   * How long, in ms and in all, a running agent may take to leave by itself before it is killed: it is interrupted,
   * asked to terminate, then killed. 0 kills at once. Default: 2 s after each of the first two. Of several cancels of
   * one run the first counts.
   */
  grace_ms: z.number().int().min(0).max(limits.cancelGraceMsMax).optional(),
});
/** `status` is what the run was when the cancel arrived: a final state means that there was nothing to cancel. */
export const cancelOutput = z.object({ run_id: runId, status: z.enum(runStatuses), cancelled: z.boolean() });
export const resultInput = runRef.extend({
  /** How long to wait for a final state. */
  wait_ms: z.number().int().min(0).max(limits.waitMsMax).default(limits.waitMsDefault),
});
export const runsListInput = page.extend({
  status: z.enum(runStatuses).optional(),
  session_id: sessionId.optional(),
});
/** Newest first. */
export const runsPage = z.object({ runs: z.array(run), next: z.string().optional() });

export type Usage = z.infer<typeof usage>;
export type SpawnInput = z.infer<typeof spawnInput>;
export type SpawnRequest = z.input<typeof spawnInput>;
export type SpawnAccepted = z.infer<typeof spawnAccepted>;
export type Run = z.infer<typeof run>;
export type CancelInput = z.infer<typeof cancelInput>;
export type CancelOutput = z.infer<typeof cancelOutput>;
export type ResultInput = z.infer<typeof resultInput>;
export type RunsListInput = z.infer<typeof runsListInput>;
export type RunsPage = z.infer<typeof runsPage>;
