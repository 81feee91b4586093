/**
 * Inboxes: consumers are killed at any moment, and servers, workers and Redis too, under a steady load of messages to two
 * agents: one whose one consumer gets everything, and one whose consumers share the inbox. Then every accepted message was
 * given to a consumer of its agent and acknowledged once, and senders' orders were kept.
 */
import { createKsiClient, type Message } from "@ksi/client";
import { createTempFolder, until } from "@ksi/testing";
import { readJournal, startConsumer } from "./inboxes/consumer.ts";
import { type KillCounts, killAtRandom } from "./inboxes/faults.ts";
import { type MessageLoad, startMessageLoad } from "./inboxes/load.ts";
import * as verdict from "./inboxes/verdict.ts";
import { insist } from "./insist.ts";
import { type ServerPart, startRedis, startServer, startWorker } from "./kills/parts.ts";
import { createSupervisor } from "./kills/supervised.ts";
import { firehose, readChannel } from "./kills/verdict.ts";
import type { ScenarioOptions, ScenarioReport } from "./scenario.ts";

interface Size {
  readonly senders: number;
  readonly forMs: number;
  readonly pauseMs: readonly [number, number];
}

const long: Size = { senders: 12, forMs: 180_000, pauseMs: [100, 1_500] };
const short: Size = { senders: 6, forMs: 8_000, pauseMs: [100, 600] };

const token = "of-both-servers-of-inboxes";
const agents = { each: "gets-all", shared: "shares" } as const;
/** How many consumers each has. */
const consumersOf = { each: 1, shared: 3 } as const;
const settleMs = 60_000;

export async function run({ seed, isLong, log }: ScenarioOptions): Promise<ScenarioReport> {
  const size = isLong ? long : short;
  const failures: string[] = [];
  const onFailure = (what: string) => void failures.push(what);
  await using stack = new AsyncDisposableStack();
  const { path: folder } = stack.use(await createTempFolder("ksi-inboxes-"));
  const own = createSupervisor(stack, onFailure);

  const redis = await own("redis", () => startRedis(`${folder}/redis`));
  const env = {
    KSI_REDIS_URL: `unix://${folder}/redis/redis.sock`,
    KSI_TOKEN: token,
    KSI_LOG_LEVEL: "error",
    // Who is killed again and again is given its messages again and again.
    KSI_MESSAGE_MAX_DELIVERIES: "1000000",
    // Every receipt is looked at in the end.
    KSI_HISTORY_MAX_EVENTS: "10000000",
  };
  const surroundings = { folder, env };
  const server = (name: string) => own<ServerPart>(name, (before) => startServer(name, surroundings, before));
  const servers = [await server("server-1"), await server("server-2")] as const;
  const worker = (name: string) => own(name, () => startWorker(name, surroundings));
  const workers = [await worker("worker-1"), await worker("worker-2")];
  const urls = servers.map(({ part }) => part.url);
  const client = (url = "") => stack.use(createKsiClient({ url, token, retries: 0 }));
  const clients = [client(urls[0]), client(urls[1])] as const;
  for (const agent_id of Object.values(agents)) await insist(() => clients[0].agents.register({ agent_id }));

  const places = (["each", "shared"] as const).flatMap((mode) =>
    Array.from({ length: consumersOf[mode] }, (_, i) => ({ mode, name: `${mode}-${i}`, url: urls[i % 2] ?? "" })),
  );
  const consumers = await Promise.all(
    places.map(({ mode, name, url }) => {
      const journal = `${folder}/${name}`;
      return own(name, () => startConsumer({ url, token, agent_id: agents[mode], mode, journal, seed }));
    }),
  );

  const load = startMessageLoad({
    seed,
    senders: size.senders,
    targets: Object.values(agents) as [string, string],
    clients,
    onFailure,
  });
  const killed = await killAtRandom({ seed, victims: { consumers, servers, workers, redis: [redis] }, ...size, log });
  await load.stop();
  log(`everybody is up again; ${load.accepted.length} messages were accepted`);

  const { store } = redis.part;
  const keys = store.keys.tenant();
  const left = async () => {
    const counts = Object.values(agents).flatMap((id) => [keys.inboxReady(id), keys.inboxTaken(id)]);
    const all = await Promise.all(counts.map((key) => store.commands.zcard(key)));
    return all.reduce((sum, count) => sum + count, 0);
  };
  await until(async () => (await left()) === 0, { deadlineMs: settleMs }).catch(async () => {
    onFailure(`${await left()} messages are still not acknowledged`);
  });

  const journals = { each: [await readJournal(`${folder}/each-0`)], shared: await readShared() };
  const bus = (await readChannel(store, "events:message_bus")) as readonly object[] as readonly Message[];
  failures.push(
    ...verdict.checkBus(load.accepted, bus),
    ...(["each", "shared"] as const).flatMap((mode) =>
      verdict.checkGiven(
        load.accepted.filter(({ target }) => target === agents[mode]),
        journals[mode].flat(),
      ),
    ),
    ...verdict.checkOrder(journals.each.flat()),
    ...verdict.checkReceipts(load.accepted, await readChannel(store, firehose)),
  );
  return { counts: count({ load, killed, given: [...journals.each, ...journals.shared].flat().length }), failures };

  function readShared() {
    return Promise.all(Array.from({ length: consumersOf.shared }, (_, i) => readJournal(`${folder}/shared-${i}`)));
  }
}

interface Counted {
  readonly load: MessageLoad;
  readonly killed: KillCounts;
  readonly given: number;
}

function count({ load, killed, given }: Counted): Record<string, number> {
  return {
    messages: load.accepted.length,
    given,
    given_again: given - load.accepted.length,
    sends_repeated: load.repeats,
    consumers_killed: killed.consumers,
    servers_killed: killed.servers,
    workers_killed: killed.workers,
    redis_killed: killed.redis,
  };
}
