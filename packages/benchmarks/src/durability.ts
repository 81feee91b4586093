/**
 * What does it cost that every append is on the disk before it is answered (`appendfsync always`, the embedded Redis's
 * setting), and what is lost without it (`everysec`), when Redis is killed under load?
 *
 * SIGKILL takes nothing that Redis has handed to the kernel, flushed or not. What it can take is what Redis held back:
 * with `everysec` it goes on answering while a flush is under way, and puts off the write until that is done (or for two
 * seconds). So it is killed at a random moment, and in the middle of a flush that another process's flushes make slow.
 * What a machine that loses power takes cannot be shown here: with `everysec` all that was not flushed yet.
 */
import { open, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Store, startStore } from "@ksi/core";
import { createTempFolder, until } from "@ksi/testing";
import { type BenchEvent, minFrameBytes } from "./events/bench-event.ts";
import { silent, startBenchRedis } from "./events/bench-redis.ts";
import { startChild } from "./events/child.ts";
import type { LedgerCalls } from "./events/ledger.ts";
import type { Answer, Effort, Row } from "./question.ts";
import { monotonicMs, round, summarize } from "./stats.ts";

const policies = ["always", "everysec"] as const;
type Policy = (typeof policies)[number];
const batches = [1, 10, 50];
const program = new URL("./events/ledger.ts", import.meta.url);

export async function measureDurability({ isShort }: Effort): Promise<Answer> {
  const size = isShort ? { appends: 1_000, kills: 1 } : { appends: 10_000, kills: 5 };
  const costs = { always: await measureCosts("always", size), everysec: await measureCosts("everysec", size) };
  const kills: Kill[] = [];
  for (let i = 0; i < size.kills; i++) {
    for (const policy of policies) {
      for (const isInFlush of [false, true]) kills.push(await killUnderLoad(policy, isInFlush));
    }
  }
  return {
    question: "What it costs that every append is on the disk, and what is lost otherwise",
    rows: [...compareCosts(costs), ...compareKills(kills)],
    raw: { costs, kills },
  };
}

interface Cost {
  batch: number;
  perSecond: number;
  /** Of one batch, in ms. */
  median: number;
  p99: number;
}

async function measureCosts(policy: Policy, { appends }: { appends: number }): Promise<Cost[]> {
  await using redis = await startBenchRedis();
  await using ledger = startChild<LedgerCalls>(program);
  await redis.setFsync(policy);
  await ledger.call("start", redis.path);
  await ledger.call("time", appends / 5, 10); // warm
  const costs: Cost[] = [];
  for (const batch of batches) {
    const times = await ledger.call("time", appends, batch);
    const wholeMs = times.reduce((sum, ms) => sum + ms, 0);
    const { median, p99 } = summarize(times);
    costs.push({ batch, perSecond: round((appends / wholeMs) * 1_000), median, p99 });
  }
  return costs;
}

interface Kill {
  policy: Policy;
  isInFlush: boolean;
  acknowledged: number;
  /** Of these, not in the log after the restart. */
  missing: number;
}

async function killUnderLoad(policy: Policy, isInFlush: boolean): Promise<Kill> {
  await using folder = await createTempFolder("ksi-bench-");
  const dir = join(folder.path, "redis");
  const acknowledged = await loadAndKill(policy, { dir, busyFile: isInFlush ? join(folder.path, "busy") : undefined });
  await using store = await startStore({ dir, logger: silent });
  const kept = await readNumbers(store);
  return {
    ...{ policy, isInFlush, acknowledged: acknowledged.length },
    missing: acknowledged.filter((n) => !kept.has(n)).length,
  };
}

interface KillOptions {
  dir: string;
  /** Written to and flushed all the while. */
  busyFile: string | undefined;
}

async function loadAndKill(policy: Policy, { dir, busyFile }: KillOptions): Promise<number[]> {
  await using store = await startStore({ dir, logger: silent });
  await store.commands.config("SET", "appendfsync", policy);
  const pid = Number(/^process_id:(\d+)/m.exec(await store.commands.info("server"))?.[1]);
  await using ledger = startChild<LedgerCalls>(program);
  await ledger.call("start", store.commands.options.path ?? "");
  const ending = new AbortController();
  const flushing = busyFile === undefined ? undefined : keepDiskBusy(busyFile, ending.signal);
  try {
    await ledger.call("begin");
    const inFull = async () => (await ledger.call("acknowledged")).length > 1_000;
    await until(inFull, { deadlineMs: 30_000, message: "appends are acknowledged" });
    // Somewhere in the second between two flushes; or, where the disk is busy, in the middle of one.
    await sleep(200 + Math.random() * 1_000);
    if (busyFile !== undefined && policy === "everysec") await awaitFlush(store);
    process.kill(pid, "SIGKILL");
    await until(() => store.exited.aborted, { message: "Redis has ended" });
    return await ledger.call("acknowledged");
  } finally {
    ending.abort();
    await flushing;
  }
}

const flushDeadlineMs = 5_000;

/** Until Redis is in the middle of a flush. Those of `always` are not to be seen: Redis answers nobody meanwhile. */
async function awaitFlush({ commands }: Store): Promise<void> {
  const deadline = monotonicMs() + flushDeadlineMs;
  while (monotonicMs() < deadline) {
    if ((await commands.info("persistence")).includes("aof_pending_bio_fsync:1")) return;
  }
}

const busyBytes = 33_554_432;

async function keepDiskBusy(path: string, signal: AbortSignal): Promise<void> {
  const bytes = Buffer.alloc(busyBytes, "x");
  const file = await open(path, "w");
  while (!signal.aborted) {
    await file.write(bytes, 0, bytes.length, 0);
    await file.sync();
  }
  await file.close();
  await rm(path);
}

async function readNumbers({ commands, keys }: Store): Promise<Set<number>> {
  const channel = keys.tenant().channel("events:broadcast");
  const numbers = new Set<number>();
  for (let from = "-"; ; ) {
    const entries = await commands.xrange(channel, from, "+", "COUNT", 5_000);
    for (const [, [, json = ""]] of entries) {
      if (json.length >= minFrameBytes) numbers.add((JSON.parse(json) as BenchEvent).payload.n);
    }
    const last = entries.at(-1)?.[0];
    if (last === undefined) return numbers;
    from = `(${last}`;
  }
}

const beside = "theirs is appendfsync everysec";

function compareCosts({ always, everysec }: Record<Policy, Cost[]>): Row[] {
  const row = (what: string, unit: "events/s" | "ms", [ours, theirs]: [number, number]): Row => ({
    ...{ what, unit, ours, theirs, ratio: round(ours / theirs), beside },
  });
  return always.flatMap((mine, i) => {
    const other = everysec[i] ?? mine;
    const size = mine.batch === 1 ? "one by one" : `${mine.batch} at a time`;
    const rows = [row(`appends, ${size}, each waited for`, "events/s", [mine.perSecond, other.perSecond])];
    if (mine.batch > 1) return rows;
    rows.push(row("one append, median", "ms", [mine.median, other.median]));
    rows.push(row("one append, p99", "ms", [mine.p99, other.p99]));
    return rows;
  });
}

function compareKills(kills: readonly Kill[]): Row[] {
  return [false, true].map((isInFlush) => {
    const of = (policy: Policy) => kills.filter((kill) => kill.policy === policy && kill.isInFlush === isInFlush);
    const sum = (figure: "missing" | "acknowledged", policy: Policy) =>
      of(policy).reduce((total, kill) => total + kill[figure], 0);
    const when = isInFlush ? "in the middle of a flush to a busy disk" : "at a random moment";
    return {
      what: `acknowledged appends that are gone after ${of("always").length} × SIGKILL of Redis under load, ${when}`,
      ...{ unit: "events", ours: sum("missing", "always"), theirs: sum("missing", "everysec") },
      beside: `${beside}; of ${sum("acknowledged", "always")} and ${sum("acknowledged", "everysec")}`,
      goals: [{ of: "ours", is: "≤", value: 0 }],
    };
  });
}
