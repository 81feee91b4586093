/**
 * A process that is killed or stopped on purpose, and started again as a supervisor would.
 *
 * States: up → (killed) down → up, or up → stopped → up. What happens to one that is not up is not done.
 */
import { setTimeout as sleep } from "node:timers/promises";

export interface Part {
  readonly pid: number;
  /** Settles when the process is gone, however it went. */
  readonly exited: Promise<unknown>;
  /** Asks it to end, and waits. */
  end(): Promise<unknown>;
}

export interface Supervised<P extends Part = Part> {
  readonly name: string;
  /** The last that was started. */
  readonly part: P;
  readonly isUp: boolean;
  /** SIGKILL, and after `downMs` a new start. False when it is not up. */
  kill(downMs: number): boolean;
  /** SIGSTOP, and after `ms` SIGCONT. False when it is not up. */
  stop(ms: number): boolean;
  /** Resolves when it is up again. */
  settle(): Promise<void>;
  /** Ends it for good. */
  close(): Promise<void>;
}

export interface SupervisedOptions<P extends Part> {
  readonly name: string;
  /** `before` is the one whose place it takes. */
  readonly start: (before: P | undefined) => Promise<P>;
  /** It ended and nobody had killed it, or it does not come back. */
  readonly onFailure: (what: string) => void;
}

/** Supervises parts until the stack is disposed. */
export function createSupervisor(stack: AsyncDisposableStack, onFailure: (what: string) => void) {
  return async <P extends Part>(name: string, start: SupervisedOptions<P>["start"]): Promise<Supervised<P>> => {
    const supervised = await supervise({ name, start, onFailure });
    stack.defer(() => supervised.close());
    return supervised;
  };
}

const retryMs = 250;
/** A part that needs longer is not coming back: even with Redis away for a while, others start within seconds. */
const startDeadlineMs = 60_000;

async function supervise<P extends Part>(options: SupervisedOptions<P>): Promise<Supervised<P>> {
  const { name, start, onFailure } = options;
  let state: "up" | "stopped" | "down" = "up";
  let part = await launch(undefined);
  let change: Promise<void> = Promise.resolve();

  async function launch(before: P | undefined): Promise<P> {
    const launched = await start(before);
    void launched.exited.then(() => {
      if (state !== "down" && launched === part) onFailure(`${name} ended by itself`);
    });
    return launched;
  }

  async function startAgain(): Promise<void> {
    const deadline = performance.now() + startDeadlineMs;
    for (;;) {
      try {
        part = await launch(part);
        state = "up";
        return;
      } catch (error) {
        // Redis may be down too.
        if (performance.now() > deadline) return onFailure(`${name} does not start any more: ${error}`);
      }
      await sleep(retryMs);
    }
  }

  return {
    name,
    get isUp() {
      return state === "up";
    },
    get part() {
      return part;
    },
    kill(downMs) {
      if (state !== "up") return false;
      state = "down";
      process.kill(part.pid, "SIGKILL");
      change = part.exited.then(() => sleep(downMs)).then(startAgain);
      return true;
    },
    stop(ms) {
      if (state !== "up") return false;
      state = "stopped";
      process.kill(part.pid, "SIGSTOP");
      change = sleep(ms).then(() => {
        process.kill(part.pid, "SIGCONT");
        state = "up";
      });
      return true;
    },
    settle: () => change,
    async close() {
      await change;
      const wasUp = state === "up";
      state = "down";
      if (wasUp) await part.end();
    },
  };
}
