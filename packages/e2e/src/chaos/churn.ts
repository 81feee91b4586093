/**
 * Churn: clients come by the thousand, subscribe, are cut off, start runs, cancel them and go, in rounds; after each the
 * daemon is at rest, and is looked into. What it holds then must not grow from round to round, and at the end there must
 * be no more listeners, timers, sockets, handles, and subscriptions in Redis than before.
 *
 * The memory is judged by the line through all rounds after the first, in which caches fill. It may rise by 2 % from end to
 * end. In the long form that is some 30 bytes a visit, less than the smallest closure, so whatever each visit leaves behind
 * is found. In the short form it is 2 kB, less than a connection; of smaller things the counts tell, if they are things that
 * can be counted.
 */
import { type Store, startStore } from "@ksi/core";
import { createTempFolder, startDaemonProcess, startFaultProxy, until } from "@ksi/testing";
import { inspectable, type MemoryProbe, openMemoryProbe } from "../memory-probe.ts";
import type { Census } from "./churn/census.ts";
import { fitLine } from "./churn/slope.ts";
import { newCounts, type Place, type VisitCounts, visitAgainAndAgain } from "./churn/visits.ts";
import type { ScenarioOptions, ScenarioReport } from "./scenario.ts";
import { silentLogger } from "./silent-logger.ts";

/** As many rounds as there are in this time, and so many at least. */
interface Span {
  readonly ms: number;
  readonly rounds: number;
}

interface Size {
  /** Before what is measured. */
  readonly warmUp: Span;
  readonly measured: Span;
  /** Of each visitor in one round. */
  readonly visits: number;
}

const long: Size = { warmUp: { ms: 120_000, rounds: 20 }, measured: { ms: 600_000, rounds: 50 }, visits: 10 };
const short: Size = { warmUp: { ms: 0, rounds: 4 }, measured: { ms: 0, rounds: 8 }, visits: 4 };

const visitors = 8;
const heapShare = 0.02;
/** How long what was closed may take to be gone. */
const restMs = 5_000;
/**
 * What the daemon itself has under way when it is looked into has timers and listeners, a socket alone nine of them. What a
 * kind of visit leaves behind is there as often as that visit was made, which is 35 times and more.
 */
const slack = 20;

/** `preloads` are modules that the daemon loads before its own, for the test, which plants a leak. */
export async function run(
  { seed, isLong, log }: ScenarioOptions,
  preloads: readonly URL[] = [],
): Promise<ScenarioReport> {
  const size = isLong ? long : short;
  await using stack = new AsyncDisposableStack();
  const { path: dataDir } = stack.use(await createTempFolder("ksi-churn-"));
  const loaded = [new URL("churn/census.ts", import.meta.url), ...preloads].map((url) => `--import=${url}`);
  const env = {
    NODE_OPTIONS: ["--expose-gc", inspectable.NODE_OPTIONS, ...loaded].join(" "),
    KSI_CLAUDE_BIN: "/nowhere/claude",
    KSI_LOG_LEVEL: "error",
  };
  const daemon = stack.use(await startDaemonProcess({ dataDir, env }));
  const proxy = stack.use(await startFaultProxy({ target: daemon.url, seed }));
  proxy.setFaults({ cutAfterBytes: [500, 6_000], cuts: ["reset", "end"] });
  const probe = stack.use(await openMemoryProbe(daemon));
  const redis = stack.use(await startStore({ url: `unix://${dataDir}/redis/redis.sock`, logger: silentLogger }));
  const place: Place = { ...daemon, proxy };
  const visited = newCounts();
  const heap: number[] = [];
  let round = 0;
  const makeRounds = async (span: Span, base?: Counts) => {
    const [begunAt, first] = [performance.now(), round];
    while (round < first + span.rounds || performance.now() < begunAt + span.ms) {
      const firstSeed = seed + round++ * visitors;
      await Promise.all(
        Array.from({ length: visitors }, (_, i) => visitAgainAndAgain(place, size.visits, firstSeed + i, visited)),
      );
      if (base) heap.push(await weigh(probe, base));
      log(`round ${round}: ${heap.at(-1) ?? "warming up"}`);
    }
  };

  await makeRounds(size.warmUp);
  const look = () => lookInto(probe, redis.commands);
  // What was closed last may still be going.
  const before = await atRest(look, await look());
  await makeRounds(size.measured, before);
  const after = await atRest(look, before);
  return reportOf({ before, after, heap, visited, cuts: proxy.counts.cuts });
}

/** What there is of each kind once the daemon is at rest. */
interface Counts extends Census {
  readonly redis_subscriptions: number;
  readonly redis_clients: number;
}

async function lookInto(probe: MemoryProbe, redis: Store["commands"]): Promise<Counts> {
  await collectGarbage(probe);
  const census = (await probe.evaluate("census()")) as Census;
  const [channels, clients] = await Promise.all([redis.pubsub("CHANNELS"), redis.client("LIST")]);
  return {
    ...census,
    redis_subscriptions: channels.length,
    redis_clients: String(clients).trim().split("\n").length,
  };
}

/** The bytes that the daemon holds when nobody is there. */
async function weigh(probe: MemoryProbe, { handles }: Counts): Promise<number> {
  const isCalm = async () => Number(await probe.evaluate("handles()")) <= handles + slack;
  await until(isCalm, { deadlineMs: restMs }).catch(() => undefined);
  await collectGarbage(probe);
  return Number(await probe.evaluate("heldBytes()"));
}

/** What one collection finalizes, the next one frees; in between the daemon has a turn, and the census forgets the dead. */
async function collectGarbage(probe: MemoryProbe): Promise<void> {
  for (const step of ["gc()", "forgetDead()", "gc()", "gc()"]) await probe.evaluate(step);
}

/** Waits for what was closed to be gone, but not for ever: what is left then stays. */
async function atRest(look: () => Promise<Counts>, before: Counts): Promise<Counts> {
  const deadline = performance.now() + restMs;
  for (;;) {
    const counts = await look();
    if (performance.now() > deadline || namesOf(counts).every((name) => counts[name] <= before[name] + slack))
      return counts;
  }
}

function namesOf(counts: Counts): (keyof Counts)[] {
  return Object.keys(counts) as (keyof Counts)[];
}

interface Outcome {
  readonly before: Counts;
  readonly after: Counts;
  readonly heap: readonly number[];
  readonly visited: VisitCounts;
  readonly cuts: number;
}

function reportOf({ before, after, heap, visited, cuts }: Outcome): ScenarioReport {
  const names = namesOf(before);
  const failures = names
    .filter((name) => after[name] > before[name] + slack)
    .map((name) => `${name}: ${before[name]} before, ${after[name]} after`);
  const { growth, mean } = fitLine(heap);
  const allowed = mean * heapShare;
  if (growth > allowed) failures.push(`the heap grows: by ${toKb(growth)} kB, where ${toKb(allowed)} are allowed`);
  return {
    counts: {
      visits: Object.values(visited).reduce((sum, count) => sum + count, 0),
      ...visited,
      cuts,
      rounds: heap.length,
      heap_kb: toKb(mean),
      heap_growth_kb: toKb(growth),
      heap_growth_allowed_kb: toKb(allowed),
      ...Object.fromEntries(
        names.flatMap((name) => [
          [name, after[name]],
          [`${name}_before`, before[name]],
        ]),
      ),
    },
    failures,
  };
}

function toKb(bytes: number): number {
  return Math.round(bytes / 1_000);
}
