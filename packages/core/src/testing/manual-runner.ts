import type { Runner, RunningTurn, Turn, TurnContext, TurnEvent, TurnOutcome } from "../runners/runner.ts";

/** A turn whose every step is the test's. */
export interface ManualTurn {
  readonly turn: Turn;
  readonly signal: AbortSignal;
  /** Before this, a lost worker means another attempt. */
  hand(memory?: Turn["memory"]): Promise<void>;
  emit(event: TurnEvent): void;
  complete(result: string, more?: Partial<TurnOutcome>): void;
  fail(error: Error): void;
  /** The agent's process is gone. Without `isSlowToEnd` it is gone with the outcome. */
  end(): void;
}

export interface ManualRunner extends Runner {
  /** In the order in which they were started. */
  readonly turns: ManualTurn[];
}

/** Serves the model `manual`, and takes images. An abort rejects the outcome, as with any runner. */
export function createManualRunner({ isSlowToEnd = false } = {}): ManualRunner {
  const turns: ManualTurn[] = [];
  return {
    name: "manual",
    models: ["manual"],
    takesImages: true,
    serves: (model) => model === "manual",
    probe: () => Promise.resolve({ name: "manual", available: true, models: ["manual"] }),
    turns,
    start(turn, context) {
      const { running, manual } = begin(turn, context, isSlowToEnd);
      turns.push(manual);
      return running;
    },
  };
}

function begin(turn: Turn, { signal, emit, promptHanded }: TurnContext, isSlowToEnd: boolean) {
  const outcome = Promise.withResolvers<TurnOutcome>();
  const ended = Promise.withResolvers<void>();
  signal.addEventListener("abort", () => outcome.reject(signal.reason), { once: true });
  const end = () => ended.resolve();
  if (!isSlowToEnd) outcome.promise.then(end, end);
  const running: RunningTurn = { outcome: outcome.promise, ended: ended.promise };
  const manual: ManualTurn = {
    turn,
    signal,
    hand: promptHanded,
    emit,
    complete: (result, more) =>
      outcome.resolve({ result, model: "manual-1", raw: { type: "result", result }, ...more }),
    fail: (error) => outcome.reject(error),
    end,
  };
  return { running, manual };
}
