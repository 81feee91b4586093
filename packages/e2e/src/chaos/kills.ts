/**
 * Kills: servers, workers and Redis are killed at any moment under a steady load of runs, and workers are stopped for a
 * time and go on. Then no accepted run may be lost or left running, each has one result, sessions kept their order, no
 * process is left, and subscribers had everything or were told of the gap.
 */
import { createKsiClient, type EventStream, type KsiClient, type KsiEvent } from "@ksi/client";
import type { Store } from "@ksi/core";
import { type ClaudeStandIn, createClaudeStandIn, createTempFolder, until } from "@ksi/testing";
import { type AgentWatch, watchAgents } from "./kills/agents.ts";
import { breakThings, type FaultCounts, type Victims } from "./kills/faults.ts";
import { type AcceptedRun, type Load, startLoad } from "./kills/load.ts";
import { createNotes, type Notes } from "./kills/notes.ts";
import { type ServerPart, startRedis, startServer, startWorker } from "./kills/parts.ts";
import { createSupervisor, type Supervised } from "./kills/supervised.ts";
import * as verdict from "./kills/verdict.ts";
import type { ScenarioOptions, ScenarioReport } from "./scenario.ts";

interface Size {
  readonly sessions: number;
  readonly forMs: number;
  readonly pauseMs: readonly [number, number];
  readonly stopsMs: readonly [number, ...number[]];
  /** Of each worker. */
  readonly concurrency: number;
}

const long: Size = {
  sessions: 24,
  forMs: 240_000,
  pauseMs: [500, 4_000],
  // Those of 30 s are what it is about: the worker comes back long after its runs were taken over.
  stopsMs: [1_000, 5_000, 9_000, 30_000],
  concurrency: 6,
};
const short: Size = {
  sessions: 12,
  forMs: 12_000,
  pauseMs: [300, 1_500],
  stopsMs: [1_000, 8_000, 8_000],
  concurrency: 4,
};

const token = "of-both-servers-of-kills";
/** A worker that was killed at last is found dead within 10 s, and its sessions may have three runs left each. */
const settleMs = 60_000;

export async function run({ seed, isLong, log }: ScenarioOptions): Promise<ScenarioReport> {
  const size = isLong ? long : short;
  const failures: string[] = [];
  const onFailure = (what: string) => void failures.push(what);
  await using stack = new AsyncDisposableStack();
  const stage = await setStage({ size, stack, onFailure });
  const { victims, clients, watch } = stage;
  const load = startLoad({ seed, sessions: size.sessions, clients, onFailure });
  const followers = clients.map((client) => followAll(client, onFailure));

  const faults = await breakThings({ seed, victims, ...size, log });
  load.stop();
  log(`everybody is up again; ${load.accepted.length} runs were accepted`);
  if (!(await settles(() => load.isDone))) failures.push(...unfinished(load));
  const { failures: found, endings } = await judge({ stage, load, followers });
  failures.push(...found);
  const runIds = new Set(load.accepted.map(({ run_id }) => run_id));
  failures.push(...(await waitForNone(() => watch.agentsOf(runIds))));
  await Promise.all(followers.map((follower) => follower.stop()));

  for (const victim of [...victims.servers, ...victims.workers]) await victim.close();
  failures.push(...(await waitForNone(() => watch.reapersOf(runIds))));
  return { counts: count({ load, faults, followers, endings }), failures };
}

interface Stage {
  readonly victims: Victims;
  readonly clients: readonly [KsiClient, ...KsiClient[]];
  readonly claude: ClaudeStandIn;
  readonly watch: AgentWatch;
  store(): Store;
}

interface Setting {
  readonly size: Size;
  readonly stack: AsyncDisposableStack;
  readonly onFailure: (what: string) => void;
}

async function setStage({ size, stack, onFailure }: Setting): Promise<Stage> {
  const { path: folder } = stack.use(await createTempFolder("ksi-kills-"));
  const claude = stack.use(await createClaudeStandIn());
  const own = createSupervisor(stack, onFailure);

  const redis = await own("redis", () => startRedis(`${folder}/redis`));
  const env = {
    KSI_REDIS_URL: `unix://${folder}/redis/redis.sock`,
    KSI_CLAUDE_BIN: claude.bin,
    KSI_TOKEN: token,
    KSI_LOG_LEVEL: "error",
    KSI_MAX_CONCURRENT_RUNS: String(size.concurrency),
  };
  const surroundings = { folder, env };
  const server = (name: string) => own<ServerPart>(name, (before) => startServer(name, surroundings, before));
  const worker = (name: string) => own(name, () => startWorker(name, surroundings));
  const servers = [await server("server-1"), await server("server-2")] as const;
  const workers = [await worker("worker-1"), await worker("worker-2")] as const;
  const client = ({ part }: Supervised<ServerPart>) => stack.use(createKsiClient({ url: part.url, token, retries: 0 }));
  return {
    victims: { redis, servers, workers },
    clients: [client(servers[0]), client(servers[1])],
    claude,
    watch: stack.use(watchAgents()),
    store: () => redis.part.store,
  };
}

interface Follower {
  readonly notes: Notes;
  stop(): Promise<void>;
}

/** The firehose, from its beginning. */
function followAll(client: KsiClient, onFailure: (what: string) => void): Follower {
  const notes = createNotes();
  const stopping = new AbortController();
  async function read(): Promise<void> {
    const stream: EventStream<KsiEvent> = client.events.subscribe(
      {},
      { from: "oldest", signal: stopping.signal, onGap: notes.gap, onReconnect: notes.resumed },
    );
    for await (const event of stream) notes.take(event.id);
  }
  const done = read().catch((error: unknown) => onFailure(`a follower of the firehose broke off: ${error}`));
  return {
    notes,
    stop() {
      stopping.abort();
      return done;
    },
  };
}

interface Rest {
  readonly stage: Stage;
  readonly load: Load;
  readonly followers: readonly Follower[];
}

async function judge({ stage, load, followers }: Rest): Promise<{ failures: string[]; endings: verdict.Endings }> {
  const { clients, claude, watch } = stage;
  const store = stage.store();
  const runs = await verdict.listAll(clients[0]);
  const byId = new Map(runs.map((found) => [found.run_id, found]));
  const events = await verdict.readChannel(store, verdict.firehose);
  const last = events.at(-1)?.id;
  await settles(() => followers.every(({ notes }) => notes.ids.at(-1) === last));

  const failures = [
    ...verdict.checkAccepted(load.accepted, runs),
    ...verdict.checkOrder(load.accepted, events),
    ...verdict.checkPairs(load.accepted, watch.pairs, events),
    ...verdict.checkPrompts(await claude.turns()),
    ...followers.flatMap(({ notes }, i) => verdict.checkNotes(`follower ${i} of the firehose`, notes, events)),
  ];
  for (const run of load.accepted) {
    const channel = await verdict.readChannel(store, verdict.channelOf(run));
    const found = byId.get(run.run_id);
    if (found) failures.push(...verdict.checkResult(run, await clients[0].runs.get(run.run_id), channel));
    failures.push(...verdict.checkNotes(`the follower of run ${run.run_id}`, run.notes, channel));
  }
  return { failures, endings: verdict.countEndings(events) };
}

function unfinished({ accepted }: Load): string[] {
  return accepted
    .filter(({ isOver }) => !isOver)
    .map(nameOf)
    .map((name) => `${name} was not followed to its end`);
}

function nameOf({ plan, run_id }: AcceptedRun): string {
  return `run ${run_id}, ${plan.number} of session ${plan.session} (${plan.kind}),`;
}

interface Counted {
  readonly load: Load;
  readonly faults: FaultCounts;
  readonly followers: readonly Follower[];
  readonly endings: verdict.Endings;
}

function count({ load, faults, followers, endings }: Counted): Record<string, number> {
  const notes = [...followers, ...load.accepted].map((follower) => follower.notes);
  const sum = (of: (notes: Notes) => number) => notes.reduce((total, one) => total + of(one), 0);
  return {
    runs: load.accepted.length,
    ...endings,
    ...faults,
    spawns_repeated: load.repeats,
    subscribers: notes.length,
    deliveries: sum(({ ids }) => ids.length),
    resumes: sum(({ resumes }) => resumes),
    gaps_told: sum(({ gaps }) => gaps),
  };
}

/** What is there after a while that is enough for whatever is on its way out. */
async function waitForNone(find: () => string[]): Promise<string[]> {
  await settles(() => find().length === 0);
  return find().map((what) => `${what} was left`);
}

async function settles(isSo: () => boolean): Promise<boolean> {
  return await until(isSo, { deadlineMs: settleMs }).then(
    () => true,
    () => false,
  );
}
