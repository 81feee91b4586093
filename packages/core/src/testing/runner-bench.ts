/** What tests of a runner need around it: a reaper, a folder to work in, and a context that remembers. */
import { randomUUID } from "node:crypto";
import { createTempFolder } from "@ksi/testing";
import type { Logger } from "../logger.ts";
import { type Reaper, startReaper } from "../reaper.ts";
import type { Runner, RunningTurn, Turn, TurnContext, TurnEvent } from "../runners/runner.ts";

export interface StartedTurn extends RunningTurn {
  readonly turn: Turn;
  readonly events: TurnEvent[];
  /** What the runner asked to be kept when it handed the prompt over, one entry for each time. */
  readonly handed: unknown[];
  /** Ends the turn with this reason. */
  abort(reason: Error): void;
  /** All that was streamed, as one text. */
  text(): string;
}

export interface RunnerBench extends AsyncDisposable {
  readonly cwd: string;
  readonly reaper: Reaper;
  /** Every message logged so far. */
  readonly logged: string[];
  readonly logger: Logger;
  start(runner: Runner, turn?: Partial<Turn>, context?: Partial<TurnContext>): StartedTurn;
}

export async function startRunnerBench(): Promise<RunnerBench> {
  const folder = await createTempFolder();
  const logged: string[] = [];
  const log = (_fields: object, message: string) => void logged.push(message);
  const logger: Logger = { debug: log, info: log, warn: log, error: log };
  const reaper = startReaper({ logger });
  const ended: Promise<unknown>[] = [];
  const controllers: AbortController[] = [];

  return {
    cwd: folder.path,
    reaper,
    logged,
    logger,
    start(runner, fields, context) {
      const turn: Turn = {
        run_id: randomUUID(),
        session_id: randomUUID(),
        prompt: "hello",
        model: runner.models[0] ?? "",
        tools: [],
        cwd: folder.path,
        ...fields,
      };
      const events: TurnEvent[] = [];
      const handed: unknown[] = [];
      const controller = new AbortController();
      controllers.push(controller);
      const running = runner.start(turn, {
        signal: controller.signal,
        emit: (event) => void events.push(event),
        promptHanded: (memory) => {
          handed.push(memory);
          return Promise.resolve();
        },
        ...context,
      });
      // A test may look at an outcome late, or only at the end.
      running.outcome.catch(() => {});
      ended.push(running.ended);
      const text = () => events.map((event) => (event.event_type === "run.text" ? event.payload.text : "")).join("");
      return { ...running, turn, events, handed, abort: (reason) => controller.abort(reason), text };
    },
    async [Symbol.asyncDispose]() {
      for (const controller of controllers) controller.abort(new Error("the test is over"));
      await Promise.all(ended);
      await reaper.close();
      await folder[Symbol.asyncDispose]();
    },
  };
}
