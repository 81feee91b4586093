import { once } from "node:events";
import type { KsiEvent } from "@ksi/contract";
import { startCore, startStore } from "@ksi/core";
import { createTempFolder, until } from "@ksi/testing";
import { expect, test } from "vitest";
import { WebSocket } from "ws";
import { silentLogger as logger } from "./chaos/silent-logger.ts";
import { startLiveDaemon } from "./live-daemon.ts";
import { inspectable, openMemoryProbe } from "./memory-probe.ts";

const events = 20_000;
const text = "x".repeat(10_000);
const inOneGo = 200;
const mostBytes = 20_000_000;

test.each([
  ["/trpc", "?"],
  ["/ws", "?from=oldest"],
])(
  "a paused reader of 20,000 events of 10 kB on %s costs the daemon less than 20 MB, and loses none",
  async (path, query) => {
    await using live = await startLiveDaemon({ args: ["--no-worker"], env: inspectable });
    await using probe = await openMemoryProbe(live.daemon);
    await using publisher = await startPublisher(live.dataDir);
    const headers = { authorization: `Bearer ${live.daemon.token}` };
    const socket = new WebSocket(`${live.daemon.url.replace("http", "ws")}${path}${query}`, { headers });
    const received: number[] = [];
    socket.on("message", (data) => received.push(...numbersOf(JSON.parse(String(data)))));
    await once(socket, "open");
    if (path === "/trpc") socket.send(JSON.stringify(subscription));
    await publisher.publish(0, 1);
    await until(() => received.length === 1);
    socket.pause();

    const before = await probe.retainedBytes();
    let most = 0;
    for (let n = 1; n < events; n += inOneGo) {
      await publisher.publish(n, Math.min(n + inOneGo, events));
      if (n % 2_000 === 1) most = Math.max(most, await probe.retainedBytes());
    }
    most = Math.max(most, await probe.retainedBytes());
    console.log(`a paused reader on ${path}: ${((most - before) / 1e6).toFixed(1)} MB`);
    expect(most - before).toBeLessThan(mostBytes);
    expect(received.length).toBeLessThan(events);

    socket.resume();
    await until(() => received.length === events, { deadlineMs: 60_000, message: "everything arrives" });
    expect(received).toEqual(Array.from({ length: events }, (_, n) => n));
    socket.close();
  },
);

const subscription = {
  id: 1,
  method: "subscription",
  params: { path: "events.subscribe", input: { json: { from: "oldest" } } },
};

/** Of a frame of tRPC, or of a plain one; none where it holds no event. */
function numbersOf(frame: { result?: { data?: { json: { data: KsiEvent } } }; payload?: unknown }): number[] {
  const payload = frame.result?.data?.json.data.payload ?? frame.payload;
  return typeof payload === "object" && payload !== null && "n" in payload ? [Number(payload.n)] : [];
}

/** Writes to the daemon's Redis from this process, so that the daemon only has the reader to care for. */
async function startPublisher(dataDir: string) {
  const folder = await createTempFolder();
  const store = await startStore({ url: `unix://${dataDir}/redis/redis.sock`, logger });
  const core = await startCore({
    store,
    logger,
    defaultModel: "echo",
    runners: [],
    roots: [folder.path],
    runTimeoutMs: 1_000,
    history: { maxEvents: 2 * events, maxAgeMs: 86_400_000 },
    version: "0.0.0",
    onShutdown: () => {},
  });
  const { events: port } = core.ports();
  return {
    async publish(from: number, to: number) {
      const drafts = Array.from({ length: to - from }, (_, i) => ({ n: from + i, text }));
      await Promise.all(drafts.map((payload) => port.publish({ event_type: "x.big", source: "publisher", payload })));
    },
    async [Symbol.asyncDispose]() {
      await core.close();
      await store.close();
      await folder[Symbol.asyncDispose]();
    },
  };
}
