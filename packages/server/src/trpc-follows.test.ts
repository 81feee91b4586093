import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { appRouter, type Ports } from "@ksi/contract";
import { createFakeFollow, until } from "@ksi/testing";
import { applyWSSHandler } from "@trpc/server/adapters/ws";
import { expect, test } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { startTestDoors } from "./testing/test-doors.ts";
import { run, textEvent } from "./testing/text-event.ts";

test.each([
  ["a number", { id: 7 }],
  ["a string, said in JSON-RPC", { id: 'it"s', jsonrpc: "2.0" }],
])(
  "what a subscription whose id is %s is sent is, frame by frame, what tRPC's own adapter sends",
  async (_what, call) => {
    const texts = ["", "Hello", 'π 🦊 " \\ \u2028', "a".repeat(200), "b".repeat(70_000)];
    const runs = { events: async () => createFakeFollow("runs:run-1", () => entries(texts)) };
    await using doors = await startTestDoors({ ports: { runs } });
    await using stock = await startStockAdapter(doors.ports);
    const headers = { authorization: `Bearer ${doors.token}` };
    const ours = await subscribe(new WebSocket(doors.socketUrl, { headers }), call);
    const theirs = await subscribe(new WebSocket(stock.url), call);
    expect(ours).toHaveLength(texts.length + 2);
    expect(ours).toEqual(theirs);
  },
);

test("each of many subscriptions of a socket is sent its own events under its own id", async () => {
  await using doors = await startTestDoors({
    ports: { runs: { events: async (run_id) => createFakeFollow(run_id, () => entries([run_id, `${run_id}!`])) } },
  });
  const socket = await connect(doors.socketUrl, doors.token);
  const ids = Array.from({ length: 50 }, (_, id) => id);
  const said: string[][] = ids.map(() => []);
  let stopped = 0;
  socket.on("message", (data) => {
    const { id, result } = JSON.parse(String(data));
    if (result?.type === "stopped") stopped += 1;
    if (result?.type === "data") said[id]?.push(result.data.json.data.payload.text);
  });
  socket.send(JSON.stringify(ids.map((id) => subscription({ id }, `run-${id}`))));
  await until(() => stopped === ids.length);
  expect(said).toEqual(ids.map((id) => [`run-${id}`, `run-${id}!`]));
  socket.close();
});

test("beyond the limit of a socket a subscription is RATE_LIMITED, until another has ended or was stopped", async () => {
  const ended = Promise.withResolvers<void>();
  let followed = 0;
  await using doors = await startTestDoors({
    maxSubscriptions: 2,
    ports: { runs: { events: async (run_id, _from, signal) => createFakeFollow(run_id, () => open(run_id, signal)) } },
  });
  async function* open(run_id: string, signal: AbortSignal | undefined) {
    followed += 1;
    const aborted = signal && once(signal, "abort");
    await Promise.race([aborted, ...(run_id === "ends" ? [ended.promise] : [])]);
    yield* entries([]);
  }
  const socket = await connect(doors.socketUrl, doors.token);
  const answers: { id: number; result?: { type: string }; error?: { json: object } }[] = [];
  socket.on("message", (data) => answers.push(JSON.parse(String(data))));
  const say = (message: object) => socket.send(JSON.stringify(message));
  const errorOf = (id: number) => answers.find((answer) => answer.id === id && answer.error)?.error?.json;
  const isTold = (id: number, type: string) =>
    answers.some((answer) => answer.id === id && answer.result?.type === type);

  say(subscription({ id: 1 }, "ends"));
  say(subscription({ id: 2 }, "goes-on"));
  await until(() => followed === 2);
  say(subscription({ id: 3 }, "goes-on"));
  await until(() => errorOf(3));
  expect(errorOf(3)).toMatchObject({ data: { ksi: { code: "RATE_LIMITED" } } });

  say({ id: 2, method: "subscription.stop" });
  await until(() => isTold(2, "stopped"));
  say(subscription({ id: 4 }, "goes-on"));
  await until(() => isTold(4, "started"));
  ended.resolve();
  await until(() => isTold(1, "stopped"));
  say(subscription({ id: 5 }, "goes-on"));
  await until(() => isTold(5, "started"));
  socket.close();
});

async function* entries(texts: readonly string[]) {
  for (const [n, text] of texts.entries()) yield { cursor: `1700000000000.${n + 1}`, event: textEvent(text) };
}

function subscription(call: object, run_id: string): object {
  return { ...call, method: "subscription", params: { path: "runs.events", input: { json: { run_id } } } };
}

/** All that is answered, up to the end of the subscription. */
async function subscribe(socket: WebSocket, call: object): Promise<unknown[]> {
  const answers: { result?: { type: string } }[] = [];
  socket.on("message", (data) => answers.push(JSON.parse(String(data))));
  await once(socket, "open");
  socket.send(JSON.stringify(subscription(call, run.run_id)));
  await until(() => answers.some(({ result }) => result?.type === "stopped"));
  socket.close();
  return answers;
}

async function connect(url: string, token: string): Promise<WebSocket> {
  const socket = new WebSocket(url, { headers: { authorization: `Bearer ${token}` } });
  await once(socket, "open");
  return socket;
}

/** The same router as tRPC serves it by itself. */
async function startStockAdapter(ports: Ports): Promise<AsyncDisposable & { url: string }> {
  const wss = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  await once(wss, "listening");
  const health = () => Promise.reject(new Error("not asked for"));
  applyWSSHandler({ wss, router: appRouter, createContext: () => ({ ports, health }) });
  return {
    url: `ws://127.0.0.1:${(wss.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: async () => {
      for (const client of wss.clients) client.terminate();
      await new Promise((resolve) => wss.close(resolve));
    },
  };
}
