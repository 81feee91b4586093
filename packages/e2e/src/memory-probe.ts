/** Looks into a daemon's memory from outside, over Node's inspector. */
import { once } from "node:events";
import { type DaemonProcess, until } from "@ksi/testing";
import { WebSocket } from "ws";

export interface MemoryProbe extends AsyncDisposable {
  /** Bytes that the daemon still holds after a garbage collection: heap, and buffers outside of it. */
  retainedBytes(): Promise<number>;
  /** The value of an expression, evaluated in the daemon. */
  evaluate(expression: string): Promise<unknown>;
}

/** For the environment of a daemon that is to be looked into. */
export const inspectable = { NODE_OPTIONS: "--inspect=127.0.0.1:0" };

export async function openMemoryProbe(daemon: DaemonProcess): Promise<MemoryProbe> {
  const url = await until(() => /Debugger listening on (ws:\S+)/.exec(daemon.output())?.[1]);
  const socket = new WebSocket(url);
  await once(socket, "open");
  const answers = new Map<number, PromiseWithResolvers<unknown>>();
  socket.on("message", (data) => {
    const { id, result, error } = JSON.parse(String(data));
    if (error) answers.get(id)?.reject(new Error(error.message));
    else answers.get(id)?.resolve(result);
    answers.delete(id);
  });
  let asked = 0;
  const ask = (method: string, params: object = {}) => {
    const answer = Promise.withResolvers<unknown>();
    answers.set(++asked, answer);
    socket.send(JSON.stringify({ id: asked, method, params }));
    return answer.promise;
  };
  const evaluate = async (expression: string) => {
    const { result } = (await ask("Runtime.evaluate", { expression, returnByValue: true, awaitPromise: true })) as {
      result: { value?: unknown };
    };
    return result.value;
  };
  return {
    evaluate,
    async retainedBytes() {
      // What a first collection finalizes, a second one frees.
      for (let time = 0; time < 2; time++) await ask("HeapProfiler.collectGarbage");
      return Number(await evaluate("(({ heapUsed, external }) => heapUsed + external)(process.memoryUsage())"));
    },
    async [Symbol.asyncDispose]() {
      const closed = once(socket, "close");
      socket.close();
      await closed;
    },
  };
}
