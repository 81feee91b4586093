import { once } from "node:events";
import { readFile, stat, writeFile } from "node:fs/promises";
import { type AddressInfo, connect, createServer } from "node:net";
import { join } from "node:path";
import type { RunEvent } from "@ksi/contract";
import { createTempFolder, type TempFolder, until } from "@ksi/testing";
import { expect, test } from "vitest";
import { type Config, loadConfig } from "./config.ts";
import { type Daemon, startDaemon } from "./daemon.ts";
import { connectPlainSocket } from "./testing/plain-socket.ts";
import { createTestClient, type TestClient } from "./testing/test-doors.ts";
import { startWorkerProcess } from "./worker-process.ts";

test("a run is spawned, followed and answered through the doors of a whole daemon", async () => {
  await using folder = await createTempFolder();
  await using daemon = await startDaemon(await configOf(folder));
  await using client = createTestClient({ url: daemon.url, token: await tokenOf(daemon) });
  expect(daemon.defaultModel).toBe("echo");
  const { run_id } = await client.trpc.runs.spawn.mutate({ prompt: "hello brave new world" });
  const events = await follow(client, run_id);
  expect(events.at(-1)?.event_type).toBe("run.completed");
  expect(events.flatMap((event) => (event.event_type === "run.text" ? [event.payload.text] : [])).join("")).toBe(
    "hello brave new world",
  );
  const run = await client.trpc.runs.result.query({ run_id });
  expect(run).toMatchObject({ status: "completed", result: "hello brave new world" });
});

test("REST, the plain socket and OpenAI's routes of a whole daemon tell of the same runs", async () => {
  await using folder = await createTempFolder();
  await using daemon = await startDaemon(await configOf(folder));
  const headers = { authorization: `Bearer ${await tokenOf(daemon)}`, "content-type": "application/json" };
  const post = async (path: string, body: object) => {
    const answer = await fetch(daemon.url + path, { method: "POST", headers, body: JSON.stringify(body) });
    expect([path, answer.status]).toEqual([path, 200]);
    return await answer.json();
  };
  const accepted = (await post("/api/v1/spawn", { prompt: "hello", command: "SPAWN" })) as { run_id: string };
  const chat = (await post("/v1/chat/completions", {
    model: "echo",
    messages: [{ role: "user", content: "hello" }],
  })) as { metadata: { run_id: string } };
  for (const run_id of [accepted.run_id, chat.metadata.run_id]) {
    const { frames, closed } = connectPlainSocket(`${daemon.url.replace("http", "ws")}/ws?run_id=${run_id}`, {
      headers,
    });
    expect((await closed).code).toBe(1000);
    const stream = await (await fetch(`${daemon.url}/api/v1/runs/${run_id}/events`, { headers })).text();
    expect(frames.map(({ event_type }) => event_type)).toContain("run.completed");
    expect(stream).toBe(
      frames.map(({ cursor, ...event }) => `id: ${cursor}\ndata: ${JSON.stringify(event)}\n\n`).join(""),
    );
    const after = `/api/v1/runs/${run_id}/events?last_event_id=${frames.at(-1)?.cursor}`;
    // A daemon that needs longer than 200 ms to know that nothing follows opens the stream, and ends it.
    const behind = async () => {
      const answer = await fetch(daemon.url + after, { headers });
      expect(await answer.text()).not.toContain("data:");
      return answer.status === 204;
    };
    await until(behind, { message: "there is nothing behind the end" });
  }
});

test("a daemon that stops ends the streams that are open in peace", async () => {
  await using folder = await createTempFolder();
  const daemon = await startDaemon(await configOf(folder));
  const headers = { authorization: `Bearer ${await tokenOf(daemon)}` };
  const stream = await fetch(`${daemon.url}/api/v1/events`, { headers });
  const { socket, closed } = connectPlainSocket(`${daemon.url.replace("http", "ws")}/ws`, { headers });
  await once(socket, "open");
  await daemon.close();
  // Not cut off: it has ended, with nothing but the comments of a stream on which nothing happened.
  expect(await stream.text()).toMatch(/^(:\n\n)*$/);
  expect((await closed).code).toBe(1012);
});

test("daemon.json tells only this user where the daemon is, and is gone when it has stopped", async () => {
  await using folder = await createTempFolder();
  const daemon = await startDaemon(await configOf(folder));
  const path = join(folder.path, "daemon.json");
  expect(JSON.parse(await readFile(path, "utf8"))).toEqual({
    url: daemon.url,
    pid: process.pid,
    version: expect.stringMatching(/^\d+\.\d+\.\d+/),
  });
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  expect((await fetch(`${daemon.url}/health`)).status).toBe(200);
  await Promise.all([daemon.close(), daemon.close()]);
  await daemon.closed;
  await expect(stat(path)).rejects.toThrow("ENOENT");
  await expect(fetch(`${daemon.url}/health`)).rejects.toThrow("fetch failed");
});

test("what a killed daemon left behind does not keep the next one from starting", async () => {
  await using folder = await createTempFolder();
  const left = { url: "http://127.0.0.1:9", pid: process.pid, version: "0.0.0" };
  await writeFile(join(folder.path, "daemon.json"), JSON.stringify(left));
  await using daemon = await startDaemon(await configOf(folder));
  expect((await fetch(`${daemon.url}/ready`)).status).toBe(200);
});

test("a second daemon on the same data directory is refused, and the first goes on", async () => {
  await using folder = await createTempFolder();
  const config = await configOf(folder);
  await using daemon = await startDaemon(config);
  await expect(startDaemon(config)).rejects.toThrow(`already runs at ${daemon.url}`);
  expect((await fetch(`${daemon.url}/health`)).status).toBe(200);
});

test("a port in use is told before Redis is started, and nothing is left open", async () => {
  await using folder = await createTempFolder();
  const occupant = createServer().listen(0, "127.0.0.1");
  await once(occupant, "listening");
  const { port } = occupant.address() as AddressInfo;
  await expect(startDaemon(await configOf(folder, { port }))).rejects.toThrow(`Port ${port} on 127.0.0.1 is in use`);
  await expect(stat(join(folder.path, "redis"))).rejects.toThrow("ENOENT");
  occupant.close();
});

test("a Redis that cannot be reached ends the start with one sentence, and nothing is left open", async () => {
  await using folder = await createTempFolder();
  const config = await configOf(folder, { redis_url: "redis://127.0.0.1:9" });
  await expect(startDaemon(config)).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
  await expect(stat(join(folder.path, "daemon.json"))).rejects.toThrow("ENOENT");
});

test("a shutdown call is answered, and then the daemon drains and stops", async () => {
  await using folder = await createTempFolder();
  await using daemon = await startDaemon(await configOf(folder));
  await using client = createTestClient({ url: daemon.url, token: await tokenOf(daemon) });
  const { run_id } = await client.trpc.runs.spawn.mutate({
    prompt: "one two three",
    metadata: { echo: { delay_ms: 200 } },
  });
  await until(async () => (await client.trpc.runs.get.query({ run_id })).status === "running");
  expect(await client.trpc.system.shutdown.mutate()).toEqual({ status: "shutting_down" });
  await until(async () => (await fetch(`${daemon.url}/ready`)).status === 503);
  await expect(client.trpc.runs.spawn.mutate({ prompt: "more" })).rejects.toMatchObject({
    data: { ksi: { code: "SHUTTING_DOWN" } },
  });
  expect(await client.trpc.runs.result.query({ run_id })).toMatchObject({ status: "completed" });
  await daemon.closed;
});

test("an embedded Redis that dies stops the daemon with a reason, in the middle of runs too", async () => {
  await using folder = await createTempFolder();
  const daemon = await startDaemon(await configOf(folder));
  await using client = createTestClient({ url: daemon.url, token: await tokenOf(daemon) });
  for (const prompt of ["one", "one two three"]) {
    await client.trpc.runs.spawn.mutate({ prompt, metadata: { echo: { delay_ms: 100 } } });
  }
  connect(socketOf(folder)).end("SHUTDOWN NOSAVE\r\n");
  await expect(daemon.closed).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
  await expect(stat(join(folder.path, "daemon.json"))).rejects.toThrow("ENOENT");
});

test("a daemon without a worker accepts runs, which a worker process on the same Redis executes", async () => {
  await using folder = await createTempFolder();
  await using _owner = await startDaemon(await configOf(folder, { worker: false }));
  const redis_url = `unix://${socketOf(folder)}`;
  await using doors = await startDaemon(
    await configOf(folder, { data_dir: join(folder.path, "doors"), redis_url, worker: false }),
  );
  await using client = createTestClient({ url: doors.url, token: await tokenOf(doors) });
  const { run_id } = await client.trpc.runs.spawn.mutate({ prompt: "hello" });
  expect((await client.trpc.runs.result.query({ run_id, wait_ms: 0 })).status).toBe("queued");
  await using worker = await startWorkerProcess(
    await configOf(folder, { data_dir: join(folder.path, "worker"), redis_url }),
  );
  expect(worker.runners.map(({ name }) => name)).toEqual(["claude", "echo"]);
  expect((await client.trpc.runs.result.query({ run_id })).status).toBe("completed");
});

test("a worker process needs an external Redis, and says so", async () => {
  await using folder = await createTempFolder();
  await expect(startWorkerProcess(await configOf(folder))).rejects.toThrow("KSI_REDIS_URL");
});

async function configOf(folder: TempFolder, flags: { [K in keyof Config]?: unknown } = {}): Promise<Config> {
  const { config } = await loadConfig({
    flags: { data_dir: folder.path, port: 0, log_level: "silent", claude_bin: "/nowhere/claude", ...flags },
    env: { HOME: folder.path },
    cwd: folder.path,
  });
  return config;
}

/** Of the embedded Redis. */
const socketOf = (folder: TempFolder) => join(folder.path, "redis", "redis.sock");

async function tokenOf({ tokenPath = "" }: Daemon): Promise<string> {
  return (await readFile(tokenPath, "utf8")).trim();
}

function follow({ trpc }: TestClient, run_id: string): Promise<RunEvent[]> {
  const { promise, resolve, reject } = Promise.withResolvers<RunEvent[]>();
  const events: RunEvent[] = [];
  const onData = ({ data }: { data: RunEvent }) => void events.push(data);
  trpc.runs.events.subscribe({ run_id }, { onData, onError: reject, onComplete: () => resolve(events) });
  return promise;
}
