/**
 * Writes events to one tenant's channels, coalesced: what is appended while the process handles one batch of input, or
 * while a call is under way, goes into the next script call. One call is under way at a time, which keeps the order.
 *
 * A call whose connection broke may have been carried out. So calls are numbered, Redis remembers the last number and
 * answer of each appender, and the same call is repeated until it is answered or Redis has been away for `retryMs`: then
 * its appends are rejected with STORE_UNAVAILABLE, and may or may not be in the log.
 */
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { KsiError } from "@ksi/contract/errors";
import type { Redis } from "ioredis";
import { eventLogLua } from "./event-log-lua.ts";
import { createLuaScript } from "./lua-script.ts";
import type { TenantKeys } from "./redis/keys.ts";
import { toStoreError } from "./redis/store-error.ts";

export interface Append {
  /** Stored as its JSON is at the time of the call. */
  event: object;
  /** Names of channels, the event's home first. */
  channels: readonly string[];
  /** The append is refused unless the run of this key (in full) has status `running` and this lease. */
  guard?: { readonly runKey: string; readonly lease: number } | undefined;
}

export interface Appender {
  /**
   * Resolves when all are stored, in this order. CONFLICT when a guard refused one, STORE_UNAVAILABLE, or SHUTTING_DOWN
   * once closed. Where they do not fit into the budget, none is taken.
   */
  append(...appends: readonly Append[]): Promise<void>;
  /** Takes nothing more, and resolves when what was taken is stored or rejected. */
  close(): Promise<void>;
}

/** What the appenders of a process may hold together, waiting or under way. */
export interface AppendBudget {
  events: number;
  bytes: number;
}

export interface AppenderOptions {
  redis: Redis;
  keys: TenantKeys;
  /** Of the log, from `logTerms`. */
  terms: string;
  /** Shared between appenders, counted down and up again. Over it, an append is rejected with STORE_UNAVAILABLE. */
  budget: AppendBudget;
  /** For how long a call is repeated. Default 5,000; after `close` that at most. */
  retryMs?: number | undefined;
  /** Nothing is repeated any more. */
  signal?: AbortSignal | undefined;
}

const defaultRetryMs = 5_000;
const callMaxEvents = 500;
const callMaxBytes = 1_048_576;
const retryPauseMs = 100;

interface Waiting extends Omit<Append, "event"> {
  json: string;
  resolve: () => void;
  reject: (error: KsiError) => void;
}

export function createAppender(options: AppenderOptions): Appender {
  const { redis, keys, terms, budget, retryMs = defaultRetryMs, signal } = options;
  const memoryKey = keys.appender(randomUUID());
  let queue: Waiting[] = [];
  let callNumber = 0;
  let failingSince: number | undefined;
  let flushing: Promise<void> | undefined;
  let isClosed = false;

  return {
    async append(...appends) {
      if (isClosed) throw new KsiError("SHUTTING_DOWN", "The daemon is stopping and takes no events.");
      const drafts = appends.map(({ event, ...where }) => ({ ...where, json: JSON.stringify(event) }));
      const bytes = drafts.reduce((sum, { json }) => sum + json.length, 0);
      if (budget.events < drafts.length || budget.bytes < bytes) throw tooMuchWaiting();
      budget.events -= drafts.length;
      budget.bytes -= bytes;
      const stored = drafts.map(
        (draft) => new Promise<void>((resolve, reject) => queue.push({ ...draft, resolve, reject })),
      );
      flushing ??= flush();
      await Promise.all(stored);
    },
    async close() {
      isClosed = true;
      await flushing;
    },
  };

  /** Never rejects. */
  async function flush(): Promise<void> {
    // The end of the turn of the event loop, so that all it appends goes into one call.
    await new Promise((resolve) => setImmediate(resolve));
    while (queue.length > 0) await store(takeCall());
    flushing = undefined;
  }

  function takeCall(): Waiting[] {
    let bytes = 0;
    const tooMany = queue.findIndex(({ json }, i) => {
      bytes += json.length;
      return i > 0 && (i >= callMaxEvents || bytes > callMaxBytes);
    });
    const call = tooMany === -1 ? queue : queue.slice(0, tooMany);
    queue = tooMany === -1 ? [] : queue.slice(tooMany);
    return call;
  }

  async function store(call: Waiting[]): Promise<void> {
    callNumber += 1;
    try {
      const refused = await sendUntilAnswered(encode(call, { keys, memoryKey, callNumber, terms }));
      call.forEach((append, i) => {
        if (refused.has(i)) append.reject(refusedByGuard());
        else append.resolve();
      });
    } catch (thrown) {
      const error = toStoreError(thrown);
      for (const { reject } of call) reject(error);
    }
    for (const { json } of call) {
      budget.events += 1;
      budget.bytes += json.length;
    }
  }

  async function sendUntilAnswered({ names, args }: Encoded): Promise<Set<number>> {
    for (;;) {
      try {
        const reply = (await appendScript.run(redis, names, args)) as string;
        failingSince = undefined;
        return new Set(reply.split(" ").slice(1).map(Number));
      } catch (thrown) {
        const mayRepeat = toStoreError(thrown).code === "STORE_UNAVAILABLE" && redis.status !== "end";
        failingSince ??= performance.now();
        const patienceMs = isClosed ? Math.min(retryMs, defaultRetryMs) : retryMs;
        if (!mayRepeat || signal?.aborted || performance.now() > failingSince + patienceMs) throw thrown;
      }
      await sleep(retryPauseMs);
    }
  }
}

interface Encoded {
  names: string[];
  args: (string | number)[];
}

/** How long Redis remembers an appender's last call; far longer than it is repeated. */
const memorySeconds = 600;

/**
 * KEYS: 1 epoch, 2 the appender's memory, then the channels and runs that the appends point to.
 * ARGV: 1 terms, 2 the call's number, 3 seconds of memory; then for each append: JSON, index in KEYS of the guard's
 * run (0 for no guard), lease, count of channels, index in KEYS of each.
 * Returns "number refused…", the refused appends counted from 0. Events: those given, to the channels given.
 */
const appendScript = createLuaScript(`${eventLogLua}
local answer = redis.call('GET', KEYS[2])
if answer and string.match(answer, '^%d+') == ARGV[2] then return answer end
answer = ARGV[2]

local leases = {}
local function holds(run_key, lease)
  if leases[run_key] == nil then
    local run = redis.call('HMGET', run_key, 'status', 'lease')
    leases[run_key] = run[1] == 'running' and run[2]
  end
  return leases[run_key] == lease
end

local log = ksi_open_log(KEYS[1], ARGV[1])
local at, number = 4, 0
while at <= #ARGV do
  local guard, lease, count = tonumber(ARGV[at + 1]), ARGV[at + 2], tonumber(ARGV[at + 3])
  if guard == 0 or holds(KEYS[guard], lease) then
    local channels = {}
    for i = 1, count do channels[i] = KEYS[tonumber(ARGV[at + 3 + i])] end
    ksi_append(log, ARGV[at], channels)
  else
    answer = answer .. ' ' .. number
  end
  at = at + 4 + count
  number = number + 1
end
ksi_publish(log)
redis.call('SET', KEYS[2], answer, 'EX', ARGV[3])
return answer
`);

interface Call {
  keys: TenantKeys;
  memoryKey: string;
  callNumber: number;
  terms: string;
}

function encode(appends: readonly Waiting[], { keys, memoryKey, callNumber, terms }: Call): Encoded {
  const names = [keys.epoch, memoryKey];
  const indexes = new Map<string, number>();
  const indexOf = (name: string) => {
    const known = indexes.get(name);
    if (known !== undefined) return known;
    const index = names.push(name);
    indexes.set(name, index);
    return index;
  };
  const args: (string | number)[] = [terms, callNumber, memorySeconds];
  for (const { json, channels, guard } of appends) {
    args.push(json, guard ? indexOf(guard.runKey) : 0, guard?.lease ?? "", channels.length);
    for (const channel of channels) args.push(indexOf(keys.channel(channel)));
  }
  return { names, args };
}

function refusedByGuard(): KsiError {
  return new KsiError("CONFLICT", "The run is not this worker's any more; the event was not stored.");
}

function tooMuchWaiting(): KsiError {
  return new KsiError("STORE_UNAVAILABLE", "Redis does not keep up: too many events wait to be stored. Try again.");
}
