/** What is known of runs and sessions, without changing it. */
import type {
  PageInput,
  Run,
  RunStatus,
  RunsListInput,
  RunsPage,
  Session,
  SessionMessages,
  SessionMessagesInput,
  SessionsPage,
  Turn,
} from "@ksi/contract";
import type { ChainableCommander, Redis } from "ioredis";
import { readPlace } from "./list-place.ts";
import type { TenantKeys } from "./redis/keys.ts";
import { toStoreError } from "./redis/store-error.ts";
import { decodeRecord, decodeRun, publicFieldNames, type RunRecord } from "./run-record.ts";

export interface RunIndex {
  get(runId: string): Promise<Run | undefined>;
  /** Some fields of some runs; those that do not exist are left out. */
  pick<Name extends keyof RunRecord>(
    runIds: readonly string[],
    names: readonly Name[],
  ): Promise<Pick<RunRecord, Name>[]>;
  list(input: RunsListInput): Promise<RunsPage>;
  count(status: RunStatus): Promise<number>;
  getSession(sessionId: string): Promise<Session | undefined>;
  listSessions(input: PageInput): Promise<SessionsPage>;
  /** Oldest first. */
  listTurns(input: SessionMessagesInput): Promise<SessionMessages>;
}

/** How many records are read in one go where a filter leaves out an unknown share of them. */
const chunkSize = 200;

export function createRunIndex(redis: Redis, keys: TenantKeys): RunIndex {
  return { get, pick, list, count, getSession, listSessions, listTurns };

  async function get(runId: string): Promise<Run | undefined> {
    return decodeRun(await redis.hmget(keys.run(runId), ...publicFieldNames));
  }

  async function pick<Name extends keyof RunRecord>(runIds: readonly string[], names: readonly Name[]) {
    const pipeline = redis.pipeline();
    for (const runId of runIds) pipeline.hmget(keys.run(runId), ...names);
    const answers = await execute<(string | null)[]>(pipeline);
    return answers
      .filter((values) => values.some((value) => value !== null))
      .map((values) => decodeRecord(flatten(names, values)) as Pick<RunRecord, Name>);
  }

  async function list({ after, limit, status, session_id }: RunsListInput): Promise<RunsPage> {
    const indexOfStatus = status ? keys.runsWith(status) : keys.runs;
    const index = session_id ? keys.sessionRuns(session_id) : indexOfStatus;
    const found: { run: Run; place: string }[] = [];
    let place = after && readPlace(after);
    // Only a session's runs are filtered by status here; the other indexes hold exactly what is asked for.
    const want = session_id && status ? chunkSize : limit + 1;
    for (;;) {
      const members = await descend(index, place, want);
      const runs = await readRuns(members.map(({ id }) => id));
      members.forEach((member, i) => {
        const run = runs[i];
        if (run && (!status || run.status === status)) found.push({ run, place: member.place });
      });
      place = members.at(-1)?.place;
      if (found.length > limit || members.length < want) break;
    }
    return { runs: found.slice(0, limit).map(({ run }) => run), ...nextOf(found, limit) };
  }

  async function count(status: RunStatus): Promise<number> {
    return await redis.zcard(keys.runsWith(status));
  }

  async function getSession(sessionId: string): Promise<Session | undefined> {
    return decodeSession(await redis.hgetall(keys.session(sessionId)));
  }

  async function listSessions({ after, limit }: PageInput): Promise<SessionsPage> {
    const members = await descend(keys.sessions, after && readPlace(after), limit + 1);
    const pipeline = redis.pipeline();
    for (const { id } of members) pipeline.hgetall(keys.session(id));
    const hashes = await execute<Record<string, string>>(pipeline);
    const found = members.flatMap(({ place }, i) => {
      const session = decodeSession(hashes[i] ?? {});
      return session ? [{ session, place }] : [];
    });
    return { sessions: found.slice(0, limit).map(({ session }) => session), ...nextOf(found, limit) };
  }

  async function listTurns({ session_id, after, limit }: SessionMessagesInput): Promise<SessionMessages> {
    // A place is that of a run, and how many of its (at most two) sides were given.
    const [seq, given] = after ? readPlace(after, 2).split(".") : [];
    const members = await ascend(keys.sessionRuns(session_id), seq, limit + 1);
    const names = ["run_id", "seq", "prompt", "created_at", "result", "ended_at"] as const;
    const records = await pick(
      members.map(({ id }) => id),
      names,
    );
    const found = records.flatMap((record) => {
      const sides = sidesOf(record).map((turn, i) => ({ turn, place: `${record.seq}.${i + 1}` }));
      return String(record.seq) === seq ? sides.slice(Number(given)) : sides;
    });
    return { messages: found.slice(0, limit).map(({ turn }) => turn), ...nextOf(found, limit) };
  }

  async function readRuns(ids: readonly string[]): Promise<(Run | undefined)[]> {
    const pipeline = redis.pipeline();
    for (const id of ids) pipeline.hmget(keys.run(id), ...publicFieldNames);
    return (await execute<(string | null)[]>(pipeline)).map(decodeRun);
  }

  /** Members before `place`, newest first. */
  async function descend(key: string, place: string | undefined, limit: number): Promise<Member[]> {
    const from = place ? `(${place}` : "+inf";
    return toMembers(await redis.zrange(key, from, "-inf", "BYSCORE", "REV", "LIMIT", 0, limit, "WITHSCORES"));
  }

  /** Members from `place` on, oldest first. */
  async function ascend(key: string, place: string | undefined, limit: number): Promise<Member[]> {
    return toMembers(await redis.zrange(key, place ?? "-inf", "+inf", "BYSCORE", "LIMIT", 0, limit, "WITHSCORES"));
  }
}

interface Member {
  readonly id: string;
  /** Its score: the run's `seq`, or that of a session's last run. */
  readonly place: string;
}

function toMembers(flat: readonly string[]): Member[] {
  const members: Member[] = [];
  for (let i = 0; i + 1 < flat.length; i += 2) members.push({ id: flat[i] ?? "", place: flat[i + 1] ?? "" });
  return members;
}

function nextOf(found: readonly { place: string }[], limit: number): { next?: string } {
  const last = found[limit - 1];
  return found.length > limit && last ? { next: last.place } : {};
}

function sidesOf({
  run_id,
  prompt,
  created_at,
  result,
  ended_at,
}: Pick<RunRecord, "run_id" | "prompt" | "created_at" | "result" | "ended_at">): Turn[] {
  const human: Turn = { run_id, role: "human", content: prompt, timestamp: created_at };
  if (result === undefined) return [human];
  return [human, { run_id, role: "agent", content: result, timestamp: ended_at ?? created_at }];
}

function decodeSession(hash: Record<string, string>): Session | undefined {
  const { session_id, created_at, updated_at, run_count, last_run_id, last_status } = hash;
  if (!session_id || !created_at || !updated_at || !last_run_id || !last_status) return undefined;
  return {
    session_id,
    created_at,
    updated_at,
    run_count: Number(run_count),
    last_run_id,
    last_status: last_status as RunStatus,
  };
}

function flatten(names: readonly string[], values: readonly (string | null)[]): string[] {
  return names.flatMap((name, i) => {
    const value = values[i];
    return value == null ? [] : [name, value];
  });
}

/** The answers of a pipeline; rejects with the first error. */
async function execute<T>(pipeline: ChainableCommander): Promise<T[]> {
  const answers = await pipeline.exec();
  return (answers ?? []).map(([error, value]) => {
    if (error) throw toStoreError(error);
    return value as T;
  });
}
