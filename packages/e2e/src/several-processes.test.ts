/** Two servers without workers and two workers without doors, on one external Redis. */
import { createKsiClient } from "@ksi/client";
import { startStore } from "@ksi/core";
import {
  createClaudeStandIn,
  createTempFolder,
  isAlive,
  type StandInTurn,
  startDaemonProcess,
  until,
} from "@ksi/testing";
import { afterAll, expect, test } from "vitest";
import { startLiveWorker } from "./live-worker.ts";

const stack = new AsyncDisposableStack();
afterAll(() => stack.disposeAsync());

const folder = stack.use(await createTempFolder());
const claude = stack.use(await createClaudeStandIn());
const token = "shared-by-both-servers";
const silent = { debug() {}, info() {}, warn() {}, error() {} };
// An embedded Redis is an external one to whoever reaches it by its URL.
stack.use(await startStore({ dir: `${folder.path}/redis`, logger: silent }));
const env = {
  KSI_REDIS_URL: `unix://${folder.path}/redis/redis.sock`,
  KSI_CLAUDE_BIN: claude.bin,
  KSI_TOKEN: token,
};
const [first, second] = [await startServer("first"), await startServer("second")];
for (const name of ["worker-1", "worker-2"]) {
  const options = { dataDir: `${folder.path}/${name}`, cwd: folder.path };
  stack.use(await startLiveWorker({ ...options, env: { ...env, KSI_MAX_CONCURRENT_RUNS: "3" } }));
}

test("runs of a session execute in order and never two at once, whichever server takes and worker executes them", async () => {
  const sessions: string[] = [];
  const accepted = [];
  for (let i = 0; i < 24; i++) {
    const server = i % 2 ? first : second;
    const session_id = sessions[i % 4];
    const run = await server.run({ prompt: `#delay=20 turn ${i}`, model: "sonnet", ...(session_id && { session_id }) });
    sessions[i % 4] ??= run.session_id;
    accepted.push(run.run_id);
  }
  for (const run_id of accepted) await (await first.runs.attach(run_id)).result();

  const turns = await claude.turns();
  for (const [index, session_id] of sessions.entries()) {
    const ofSession = turns.filter((turn) => turn.session_id === session_id);
    expect(ofSession.map(({ event }) => event)).toEqual(
      Array.from({ length: 12 }, (_, i) => (i % 2 ? "ended" : "started")),
    );
    expect(started(ofSession)).toEqual([0, 1, 2, 3, 4, 5].map((i) => expect.stringContaining(`turn ${index + 4 * i}`)));
  }
});

test("a cancel through the other server ends the agent and all that it started", async () => {
  const run = await first.run({ prompt: "#hang #fork=session work", model: "sonnet" });
  const [child] = await until(async () => (await claude.children()).length > 0 && claude.children(), {
    message: "the agent has forked",
  });
  const other = await second.runs.attach(run.run_id);
  await other.cancel();
  await expect(other.result()).rejects.toMatchObject({ code: "RUN_CANCELLED" });
  await until(() => child && !isAlive(child.pid), { message: "the grandchild is gone" });
});

test("a follower sees the run on a server that neither took nor executes it", async () => {
  const run = await first.run({ prompt: "seen from afar", model: "echo" });
  let text = "";
  for await (const event of (await second.runs.attach(run.run_id)).events()) {
    if (event.event_type === "run.text") text += event.payload.text;
  }
  expect(text).toBe("seen from afar");
});

async function startServer(name: string) {
  const dataDir = `${folder.path}/${name}`;
  const daemon = stack.use(await startDaemonProcess({ dataDir, cwd: folder.path, env, args: ["--no-worker"] }));
  return stack.use(createKsiClient({ url: daemon.url, token }));
}

function started(turns: StandInTurn[]): string[] {
  return turns.filter(({ event }) => event === "started").map(({ prompt }) => prompt);
}
