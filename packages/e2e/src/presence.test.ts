/** Agents that follow their inboxes through one of two servers on one Redis, and what the other server knows of them. */
import { createKsiClient, type KsiClient } from "@ksi/client";
import { startStore } from "@ksi/core";
import { createTempFolder, type DaemonProcess, startDaemonProcess, until } from "@ksi/testing";
import { afterAll, expect, test } from "vitest";

const stack = new AsyncDisposableStack();
afterAll(() => stack.disposeAsync());

const offlineAfterMs = 3_000;
const folder = stack.use(await createTempFolder());
const token = "shared-by-both-servers";
const silent = { debug() {}, info() {}, warn() {}, error() {} };
// An embedded Redis is an external one to whoever reaches it by its URL.
stack.use(await startStore({ dir: `${folder.path}/redis`, logger: silent }));

test("an agent whose inbox is followed on one server is online on the other, and offline a silence after the cut", async () => {
  await using scene = await startScene("cut");
  const { a, b } = scene;
  const { agent } = await a.ksi.agents.register({ agent_id: "bob", capabilities: ["talk"] });
  const told = [follow(a.ksi, "bob", scene.left.signal), follow(b.ksi, "bob", scene.left.signal)];

  const ofBob = new AbortController();
  const cut = consume(a, "bob", ofBob.signal);
  // Longer than the registration by itself would last.
  const held = Date.parse(agent.last_seen) + 2 * offlineAfterMs;
  await until(async () => Date.parse((await b.ksi.agents.get("bob")).last_seen) > held);
  expect(await b.ksi.agents.list({ capability: "talk", status: "online" })).toMatchObject({
    agents: [{ agent_id: "bob" }],
  });
  expect(await b.ksi.system.status()).toMatchObject({ agents: 1, agents_online: 1 });

  const beforeCut = performance.now();
  ofBob.abort();
  await cut;
  await until(async () => (await b.ksi.agents.get("bob")).status === "offline");
  expect(performance.now() - beforeCut).toBeGreaterThanOrEqual(offlineAfterMs);
  expect(await a.ksi.agents.list({ status: "offline" })).toMatchObject({ agents: [{ agent_id: "bob" }] });
  await expect(
    b.ksi.messages.send({ source: "me", capability: "talk", event_type: "HI", payload: 1 }),
  ).rejects.toMatchObject({ code: "NO_AGENT" });

  const again = new AbortController();
  const back = consume(b, "bob", again.signal);
  await until(() => told.every((statuses) => statuses.length >= 2));
  again.abort();
  await back;
  for (const statuses of told) expect(statuses.slice(0, 2)).toEqual(["offline", "online"]);
});

test("the agents of a server that is killed go offline, once, and come back on the other", async () => {
  await using scene = await startScene("killed");
  const { a, b } = scene;
  await a.ksi.agents.register({ agent_id: "eve" });
  const told = follow(b.ksi, "eve", scene.left.signal);
  const lost = consume(a, "eve", scene.left.signal);
  const { last_seen } = await a.ksi.agents.get("eve");
  await until(async () => (await b.ksi.agents.get("eve")).last_seen > last_seen);
  expect(told).toEqual([]);

  await a.daemon.stop("SIGKILL");
  await until(async () => (await b.ksi.agents.get("eve")).status === "offline");
  const back = consume(b, "eve", scene.left.signal);
  await until(async () => (await b.ksi.agents.get("eve")).status === "online");
  await until(() => told.length === 2);
  expect(told).toEqual(["offline", "online"]);
  scene.left.abort();
  await Promise.all([lost, back]);
});

interface Server {
  readonly daemon: DaemonProcess;
  readonly ksi: KsiClient;
}

/** Two servers that have only their Redis, and there only their prefix, in common. */
async function startScene(name: string) {
  await using parts = new AsyncDisposableStack();
  const startServer = async (server: string): Promise<Server> => {
    const daemon = await startDaemonProcess({
      dataDir: `${folder.path}/${name}-${server}`,
      cwd: folder.path,
      args: ["--no-worker"],
      env: {
        KSI_REDIS_URL: `unix://${folder.path}/redis/redis.sock`,
        KSI_REDIS_PREFIX: name,
        KSI_TOKEN: token,
        KSI_CLAUDE_BIN: "/nowhere/claude",
        KSI_AGENT_OFFLINE_AFTER_MS: String(offlineAfterMs),
      },
    });
    parts.use(daemon);
    return { daemon, ksi: parts.use(createKsiClient({ url: daemon.url, token })) };
  };
  const [a, b] = [await startServer("a"), await startServer("b")];
  const left = new AbortController();
  parts.defer(() => left.abort());
  const owned = parts.move();
  return { a, b, left, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** Follows the inbox over a connection of its own, until `signal`; resolves when it is closed. */
async function consume({ daemon }: Server, agentId: string, signal: AbortSignal): Promise<void> {
  await using ksi = createKsiClient({ url: daemon.url, token });
  for await (const _ of ksi.agents.inbox(agentId, { signal }));
}

/** The status in each `agent.updated` from now on. */
function follow(ksi: KsiClient, agent_id: string, signal: AbortSignal): string[] {
  const statuses: string[] = [];
  const read = async () => {
    const events = ksi.events.subscribe({ types: ["agent.updated"], agent_id }, { signal });
    for await (const event of events) if (event.event_type === "agent.updated") statuses.push(event.payload.status);
  };
  read().catch((error: unknown) => statuses.push(String(error)));
  return statuses;
}
