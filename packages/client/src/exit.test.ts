import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { type FakeDaemon, finalEvent, startFakeDaemon, texts } from "./testing/fake-daemon.ts";

/** Runs a program that uses the built package by its name, and gives what it printed. Rejects if it does not end. */
async function runProgram(program: string, { url, token }: Pick<FakeDaemon, "url" | "token">): Promise<string> {
  const source = `
    import { createKsiClient } from "@ksi/client";
    const ksi = createKsiClient(${JSON.stringify({ url, token })});
    ${program}`;
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "--eval", source], {
    cwd: new URL("..", import.meta.url),
    timeout: 30_000,
  });
  return stdout.trim();
}

test("a program that followed a run ends by itself, without closing the client", async () => {
  await using daemon = await startFakeDaemon();
  daemon.log.append(...texts(1, 3), finalEvent);
  const program = `
    const run = await ksi.runs.attach("${daemon.run_id}");
    let count = 0;
    for await (const event of run.events()) count++;
    console.log(count);`;
  expect(await runProgram(program, daemon)).toBe("4");
});

test("a program that stops following a daemon that is away ends by itself", async () => {
  await using daemon = await startFakeDaemon();
  await daemon.stop();
  const program = `
    const { promise, resolve } = Promise.withResolvers();
    const other = createKsiClient({ ...${JSON.stringify({ url: daemon.url })}, onConnection: ({ error }) => error && resolve() });
    const abort = new AbortController();
    const next = other.agents.inbox("bob", { signal: abort.signal })[Symbol.asyncIterator]().next();
    await promise;
    abort.abort();
    console.log((await next).done);`;
  expect(await runProgram(program, daemon)).toBe("true");
});

test("a program whose calls go over the WebSocket ends by itself", async () => {
  await using daemon = await startFakeDaemon();
  const program = `
    const other = createKsiClient({ ...${JSON.stringify({ url: daemon.url, token: daemon.token })}, calls: "websocket" });
    const bob = await other.agents.join({ agent_id: "bob" });
    console.log(bob.agent_id);`;
  expect(await runProgram(program, daemon)).toBe("bob");
});

test("after close nothing is left that keeps a process alive", async () => {
  await using daemon = await startFakeDaemon();
  const program = `
    const before = process.getActiveResourcesInfo();
    const inbox = ksi.agents.inbox("bob")[Symbol.asyncIterator]();
    const next = inbox.next();
    while (ksi.connection.state !== "open") await new Promise((resolve) => setTimeout(resolve, 5));
    await ksi.close();
    await next;
    await new Promise((resolve) => setImmediate(resolve));
    console.log(JSON.stringify(process.getActiveResourcesInfo().filter((kind) => !before.includes(kind))));`;
  expect(await runProgram(program, daemon)).toBe("[]");
});
