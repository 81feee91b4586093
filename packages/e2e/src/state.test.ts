/** The shared state over REST, the raw tRPC client, and its changes as events, with a daemon of its own. */
import { limits } from "@ksi/contract";
import { createTempFolder, startDaemonProcess, until } from "@ksi/testing";
import { expect, test } from "vitest";
import { WebSocket } from "ws";
import { z } from "zod";
import { startLiveDaemon } from "./live-daemon.ts";

/** In the order of their UTF-8 bytes. */
const oddKeys = ["%2F", "100%", "a b", "a+b", "a/b/c", "a?b#c&d=e", "c:\\d", "日本 語", "\ufffd", "😀"];

test("over REST a key may hold any character, and is set, read, listed and deleted", async () => {
  await using live = await startLiveDaemon();
  const rest = callerOf(live.daemon);
  for (const [i, key] of oddKeys.entries()) {
    const value = { key, list: [], object: {}, nothing: null };
    const set = await rest("PUT", pathOf(key), { value, if_version: 0, source: "alice" });
    const facts = { namespace: "plan", key, version: i + 1, updated_at: expect.any(String) };
    expect(set).toEqual({ status: 200, body: { status: "set", ...facts } });
    expect(await rest("GET", pathOf(key))).toEqual({ status: 200, body: { ...facts, value } });
  }
  const list = async (query: string) => {
    const { body } = await rest("GET", `/api/v1/state/plan?${query}`);
    return { keys: body.entries.map(({ key }: { key: string }) => key), next: body.next };
  };
  expect(await list("")).toEqual({ keys: oddKeys, next: undefined });
  const first = await list("limit=4");
  expect(first).toEqual({ keys: oddKeys.slice(0, 4), next: "a+b" });
  expect(await list(`after=${encodeURIComponent(first.next)}`)).toEqual({ keys: oddKeys.slice(4), next: undefined });
  expect((await list(`prefix=${encodeURIComponent("a/b")}`)).keys).toEqual(["a/b/c"]);
  expect(await rest("GET", "/api/v1/state/nobody")).toEqual({ status: 200, body: { entries: [] } });
  for (const key of oddKeys) {
    expect(await rest("DELETE", pathOf(key))).toEqual({
      status: 200,
      body: { status: "deleted", namespace: "plan", key },
    });
    expect((await rest("GET", pathOf(key))).status).toBe(404);
  }
});

test("over REST what does not fit is refused with what a client needs to go on", async () => {
  await using live = await startLiveDaemon();
  const rest = callerOf(live.daemon);
  const path = pathOf("step");
  const full = "x".repeat(limits.payloadBytes - 2);
  expect(await rest("PUT", path, { value: full, ttl_ms: 60_000 })).toMatchObject({
    status: 200,
    body: { version: 1, expires_at: expect.any(String) },
  });
  expect((await rest("GET", path)).body.value).toBe(full);

  const conflict = (version: number) => ({ status: 409, body: { error: { code: "CONFLICT", version } } });
  expect(await rest("PUT", path, { value: 2, if_version: 0 })).toMatchObject(conflict(1));
  expect(await rest("PUT", path, { value: 2, if_version: 7 })).toMatchObject(conflict(1));
  expect(await rest("PUT", pathOf("other"), { value: 2, if_version: 7 })).toMatchObject(conflict(0));
  expect(await rest("DELETE", `${path}?if_version=7`)).toMatchObject(conflict(1));
  for (const [body, at] of [
    [{ value: `${full}x` }, "value"],
    [{}, "value"],
    [{ value: 1, ttl_ms: 0 }, "ttl_ms"],
    [{ value: 1, if_version: -1 }, "if_version"],
  ] as const) {
    expect(await rest("PUT", path, body)).toMatchObject({ status: 422, body: { error: { issues: [{ path: at }] } } });
  }
  expect((await rest("PUT", "/api/v1/state/no%20blank/k", { value: 1 })).status).toBe(422);
  expect(await rest("DELETE", `${path}?if_version=1`)).toMatchObject({ status: 200 });
  expect(await rest("DELETE", path)).toMatchObject({ status: 404, body: { error: { code: "NOT_FOUND" } } });
});

test("over tRPC two writers do not overwrite each other, and keys are listed by prefix", async () => {
  await using live = await startLiveDaemon();
  const { state } = live.ksi.trpc;
  const ref = { namespace: "plan", key: "a/😀" };
  const { version } = await state.set.mutate({ ...ref, value: { n: 1 } });
  const both = await Promise.allSettled([1, 2].map((n) => state.set.mutate({ ...ref, value: n, if_version: version })));
  expect(both.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
  const refused = both.find(({ status }) => status === "rejected");
  expect(refused).toMatchObject({
    reason: { data: { httpStatus: 409, ksi: { code: "CONFLICT", details: { version: version + 1 } } } },
  });
  const entry = await state.get.query(ref);
  expect(entry).toMatchObject({ ...ref, version: version + 1 });
  await state.set.mutate({ namespace: "plan", key: "b", value: null });
  expect((await state.list.query({ namespace: "plan", prefix: "a/" })).entries).toMatchObject([ref]);
  expect(await state.list.query({ namespace: "plan", limit: 1 })).toMatchObject({ entries: [ref], next: ref.key });
  await expect(state.delete.mutate({ ...ref, if_version: version })).rejects.toMatchObject({
    data: { ksi: { details: { version: version + 1 } } },
  });
  expect(await state.delete.mutate(ref)).toEqual({ status: "deleted", ...ref });
  await expect(state.get.query(ref)).rejects.toMatchObject({ data: { ksi: { code: "NOT_FOUND" } } });
});

test("what many clients make of one value at one time is all in it", async () => {
  await using live = await startLiveDaemon();
  const schema = z.object({ words: z.array(z.string()) });
  const add = (word: string) =>
    live.ksi.state.update("plan", "words", (value) => ({ words: [...(value?.words ?? []), word] }), { schema });
  const words = Array.from({ length: 30 }, (_, i) => `word ${i}`);
  const set = await Promise.all(words.map(add));
  expect(new Set(set.map(({ version }) => version)).size).toBe(30);
  const { value, version } = await live.ksi.state.get("plan", "words", { schema });
  expect(value.words.toSorted()).toEqual(words.toSorted());
  expect(version).toBe(Math.max(...set.map((one) => one.version)));

  const failing = live.ksi.state.update("plan", "words", () => Promise.reject(new Error("I do not want to.")));
  await expect(failing).rejects.toThrow("I do not want to.");
  const odd = live.ksi.state.update("plan", "words", () => ({ n: 1 }), { schema: z.object({ n: z.number() }) });
  await expect(odd).rejects.toMatchObject({ code: "OUTPUT_INVALID" });
  expect((await live.ksi.state.get("plan", "words")).version).toBe(version);
});

test("each change is an event on SSE and on /ws, the same for both, and nothing else comes by types=state.*", async () => {
  await using live = await startLiveDaemon();
  const rest = callerOf(live.daemon);
  await using sse = await followStream(live.daemon);
  await using socket = await followSocket(live.daemon);
  const [kept, short] = [pathOf("kept/😀"), pathOf("short")];
  await rest("PUT", kept, { value: 1, source: "alice" });
  await rest("POST", "/api/v1/agents/register", { agent_id: "bob" });
  await rest("PUT", kept, { value: 2, if_version: 7 });
  await rest("PUT", short, { value: 0, ttl_ms: 1 });
  await until(() => sse.events.length === 3, { message: "the end of the short one" });
  await rest("DELETE", `${kept}?source=bob`);
  await until(() => sse.events.length === 4 && socket.events.length === 4);

  const about = (key: string, version: number, more = {}) => ({ namespace: "plan", key, version, ...more });
  expect(sse.events.map(({ event_type, source, payload }) => ({ event_type, source, payload }))).toEqual([
    { event_type: "state.set", source: "alice", payload: about("kept/😀", 1) },
    { event_type: "state.set", source: "ksi", payload: about("short", 2) },
    { event_type: "state.deleted", source: "ksi", payload: about("short", 2, { reason: "expired" }) },
    { event_type: "state.deleted", source: "bob", payload: about("kept/😀", 1, { reason: "deleted" }) },
  ]);
  expect(socket.events.map(({ cursor: _, ...event }) => event)).toEqual(sse.events);
});

test("after a kill -9 every key is as it was acknowledged, and an end that came meanwhile is told once", async () => {
  await using folder = await createTempFolder();
  await using killed = await startDaemonProcess({ dataDir: folder.path });
  const before = callerOf(killed);
  const versions = new Map<string, number>();
  for (let i = 0; i < 20; i++) {
    const { body } = await before("PUT", pathOf(`k${i % 7}`), { value: i });
    versions.set(body.key, body.version);
  }
  const short = await before("PUT", pathOf("short"), { value: 0, ttl_ms: 5 });
  await killed.stop("SIGKILL");

  await using live = await startLiveDaemon({ dataDir: folder.path });
  const rest = callerOf(live.daemon);
  expect(await rest("GET", pathOf("short"))).toMatchObject({ status: 404 });
  const { body } = await rest("GET", "/api/v1/state/plan");
  expect(new Map(body.entries.map(({ key, version }: { key: string; version: number }) => [key, version]))).toEqual(
    versions,
  );
  await using sse = await followStream(live.daemon, "state.deleted&from=oldest");
  await until(() => sse.events.length > 0, { message: "the end is told" });
  const marked = await rest("PUT", pathOf("mark"), { value: 0 });
  expect(marked.body.version).toBe(short.body.version + 1);
  await rest("DELETE", pathOf("mark"));
  await until(() => sse.events.length > 1);
  expect(sse.events.map(({ payload }) => payload)).toMatchObject([
    { key: "short", version: short.body.version, reason: "expired" },
    { key: "mark", reason: "deleted" },
  ]);
});

interface Door {
  readonly url: string;
  readonly token: string;
}

function pathOf(key: string): string {
  return `/api/v1/state/plan/${encodeURIComponent(key)}`;
}

function callerOf({ url, token }: Door) {
  return async (method: string, path: string, body?: object) => {
    const answer = await fetch(url + path, {
      method,
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      ...(body && { body: JSON.stringify(body) }),
    });
    return { status: answer.status, body: await answer.json() };
  };
}

interface Following extends AsyncDisposable {
  readonly events: Record<string, unknown>[];
}

/** Open once it resolves. */
async function followStream({ url, token }: Door, types = "state.*"): Promise<Following> {
  const leaving = new AbortController();
  const { signal } = leaving;
  const answer = await fetch(`${url}/api/v1/events?types=${types}`, {
    headers: { authorization: `Bearer ${token}` },
    signal,
  });
  expect(answer.status).toBe(200);
  const events: Record<string, unknown>[] = [];
  const reading = (async () => {
    let text = "";
    for await (const chunk of answer.body?.pipeThrough(new TextDecoderStream()) ?? []) {
      const blocks = (text + chunk).split("\n\n");
      text = blocks.pop() ?? "";
      for (const block of blocks) {
        const [, data] = /^data: (.*)$/m.exec(block) ?? [];
        if (data) events.push(JSON.parse(data));
      }
    }
  })().catch((thrown: unknown) => {
    if (!signal.aborted) throw thrown;
  });
  return {
    events,
    async [Symbol.asyncDispose]() {
      leaving.abort();
      await reading;
    },
  };
}

/** From the oldest event, since a socket does not say when it has begun to follow. */
async function followSocket({ url, token }: Door): Promise<Following> {
  const socket = new WebSocket(`${url.replace("http", "ws")}/ws?types=state.*&from=oldest`, {
    headers: { authorization: `Bearer ${token}` },
  });
  const closed = new Promise((resolve) => socket.once("close", resolve));
  const events: Record<string, unknown>[] = [];
  socket.on("message", (data) => events.push(JSON.parse(String(data))));
  return {
    events,
    async [Symbol.asyncDispose]() {
      socket.terminate();
      await closed;
    },
  };
}
