import { type Store, startStore } from "@ksi/core";
import { createTempFolder, isAlive } from "@ksi/testing";

/** A Redis of the test's own, that it can set, hold still, stop, and start again on the same data and address. */
export interface OwnRedis extends AsyncDisposable {
  readonly url: string;
  /** The test's own connection, to the Redis that runs now. */
  readonly commands: Store["commands"];
  readonly keys: ReturnType<Store["keys"]["tenant"]>;
  /** It answers nobody, and keeps what it is sent, until it is let go. */
  hold(): void;
  letGo(): void;
  stop(): Promise<void>;
  start(): Promise<void>;
}

const silent = { debug() {}, info() {}, warn() {}, error() {} };

/** An embedded Redis is somebody else's to whoever reaches it by its URL. */
export async function startOwnRedis(): Promise<OwnRedis> {
  await using stack = new AsyncDisposableStack();
  const { path: dir } = stack.use(await createTempFolder("ksi-own-redis-"));
  let store = await startStore({ dir, logger: silent });
  let pid = await readPid(store);
  stack.defer(async () => {
    if (isAlive(pid)) process.kill(pid, "SIGCONT");
    await store.close();
  });
  const owned = stack.move();
  return {
    url: `unix://${store.commands.options.path}`,
    get commands() {
      return store.commands;
    },
    keys: store.keys.tenant(),
    hold: () => void process.kill(pid, "SIGSTOP"),
    letGo: () => void process.kill(pid, "SIGCONT"),
    stop: () => store.close(),
    async start() {
      store = await startStore({ dir, logger: silent });
      pid = await readPid(store);
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function readPid(store: Store): Promise<number> {
  return Number(/process_id:(\d+)/.exec(await store.commands.info("server"))?.[1]);
}

/** What a change that was carried out in half would leave behind, once every run is final. Empty where all is whole. */
export async function findLooseEnds({ commands, keys }: OwnRedis): Promise<string[]> {
  const found: string[] = [];
  const listed = await commands.zrange(keys.runs, "0", "-1");
  const records = (await commands.keys(keys.run("*"))).map((key) => key.slice(keys.run("").length));
  if (listed.toSorted().join() !== records.toSorted().join()) found.push("the index of runs and their records differ");
  for (const id of records) {
    const { status = "", session_id = "", ended_at } = await commands.hgetall(keys.run(id));
    const isFinal = status === "completed" || status === "failed" || status === "cancelled" || status === "timed_out";
    if (!isFinal || !ended_at) found.push(`run ${id} is ${status} and has ended at ${ended_at}`);
    else if ((await commands.zscore(keys.runsWith(status), id)) === null)
      found.push(`run ${id} is not among the ${status}`);
    if ((await commands.zscore(keys.sessionRuns(session_id), id)) === null) found.push(`run ${id} is in no session`);
    if ((await commands.exists(keys.session(session_id))) === 0) found.push(`session ${session_id} has no record`);
  }
  for (const set of [keys.outbox, keys.claimed]) if (await commands.exists(set)) found.push(`${set} is not empty`);
  for (const line of await commands.keys(keys.sessionLine("*"))) found.push(`${line} is not empty`);
  return found;
}
