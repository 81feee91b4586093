/** The process that appends, as it is seen from the scenario. */
import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

export interface ProducerOptions {
  readonly redisUrl: string;
  /** A folder that is its own. */
  readonly folder: string;
  readonly runs: number;
  /** Events kept in the firehose. In the channels of runs all are. */
  readonly firehoseCap: number;
}

/** How many events, to each run in turn and to the firehose. */
export interface Burst {
  readonly runs: readonly number[];
  readonly firehose: number;
}

export type Order = { readonly burst: Burst } | "finish";
export type Answer = { readonly run_ids: string[] } | { readonly done: true } | { readonly failed: string };

export interface Producer extends AsyncDisposable {
  /** Of runs that are under way. */
  readonly run_ids: readonly string[];
  /** Appends as fast as it can. Resolves when all is on its way into the log. */
  append(burst: Burst): Promise<void>;
  /** Completes the runs. */
  finish(): Promise<void>;
}

export async function startProducer({ redisUrl, folder, runs, firehoseCap }: ProducerOptions): Promise<Producer> {
  const script = fileURLToPath(new URL("producer-process.ts", import.meta.url));
  const child = fork(script, [redisUrl, folder, String(runs), String(firehoseCap)], { stdio: "inherit" });
  const exited = once(child, "exit");
  const answers: Answer[] = [];
  let wake = () => {};
  child.on("message", (answer: Answer) => {
    answers.push(answer);
    wake();
  });
  child.on("exit", (code) => {
    answers.push({ failed: `the producer ended with ${code}` });
    wake();
  });

  async function answer(): Promise<Exclude<Answer, { failed: string }>> {
    for (;;) {
      const next = answers.shift();
      if (next && "failed" in next) throw new Error(next.failed);
      if (next) return next;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  }

  async function give(order: Order): Promise<void> {
    child.send(order);
    await answer();
  }

  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
    await exited;
  };
  try {
    const first = await answer();
    if (!("run_ids" in first)) throw new Error("the producer did not start");
    return {
      run_ids: first.run_ids,
      append: (burst) => give({ burst }),
      finish: () => give("finish"),
      [Symbol.asyncDispose]: stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}
