/** A handle on one accepted run. */
import type { AppRouter, CancelOutput, FinalRunEvent, FinalRunStatus, Json, Run, RunEvent } from "@ksi/contract";
import { KsiError } from "@ksi/contract/errors";
import type { TRPCClient } from "@trpc/client";
import { type CallOptions, call } from "./call.ts";
import { delay } from "./delay.ts";
import { createEventStream, type EventStream, type FollowOptions } from "./event-stream.ts";
import { type OutputSchema, validateOutput } from "./output-schema.ts";

export interface RunHandle<Result = string> {
  readonly run_id: string;
  readonly session_id: string;
  /** Everything that happens in the run, from its first event on unless told otherwise; ends after the final event. */
  events(options?: FollowOptions): EventStream<RunEvent>;
  /**
   * Waits for the end, however long it takes and over restarts of the daemon. Rejects with the run's own error
   * (`RUN_CANCELLED`, `RUN_TIMED_OUT`, `RUNNER_CRASHED` …; `details.run_id` names the run), with `OUTPUT_INVALID` if the
   * answer does not fit the `output` schema, and with `CONNECTION_LOST` when the daemon stays away for some 40 s; the
   * run itself goes on then, and `ksi.runs.attach(run_id)` finds it again.
   */
  result(options?: CallOptions): Promise<RunResult<Result>>;
  /** Ends the run wherever it is. `cancelled: false` says that it was over already. Safe to repeat. */
  cancel(reason?: string, options?: CancelOptions): Promise<CancelOutput>;
}

export interface CancelOptions extends CallOptions {
  /**
   * How long a running agent may take to leave by itself before it is killed, in ms and in all: 0 to 30,000. Default: 2 s
   * after it was interrupted, and 2 s after it was asked to terminate. Of several cancels of one run the first counts.
   */
  grace_ms?: number | undefined;
}

/** A completed run. `result` is the agent's text, or with an `output` schema the value that the schema gives. */
export interface RunResult<Result = string> extends Omit<Run, "status" | "result" | "output" | "error"> {
  status: "completed";
  result: Result;
  /** The agent's text, with an `output` schema too. */
  text: string;
  /** The answer as JSON, where an output schema was given. */
  output?: Json | undefined;
}

export interface RunHandleOptions<Result> {
  trpc: TRPCClient<AppRouter>;
  ids: { run_id: string; session_id: string };
  output: OutputSchema<Result> | undefined;
  /** Aborts when the client is closed. */
  closed: AbortSignal;
}

/** About 40 s of a daemon that is away, since a wait may well span a restart. */
const resultRetries = 15;
/** A daemon that is draining may answer at once; asking again at once would be a busy loop. */
const shortestPollMs = 500;

export function createRunHandle<Result>(options: RunHandleOptions<Result>): RunHandle<Result> {
  const { trpc, closed, output } = options;
  const { run_id, session_id } = options.ids;
  const signals = ({ signal }: CallOptions) => (signal ? [closed, signal] : [closed]);

  async function result(callOptions: CallOptions = {}): Promise<RunResult<Result>> {
    for (;;) {
      const run = await call((signal) => poll(trpc, run_id, signal), {
        signals: signals(callOptions),
        retries: resultRetries,
      });
      if (run.status in finalStatuses) return toResult(run, output);
    }
  }

  function events(followOptions: FollowOptions = {}): EventStream<RunEvent> {
    return createEventStream<RunEvent>(
      {
        subscribe: (start, handlers) => trpc.runs.events.subscribe({ run_id, ...start }, handlers),
        isLast: ({ event_type }) => event_type in finalEventTypes,
        isOver: async (signal) => (await trpc.runs.get.query({ run_id }, { signal })).status in finalStatuses,
      },
      followOptions,
      [closed],
    );
  }

  return {
    run_id,
    session_id,
    events,
    result,
    cancel: (reason, { grace_ms, ...callOptions } = {}) =>
      call((signal) => trpc.runs.cancel.mutate({ run_id, reason, grace_ms }, { signal }), {
        signals: signals(callOptions),
        retries: 0,
      }),
  };
}

/** One long poll. */
async function poll(trpc: TRPCClient<AppRouter>, run_id: string, signal: AbortSignal): Promise<Run> {
  const askedAt = performance.now();
  const run = await trpc.runs.result.query({ run_id }, { signal });
  const isEarly = performance.now() - askedAt < shortestPollMs;
  if (isEarly && !(run.status in finalStatuses)) await delay(shortestPollMs, signal);
  return run;
}

async function toResult<Result>(run: Run, schema: OutputSchema<Result> | undefined): Promise<RunResult<Result>> {
  const { status, result: text = "", output, error, ...facts } = run;
  if (status !== "completed") {
    const { code, message, details } = error ?? { code: "INTERNAL", message: `The run ended as ${status}.` };
    throw new KsiError(code, message, { details: { ...details, run_id: run.run_id } });
  }
  // Without a schema, Result is string.
  const result = schema ? await validateOutput(schema, { output, run_id: run.run_id }) : (text as Result);
  return { ...facts, status, result, text, ...(output !== undefined && { output }) };
}

const finalStatuses = {
  completed: true,
  failed: true,
  cancelled: true,
  timed_out: true,
} satisfies Record<FinalRunStatus, true>;

const finalEventTypes = {
  "run.completed": true,
  "run.failed": true,
  "run.cancelled": true,
  "run.timed_out": true,
} satisfies Record<FinalRunEvent["event_type"], true>;
