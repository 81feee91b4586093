/** What a whole daemon answers to callers that send what it does not take, and what nobody but its log gets to know. */
import { mkdir, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { appRouter, limits, publishInput, schemas, type WireError } from "@ksi/contract";
import { KsiError } from "@ksi/contract/errors";
import { startStore } from "@ksi/core";
import { createTempFolder, until } from "@ksi/testing";
import { afterAll, describe, expect, test } from "vitest";
import { startLiveDaemon } from "./live-daemon.ts";

const stack = new AsyncDisposableStack();
afterAll(() => stack.disposeAsync());
const bin = join(stack.use(await createTempFolder()).path, "claude");
const live = stack.use(await startLiveDaemon({ env: { KSI_CLAUDE_BIN: bin } }));
const { ksi, daemon, dataDir } = live;

const unknownUuid = "00000000-0000-4000-8000-000000000000";
const long = (length: number) => "x".repeat(length);
const bigObject = { text: long(limits.jsonBytes) };

await ksi.agents.register({ agent_id: "tester" });

describe("every field has a limit and a message that names it", () => {
  const badNames = [7, "", "no spaces", "-rf", long(129)];
  const badIds = [7, "", "../etc", long(65)];
  const badSessions = [7, "", "3F2B8C1E-9A4D-4E6F-8B7A-1C2D3E4F5A6B", "../../etc/passwd"];
  const badPayloads = [undefined, long(limits.payloadBytes)];

  const badKeys = [undefined, 7, "", ".", "..", long(513), "a\u0007b"];
  const badTtls = ["1h", 0, 0.5, limits.ttlMsMax + 1];
  const badMessageIds = [7, "the-first", [], ["the-first"], [unknownUuid, 7], Array(501).fill(unknownUuid)];
  const key = { namespace: "tests", key: "a" };

  const badAddresses = {
    source: [undefined, ...badNames],
    target: ["*", ...badNames],
    capability: [7, "", [], [7], [""], long(101), [long(101)], Array(21).fill("talk")],
    event_type: [undefined, 7, "", "run.completed", "no spaces", long(129)],
    payload: badPayloads,
    correlation_id: [7, "", long(256)],
    in_reply_to: [7, "the-first"],
    reply_to: badNames,
    error: [7, "no", {}, { code: "NO" }, { code: "no spaces", message: "" }, { message: long(4_097) }],
    ttl_ms: badTtls,
    hops: ["one", -1, 0.5, 1_000_001],
  };

  const image = { media_type: "image/png", data: "AAAA" };
  const procedures: { name: string; shape: object; good: object; bad: Record<string, unknown[]>; answered?: number }[] =
    [
      {
        name: "runs.spawn",
        shape: schemas.spawnInput.shape,
        good: { prompt: "hi", model: "echo" },
        bad: {
          prompt: [undefined, null, 7, "", ["hi"], long(limits.promptChars + 1)],
          session_id: badSessions,
          model: [7, "", "--flag", long(201)],
          tools: ["Read", ["--flag"], [7], Array(101).fill("Read")],
          enable_tools: ["yes", 1],
          agent_id: badNames,
          agent_profile: [7, "", long(129)],
          system_prompt: [7, "", long(limits.systemPromptChars + 1)],
          cwd: [7, "", long(4097), "not-there-at-all"],
          priority: ["high", -1, 101, 0.5],
          timeout_ms: ["1s", 0, -1, 0.5, limits.runTimeoutMsMax + 1],
          output_schema: ["{}", 7, bigObject],
          idempotency_key: [7, "", long(256)],
          metadata: ["text", [1], bigObject],
          // The last is a good one, for a model that takes none.
          images: [7, "AAAA", [7], Array(limits.images + 1).fill(image), [image]],
        },
      },
      {
        name: "agents.register",
        shape: schemas.registerInput.shape,
        good: { agent_id: "tester" },
        bad: {
          agent_id: [undefined, ...badNames],
          profile: [7, "", long(129)],
          capabilities: ["talk", [""], [7], [long(101)], Array(101).fill("x")],
          metadata: ["text", bigObject],
        },
      },
      {
        name: "messages.send",
        shape: schemas.sendInput.shape,
        good: { source: "tester", event_type: "HELLO", payload: null },
        bad: { ...badAddresses, idempotency_key: [7, "", long(256)] },
      },
      {
        name: "messages.request",
        shape: schemas.requestInput.shape,
        // Nobody answers, which takes no time.
        good: { source: "asker", target: "tester", event_type: "HELLO", payload: null, timeout_ms: 1 },
        answered: 408,
        bad: {
          ...badAddresses,
          target: [undefined, ...badAddresses.target],
          // Beside a good target it is one too many, whatever it is.
          capability: [...badAddresses.capability, "talk"],
          timeout_ms: ["1s", 0, 0.5, limits.requestMsMax + 1],
        },
      },
      {
        name: "messages.ack",
        shape: schemas.ackInput.shape,
        good: { agent_id: "tester", ids: [unknownUuid] },
        bad: { agent_id: [undefined, ...badNames], ids: [undefined, ...badMessageIds] },
      },
      {
        name: "messages.sendBatch",
        shape: schemas.sendBatchInput.shape,
        good: { messages: [{ source: "tester", target: "nobody", event_type: "x.n", payload: 1 }] },
        bad: { messages: [undefined, {}, [], [7]] },
      },
      {
        name: "messages.nack",
        shape: schemas.nackInput.shape,
        good: { agent_id: "tester", ids: [unknownUuid] },
        bad: {
          agent_id: [undefined, ...badNames],
          ids: [undefined, ...badMessageIds],
          delay_ms: ["1s", -1, 0.5, limits.nackDelayMsMax + 1],
        },
      },
      {
        name: "messages.redrive",
        shape: schemas.redriveInput.shape,
        good: { agent_id: "tester" },
        bad: { agent_id: [undefined, ...badNames], ids: badMessageIds },
      },
      {
        name: "state.set",
        shape: schemas.stateSetInput.shape,
        good: { ...key, value: null },
        bad: {
          namespace: [undefined, 7, "", "a/b", "-a", long(129)],
          key: badKeys,
          value: badPayloads,
          if_version: ["1", -1, 0.5],
          ttl_ms: badTtls,
          source: badNames,
        },
      },
      {
        name: "state.delete",
        shape: schemas.stateDeleteInput.shape,
        good: key,
        bad: { namespace: [undefined, 7, ""], key: badKeys, if_version: ["1", 0, -1, 0.5], source: badNames },
      },
      {
        name: "events.publish",
        shape: publishInput.shape,
        good: { source: "tester", event_type: "x.test", payload: null },
        bad: {
          source: [undefined, ...badNames],
          event_type: [undefined, 7, "", "run.completed", "x.", `x.${long(127)}`],
          run_id: badIds,
          session_id: badSessions,
          agent_id: badNames,
          payload: badPayloads,
        },
      },
    ];

  test.for(procedures)("of $name", async ({ name, shape, good, bad, answered = 200 }) => {
    expect(Object.keys(bad).sort()).toEqual(Object.keys(shape).sort());
    expect((await post(name, good)).status).toBe(answered);
    for (const [field, values] of Object.entries(bad)) {
      for (const value of values) {
        const { status, body, error } = await post(name, { ...good, [field]: value });
        const sent = `${field}: ${JSON.stringify(value)?.slice(0, 40)}`;
        expect({ sent, status, code: error?.code }).toEqual({ sent, status: 400, code: "INVALID_INPUT" });
        for (const { path } of error?.details?.issues ?? [{ path: "" }]) expect(path.split(".")[0]).toBe(field);
        expect(error?.message).toMatch(new RegExp(`^${field}(\\.\\w+)?: .{5,}`));
        expect(error?.message.length).toBeLessThan(300);
        expect(body).not.toMatch(internals);
        expect(body).not.toMatch(/expected|received|Invalid|Too (small|big)/);
      }
    }
  });
});

describe("what nobody knows is NOT_FOUND", () => {
  const follow = (begin: (handlers: { onError: (error: unknown) => void }) => { unsubscribe(): void }) =>
    new Promise<never>((_resolve, reject) => {
      const subscription = begin({
        onError(error) {
          subscription.unsubscribe();
          reject(KsiError.from(error));
        },
      });
    });
  const { trpc } = ksi;
  const run_id = "no-such-run";
  const session_id = unknownUuid;
  const agent_id = "nobody";
  const calls: Record<string, () => Promise<unknown>> = {
    "runs.get": () => trpc.runs.get.query({ run_id }),
    "runs.result": () => trpc.runs.result.query({ run_id, wait_ms: 50_000 }),
    "runs.cancel": () => trpc.runs.cancel.mutate({ run_id }),
    "runs.events": () => follow((handlers) => trpc.runs.events.subscribe({ run_id }, handlers)),
    "sessions.get": () => trpc.sessions.get.query({ session_id }),
    "sessions.messages": () => trpc.sessions.messages.query({ session_id }),
    "sessions.delete": () => trpc.sessions.delete.mutate({ session_id }),
    "agents.get": () => trpc.agents.get.query({ agent_id }),
    "agents.unregister": () => trpc.agents.unregister.mutate({ agent_id }),
    "agents.heartbeat": () => trpc.agents.heartbeat.mutate({ agent_id }),
    "messages.inbox": () => follow((handlers) => trpc.messages.inbox.subscribe({ agent_id }, handlers)),
    "messages.ack": () => trpc.messages.ack.mutate({ agent_id, ids: [unknownUuid] }),
    "messages.deadLetters": () => trpc.messages.deadLetters.query({ agent_id }),
    "messages.nack": () => trpc.messages.nack.mutate({ agent_id, ids: [unknownUuid] }),
    "messages.redrive": () => trpc.messages.redrive.mutate({ agent_id }),
  };
  /** Where an id is no key but part of what is sent, or narrows a list. */
  const notKeys = ["agents.register"];

  test("by every procedure that takes an id", () => {
    expect(Object.keys(calls).sort()).toEqual(proceduresThatNeedAnId().filter((name) => !notKeys.includes(name)));
  });

  test.for(Object.entries(calls))("by %s", async ([, call]) => {
    const error = await call().then(() => undefined, KsiError.from);
    expect(error).toMatchObject({ code: "NOT_FOUND" });
    expect(error?.message).toMatch(/no-such-run|00000000-|nobody/);
  });

  test("by what has a name in place of an id", async () => {
    const missing = [
      trpc.state.get.query({ namespace: "tests", key: "no-such-key" }),
      trpc.state.delete.mutate({ namespace: "tests", key: "no-such-key" }),
      trpc.profiles.get.query({ name: "no-such-profile" }),
    ];
    for (const error of await Promise.all(missing.map((call) => call.then(() => undefined, KsiError.from)))) {
      expect(error).toMatchObject({ code: "NOT_FOUND", message: expect.stringContaining("no-such-") });
    }
  });

  test("by messages.send to a target, and by a path or procedure that there is not", async () => {
    const message = { source: "tester", target: agent_id, event_type: "HELLO", payload: null };
    expect(await post("messages.send", message)).toMatchObject({ status: 404, error: { code: "NOT_FOUND" } });
    const { target: _, ...toWhoeverCan } = { ...message, capability: "no-such-talent" };
    expect(await post("messages.send", toWhoeverCan)).toMatchObject({ status: 404, error: { code: "NO_AGENT" } });
    expect(await post("runs.explode", {})).toMatchObject({ status: 404, error: { code: "NOT_FOUND" } });
    expect((await fetch(`${daemon.url}/etc/passwd`)).status).toBe(404);
  });
});

test("a body over the limit is 413, announced or not, and the daemon goes on", async () => {
  const tooMuch = JSON.stringify({ json: { prompt: long(limits.bodyBytes), model: "echo" } });
  const announced = await send("runs.spawn", tooMuch);
  expect(announced).toMatchObject({ status: 413, error: { code: "PAYLOAD_TOO_LARGE" } });
  const chunked = await send("runs.spawn", new Blob([tooMuch]).stream());
  expect(chunked).toMatchObject({ status: 413, error: { code: "PAYLOAD_TOO_LARGE" } });
  expect(await ksi.system.health()).toMatchObject({ status: "ok" });
});

test("a body that cannot be read is 400 and says nothing of what is inside", async () => {
  for (const body of ["{", "[]", "null", '{"json":', "\u0000", `{"json":${"[".repeat(100_000)}`]) {
    const { status, body: answer } = await send("runs.spawn", body);
    expect({ sent: body.slice(0, 10), status }).toEqual({ sent: body.slice(0, 10), status: 400 });
    expect(answer).not.toMatch(internals);
  }
});

test("a malformed frame closes its socket only; a subscription of another client goes on", async () => {
  await ksi.agents.register({ agent_id: "listener" });
  const received: unknown[] = [];
  const states: string[] = [];
  const subscription = ksi.trpc.messages.inbox.subscribe(
    { agent_id: "listener" },
    { onData: ({ data }) => received.push(data.payload), onConnectionStateChange: ({ state }) => states.push(state) },
  );
  const say = (payload: string) =>
    ksi.messages.send({ source: "tester", target: "listener", event_type: "HELLO", payload });
  await say("before");
  await until(() => received.length === 1, { message: "the inbox is followed" });
  const statesBefore = [...states];

  // Reserved bits, an unmasked frame, an unknown opcode, a length that no daemon can want.
  for (const frame of ["ffffffff", "810161", "8b80", "82ff7fffffffffffffff00000000"]) {
    expect({ frame, code: await closeCodeAfter(Buffer.from(frame, "hex")) }).toEqual({
      frame,
      code: expect.toBeOneOf([1002, 1009]),
    });
  }
  await say("after");
  await until(() => received.length === 2, { message: "the inbox is still followed" });
  subscription.unsubscribe();
  expect(received).toEqual(["before", "after"]);
  expect(states).toEqual(statesBefore);
});

describe("a claude that cannot be started fails the run, with advice, and the next one works when it can", () => {
  const kinds: [string, () => Promise<void>, object][] = [
    ["missing", async () => undefined, { code: "RUNNER_NOT_FOUND", message: expect.stringContaining(bin) }],
    [
      "a directory",
      async () => void (await mkdir(bin)),
      { code: "RUNNER_NOT_EXECUTABLE", message: expect.stringContaining(bin) },
    ],
    [
      "not executable",
      () => writeFile(bin, "#!/bin/sh\n", { mode: 0o644 }),
      { code: "RUNNER_NOT_EXECUTABLE", message: expect.stringContaining(bin) },
    ],
    [
      "a script without its interpreter",
      () => writeFile(bin, "#!/nowhere/sh\n", { mode: 0o755 }),
      { code: expect.stringMatching(/RUNNER_NOT_(FOUND|EXECUTABLE)/) },
    ],
    [
      "no program at all",
      () => writeFile(bin, "\u0001\u0002", { mode: 0o755 }),
      { code: expect.stringMatching(/^RUNNER_/) },
    ],
    [
      "one that fails",
      () => writeFile(bin, "#!/bin/sh\necho stack at main.js:1 >&2; exit 7\n", { mode: 0o755 }),
      { code: "RUNNER_CRASHED" },
    ],
  ];

  test.for(kinds)("%s", async ([, make, error]) => {
    await make();
    try {
      const run = await ksi.run({ prompt: `${secretPrompt} of claude`, model: "sonnet" });
      await expect(run.result()).rejects.toMatchObject(error);
      const record = await ksi.runs.get(run.run_id);
      expect(record).toMatchObject({ status: "failed", error });
      expect(record.error?.message).not.toMatch(internals);
      expect(record.error?.message).not.toContain("\n");
    } finally {
      await rm(bin, { recursive: true, force: true });
    }
  });
});

const secretPrompt = "prompt-that-no-log-may-hold";

test("what breaks inside is in the log alone: neither HTTP nor a socket shows a stack or message, and no log a prompt", async () => {
  await ksi.agents.register({ agent_id: "broken" });
  {
    // Its folder is this test's, so its socket is too.
    await using store = await startStore({ url: `unix://${dataDir}/redis/redis.sock`, logger: silent });
    const keys = store.keys.tenant();
    for (const key of [keys.agents, keys.outbox, keys.channel("agents:broken:inbox")]) {
      await store.commands.del(key);
      await store.commands.set(key, "not what KSI put there");
    }
  }
  const masked = { code: "INTERNAL", message: expect.stringContaining("The daemon's log has the cause.") };
  const registered = await post("agents.register", { agent_id: "new", metadata: { secretPrompt } });
  const spawned = await post("runs.spawn", { prompt: secretPrompt, system_prompt: secretPrompt, model: "echo" });
  const sent = await post("messages.send", { source: "a", target: "broken", event_type: "X", payload: secretPrompt });
  for (const { status, error, body } of [registered, spawned, sent]) {
    expect({ status, error }).toMatchObject({ status: 500, error: masked });
    expect(body).not.toMatch(internals);
  }
  const followed = await new Promise((resolve) =>
    ksi.trpc.messages.inbox.subscribe({ agent_id: "broken" }, { onError: resolve }),
  );
  expect(followed).toMatchObject({ data: { ksi: masked } });
  expect(JSON.stringify(followed)).not.toMatch(internals);

  expect(daemon.output()).toContain("WRONGTYPE");
  expect(daemon.output()).toContain("Run ended.");
  expect(daemon.output()).not.toContain(secretPrompt);
  expect(daemon.output()).not.toContain(daemon.token);
});

const silent = { debug() {}, info() {}, warn() {}, error() {} };

/** What callers have no business with. */
const internals = /\bstack\b|node_modules|\.[jt]s:\d+|ZodError|WRONGTYPE|user_script|redis\.call|\bat [\w.<>]+ \(/;

interface Answer {
  status: number;
  body: string;
  error: WireError | undefined;
}

const post = (procedure: string, input: object) => send(procedure, JSON.stringify({ json: input }));

/** As any program would, without a client that could soften it. */
async function send(procedure: string, body: string | ReadableStream): Promise<Answer> {
  const response = await fetch(`${daemon.url}/trpc/${procedure}`, {
    method: "POST",
    headers: { authorization: `Bearer ${daemon.token}`, "content-type": "application/json" },
    body,
    ...(typeof body !== "string" && { duplex: "half" as const }),
  });
  const text = await response.text();
  const parsed = JSON.parse(text) as { error?: { json: { data: { ksi: WireError } } } };
  return { status: response.status, body: text, error: parsed.error?.json.data.ksi };
}

/** Every procedure whose input cannot be without an id. */
function proceduresThatNeedAnId(): string[] {
  const procedures: Record<string, unknown> = appRouter._def.procedures;
  const needsId = (procedure: unknown) => {
    const [input] = (procedure as { _def: { inputs: { safeParse(value: object): { error?: unknown } }[] } })._def
      .inputs;
    const { error } = input?.safeParse({}) ?? {};
    const issues = (error as { issues: { path: unknown[] }[] } | undefined)?.issues ?? [];
    return issues.some(({ path }) => /_id$/.test(String(path[0])));
  };
  return Object.keys(procedures)
    .filter((name) => needsId(procedures[name]))
    .sort();
}

/** Opens a socket by hand, since no client sends such a frame, and gives the code with which the daemon closes it. */
async function closeCodeAfter(frame: Buffer): Promise<number> {
  const { hostname, port, host } = new URL(daemon.url);
  const socket = connect(Number(port), hostname);
  const chunks: Buffer[] = [];
  socket.on("data", (chunk) => chunks.push(chunk));
  const ended = new Promise((resolve) => socket.on("close", resolve));
  socket.write(
    `GET /trpc HTTP/1.1\r\nhost: ${host}\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-version: 13\r\n` +
      `sec-websocket-key: ${Buffer.alloc(16).toString("base64")}\r\nauthorization: Bearer ${daemon.token}\r\n\r\n`,
  );
  const head = () => Buffer.concat(chunks).indexOf("\r\n\r\n");
  await until(() => head() > 0, { message: "the socket is open" });
  socket.write(frame);
  await ended;
  const closing = Buffer.concat(chunks).subarray(head() + 4);
  // A close frame without a mask: 0x88, its length, the code.
  return closing.indexOf(0x88) < 0 ? 0 : closing.readUInt16BE(closing.indexOf(0x88) + 2);
}
