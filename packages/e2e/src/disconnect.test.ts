/** When one end goes away: the client, for whose agent nobody waits any more, or the daemon in the middle of an answer. */
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { type ClientRequest, type IncomingMessage, request } from "node:http";
import { type DaemonProcess, isAlive, until } from "@ksi/testing";
import { APIError } from "openai";
import { afterAll, describe, expect, test } from "vitest";
import { startHeldDaemon } from "./held-daemon.ts";
import { connectOpenAi, listRuns, type ScriptedDaemon, soon, startScriptedDaemon } from "./openai-clients.ts";

const live = await startScriptedDaemon();
afterAll(() => live[Symbol.asyncDispose]());

/** Withstands all but a kill, and has left children in other groups and sessions that do as well. */
const stubborn = "#fork #ignore=SIGINT,SIGTERM";
/** The goal is 500 ms. What is asserted is that it happens at all, on any machine; the times are printed. */
const gone = { message: "no process of the agent is left" };

interface Client {
  /** Goes away as a crashed program does: the socket is gone, without a word. */
  leave(): void;
  readonly response: Promise<IncomingMessage>;
}

function ask(daemon: DaemonProcess, body: object, headers: object = {}): Client {
  const sending: ClientRequest = request(`${daemon.url}/v1/chat/completions`, {
    method: "POST",
    agent: false,
    headers: { "content-type": "application/json", authorization: `Bearer ${daemon.token}`, ...headers },
  });
  sending.end(JSON.stringify(body));
  const response = once(sending, "response").then(([message]: IncomingMessage[]) => {
    if (!message) throw new Error("there is no response");
    return message.on("error", () => {});
  });
  // Whoever leaves is not interested in what becomes of it.
  response.catch(() => {});
  sending.on("error", () => {});
  return { response, leave: () => sending.destroy() };
}

function chat<Fields extends object>(content: string, session_id: string, fields?: Fields) {
  return { model: "sonnet", messages: [{ role: "user" as const, content }], metadata: { session_id }, ...fields };
}

/** The agent of this session and the children that it forks, once all of them run. No other agent may have any then. */
async function processesOf({ claude }: ScriptedDaemon, session: string, children: number): Promise<number[]> {
  const agent = await until(async () => (await claude.turns()).find(({ session_id }) => session_id === session));
  const forked = await until(async () => {
    const pids = (await claude.children()).map(({ pid }) => pid).filter(isAlive);
    return pids.length === children && pids;
  });
  return [agent.pid, ...forked];
}

describe("a client that goes away", () => {
  const rounds = 5;
  const ways = [
    { name: "while it waits", prompt: `#hang ${stubborn}`, children: 3, stream: false },
    { name: "in the middle of a stream", prompt: `#deltas=100000 #every=10 ${stubborn}`, children: 3, stream: true },
    { name: "from an agent that leaves when asked", prompt: "#hang", children: 0, stream: false },
  ];
  test.for(ways)("$name takes all processes of its agent with it", async ({ name, prompt, children, stream }) => {
    const times: number[] = [];
    for (let round = 0; round < rounds; round++) {
      const session = randomUUID();
      const client = ask(live.daemon, chat(prompt, session, { stream }));
      const pids = await processesOf(live, session, children);
      if (stream) await readBegun(client);
      expect(pids.filter(isAlive)).toEqual(pids);
      const leftAt = performance.now();
      client.leave();
      await until(() => !pids.some(isAlive), gone);
      times.push(Math.round(performance.now() - leftAt));
      await until(async () => (await listRuns(live.daemon, session))[0]?.status === "cancelled");
    }
    console.info(`a client gone ${name}: its last process was gone after ${times.join(", ")} ms`);
  });

  test("before its turn has come is never asked for", async () => {
    const session = randomUUID();
    const first = ask(live.daemon, chat("#hang", session));
    await processesOf(live, session, 0);
    const second = ask(live.daemon, chat("second", session));
    await until(async () => (await listRuns(live.daemon, session)).length === 2);
    second.leave();
    await until(async () => (await listRuns(live.daemon, session))[0]?.status === "cancelled");
    first.leave();
    await until(async () => (await listRuns(live.daemon, session))[1]?.status === "cancelled");
    const prompts = (await live.claude.turns())
      .filter((turn) => turn.session_id === session)
      .map(({ prompt }) => prompt);
    expect(prompts).toEqual(["#hang"]);
  });

  test("and had a key finds its run again, whole and under way", async () => {
    await using held = await startHeldDaemon();
    const { daemon, turn } = held;
    const session = randomUUID();
    const headers = { "idempotency-key": randomUUID() };
    await turn.say("one ");
    await leaveWaiting(daemon, chat("go", session), headers);
    const second = ask(daemon, chat("go", session, { stream: true }), headers);
    await readBegun(second);
    second.leave();

    const stream = await connectOpenAi(daemon).chat.completions.create(
      { model: "sonnet", messages: [{ role: "user", content: "go" }], metadata: { session_id: session }, stream: true },
      { headers },
    );
    await turn.say("two");
    await turn.finish();
    let text = "";
    for await (const { choices } of stream) text += choices[0]?.delta.content ?? "";
    expect(text).toBe("one two");
    expect(await listRuns(daemon, session)).toMatchObject([{ status: "completed", result: "one two" }]);
  });

  test("and said so leaves its run to go on", async () => {
    await using held = await startHeldDaemon();
    const { daemon, turn } = held;
    const session = randomUUID();
    await turn.say("one ");
    await leaveWaiting(daemon, chat("go", session, { metadata: { session_id: session, keep_on_disconnect: "true" } }));
    await turn.say("two");
    await turn.finish();
    const run = await until(async () => (await listRuns(daemon, session)).find(({ status }) => status !== "running"));
    expect(run).toMatchObject({ status: "completed", result: "one two" });
  });

  /** Resolves when the daemon has noticed, and the run has not. */
  async function leaveWaiting(daemon: DaemonProcess, body: ReturnType<typeof chat>, headers: object = {}) {
    const { session_id } = body.metadata;
    const client = ask(daemon, body, headers);
    await until(async () => (await listRuns(daemon, session_id))[0]?.status === "running");
    client.leave();
    await until(() => daemon.output().includes('"status":499'), { message: "the daemon has noticed" });
    expect(await listRuns(daemon, session_id)).toMatchObject([{ status: "running" }]);
  }
});

describe("a wait that is longer than the server's limit", () => {
  test("is a time-out in the SDK, and leaves no process", async () => {
    await using limited = await startScriptedDaemon({ KSI_WAIT_MAX_MS: "1500" });
    const openai = connectOpenAi(limited.daemon);
    const sessions = { waiting: randomUUID(), streaming: randomUUID() };
    const waiting = openai.chat.completions.create(chat(`#hang ${stubborn}`, sessions.waiting));
    const timeout = { code: "timeout", type: "timeout_error" };
    // The SDK would repeat a 408 by itself.
    const isTimedOut = expect(waiting).rejects.toMatchObject({ status: 408, ...timeout });
    const endless = chat(`#deltas=100000 #every=20 ${stubborn}`, sessions.streaming);
    const reading = (async () => {
      for await (const _ of await openai.chat.completions.create({ ...endless, stream: true }));
    })();
    await expect(reading).rejects.toThrow(APIError);
    await expect(reading).rejects.toMatchObject(timeout);
    await isTimedOut;

    await until(async () => {
      const processes = [...(await limited.claude.turns()), ...(await limited.claude.children())];
      return !processes.some(({ pid }) => isAlive(pid));
    }, gone);
    for (const session of Object.values(sessions)) {
      const cancelled = async () => (await listRuns(limited.daemon, session))[0]?.status === "cancelled";
      await until(cancelled);
      expect(await listRuns(limited.daemon, session)).toHaveLength(1);
    }
  });
});

describe("a daemon that goes away in the middle of a stream", () => {
  test("by kill -9 leaves a stream that breaks, not one that ends", async () => {
    await using killed = await startScriptedDaemon();
    const client = ask(killed.daemon, chat("#deltas=100000 #every=5", randomUUID(), { stream: true }));
    const { whole } = await readBegun(client);
    await killed.daemon.stop("SIGKILL");
    expect(await whole).toMatchObject({ isWhole: false, text: expect.not.stringContaining("[DONE]") });
  });

  test("by a stop that waits for its runs gives the whole answer first", async () => {
    await using held = await startHeldDaemon();
    const { daemon, turn } = held;
    await turn.say("one ");
    const { whole } = await readBegun(ask(daemon, chat("go", randomUUID(), { stream: true })));
    const stopped = daemon.stop();
    await until(() => isDraining(daemon));
    await turn.say("two");
    await turn.finish();
    const { text, isWhole } = await soon(whole);
    expect(isWhole).toBe(true);
    expect(text).toContain('{"content":"two"}');
    expect(text).toMatch(/data: \[DONE\]\n\n$/);
    expect(await stopped).toBe(0);
  });

  test("by a stop that does not wait says that the run has ended with it", async () => {
    await using impatient = await startScriptedDaemon();
    const body = chat("#deltas=100000 #every=5", randomUUID(), { stream: true });
    const { whole } = await readBegun(ask(impatient.daemon, body));
    await impatient.daemon.stop();
    const { text } = await whole;
    expect(text).not.toContain("[DONE]");
    expect(text.split("\n\n").at(-2)).toMatch(/^data: \{"error":/);
  });

  async function isDraining({ url }: DaemonProcess): Promise<boolean> {
    const ready = await fetch(`${url}/ready`).catch(() => undefined);
    return ready?.status !== 200;
  }
});

interface Received {
  readonly text: string;
  /** Whether HTTP says that this is all. */
  readonly isWhole: boolean;
}

/** Resolves when the first of it has come; `whole` when no more will. */
async function readBegun(client: Client): Promise<{ whole: Promise<Received> }> {
  const response = await soon(client.response);
  const { promise: whole, resolve } = Promise.withResolvers<Received>();
  let text = "";
  response.setEncoding("utf8").on("data", (chunk: string) => {
    text += chunk;
  });
  response.on("close", () => resolve({ text, isWhole: response.complete }));
  await until(() => text !== "");
  return { whole };
}
