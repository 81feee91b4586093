/** A program of these benchmarks in a process of its own, called by name over IPC. */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";

/** What a program answers: names, and functions of values that can be cloned. */
export type Calls = Record<string, (...args: never[]) => unknown>;

export interface Child<C extends object> extends AsyncDisposable {
  readonly process: ChildProcess;
  /** Rejects with what the program threw, when it has ended, or when it has not answered for 90 s. */
  call<K extends keyof C & string>(name: K, ...args: ParametersOf<C[K]>): Promise<AnswerOf<C[K]>>;
}

type ParametersOf<F> = F extends (...args: infer A) => unknown ? A : never;
type AnswerOf<F> = F extends (...args: never[]) => infer R ? Awaited<R> : never;

interface Reply {
  readonly id: number;
  readonly answer?: unknown;
  readonly error?: string;
}

const answerMs = 90_000;
const closeMs = 5_000;

/** `program` is a URL of a file that calls `answerParent`. Disposing kills it; so does the end of this process. */
export function startChild<C extends object>(program: URL, nodeFlags: readonly string[] = []): Child<C> {
  const child = fork(program, {
    // Whatever a server leaves out in production it leaves out here.
    env: { ...process.env, NODE_ENV: "production" },
    execArgv: [...nodeFlags],
    serialization: "advanced",
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  const name = program.pathname.split("/").at(-1);
  const exited = once(child, "exit");
  const waiting = new Map<number, PromiseWithResolvers<unknown>>();
  let calls = 0;

  child.on("message", ({ id, answer, error }: Reply) => {
    if (error === undefined) waiting.get(id)?.resolve(answer);
    else waiting.get(id)?.reject(new Error(`${name}: ${error}`));
  });
  child.on("exit", (code, signal) => {
    for (const { reject } of waiting.values()) reject(new Error(`${name} ended with ${signal ?? code}`));
  });
  return {
    process: child,
    async call(method, ...args) {
      const id = ++calls;
      const reply = Promise.withResolvers<unknown>();
      waiting.set(id, reply);
      const late = () => reply.reject(new Error(`${name} did not answer ${method} within ${answerMs} ms`));
      const timer = setTimeout(late, answerMs);
      try {
        if (!child.connected) throw new Error(`${name} has ended`);
        child.send({ id, method, args });
        return (await reply.promise) as AnswerOf<C[typeof method]>;
      } finally {
        clearTimeout(timer);
        waiting.delete(id);
      }
    },
    [Symbol.asyncDispose]: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      // It ends by itself when nobody is there to ask, and may clean up before.
      if (child.connected) child.disconnect();
      const timer = setTimeout(() => child.kill("SIGKILL"), closeMs);
      await exited;
      clearTimeout(timer);
    },
  };
}

interface Request {
  readonly id: number;
  readonly method: string;
  readonly args: never[];
}

/** For the program itself: answers its parent with `calls`, and ends when the parent has gone, after `close`. */
export function answerParent(calls: Calls, close: () => Promise<void> = async () => undefined): void {
  const answer = async ({ id, method, args }: Request): Promise<Reply> => {
    try {
      return { id, answer: await calls[method]?.(...args) };
    } catch (thrown) {
      return { id, error: thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown) };
    }
  };
  process.on("message", (request: Request) => {
    // Nobody waits where the parent has gone.
    void answer(request).then((reply) => process.connected && process.send?.(reply));
  });
  process.on("disconnect", () => {
    setTimeout(() => process.exit(1), closeMs / 2).unref();
    void close().finally(() => process.exit());
  });
}
