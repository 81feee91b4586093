/** What all scripts that change a run have in common: their keys and arguments by name, and the Lua they share. */
import { runStatuses, runTransitions } from "@ksi/contract";
import type { Redis } from "ioredis";
import { eventLogLua } from "./event-log-lua.ts";
import { createLuaScript } from "./lua-script.ts";
import { channels, type TenantKeys } from "./redis/keys.ts";

/** Where a script writes: the run, and its session. */
export interface Place {
  readonly run_id: string;
  readonly session_id: string;
}

/** What is the same for all scripts of a store. */
export interface ScriptContext {
  readonly redis: Redis;
  readonly keys: TenantKeys;
  /** Of the log, from `logTerms`. */
  readonly terms: string;
  /** For how long a final run and its channels are kept. */
  readonly maxAgeMs: number;
}

const keyNames = [
  "RUN",
  "CHANNEL",
  "SESSION",
  "LINE",
  "SESSION_RUNS",
  "RESULTS",
  "FIREHOSE",
  "EPOCH",
  "RUNS",
  "SESSIONS",
  "OUTBOX",
  "CLAIMED",
  "ENDED",
  "CONTROL",
  "EXTRA",
] as const;
const commonArgs = ["terms", "max_age_ms", "run_id", "session_id"] as const;

function keysOf(keys: TenantKeys, { run_id, session_id }: Place, extra: string): string[] {
  const named = {
    RUN: keys.run(run_id),
    CHANNEL: keys.channel(channels.run(run_id)),
    SESSION: keys.session(session_id),
    LINE: keys.sessionLine(session_id),
    SESSION_RUNS: keys.sessionRuns(session_id),
    RESULTS: keys.channel(channels.results(session_id)),
    FIREHOSE: keys.channel(channels.firehose),
    EPOCH: keys.epoch,
    RUNS: keys.runs,
    SESSIONS: keys.sessions,
    OUTBOX: keys.outbox,
    CLAIMED: keys.claimed,
    ENDED: keys.endedRuns,
    CONTROL: keys.control,
    EXTRA: extra,
  } satisfies Record<(typeof keyNames)[number], string>;
  return [...keyNames.map((name) => named[name]), ...runStatuses.map((status) => keys.runsWith(status))];
}

const prelude = `${eventLogLua}
${keyNames.map((name, i) => `local ${name} = KEYS[${i + 1}]`).join("\n")}
local WITH_STATUS = { ${runStatuses.map((status, i) => `${status} = KEYS[${keyNames.length + i + 1}]`).join(", ")} }
local NEXT = { ${runStatuses
  .map((from) => `${from} = { ${runTransitions[from].map((to) => `${to} = true`).join(", ")} }`)
  .join(", ")} }
${commonArgs.map((name, i) => `local ${name} = ARGV[${i + 1}]`).join("\n")}

local function is_final(status)
  return next(NEXT[status]) == nil
end

-- The one place where a status is written.
local function move(from, to)
  if from and not NEXT[from][to] then error('a run cannot go from ' .. from .. ' to ' .. to) end
  redis.call('HSET', RUN, 'status', to)
  if from then redis.call('ZREM', WITH_STATUS[from], run_id) end
  redis.call('ZADD', WITH_STATUS[to], redis.call('HGET', RUN, 'seq'), run_id)
  if redis.call('HGET', SESSION, 'last_run_id') == run_id then redis.call('HSET', SESSION, 'last_status', to) end
end

local function tell(event, channel_keys)
  local log = ksi_open_log(EPOCH, terms)
  ksi_append(log, event, channel_keys)
  ksi_publish(log)
end

local function write_fields(from)
  if #ARGV >= from then redis.call('HSET', RUN, unpack(ARGV, from)) end
end

-- A final state: from here on the run and its channel are only kept for a while. \`result\` is what the session's results
-- say of it. \`earlier\` are events of the run's own channel, one JSON a line, that come before the last one.
local function settle(from, to, event, result, earlier)
  move(from, to)
  redis.call('HDEL', RUN, 'images')
  redis.call('ZADD', ENDED, string.sub(ksi_now_us(), 1, -4), run_id)
  local log = ksi_open_log(EPOCH, terms)
  for line in string.gmatch(earlier or '', '[^\\n]+') do ksi_append(log, line, { CHANNEL }) end
  ksi_append(log, event, { CHANNEL, FIREHOSE })
  ksi_append(log, result, { RESULTS })
  ksi_publish(log)
  redis.call('PEXPIRE', CHANNEL, max_age_ms)
  redis.call('PEXPIRE', RESULTS, max_age_ms)
end

-- Back to the head of its line, where it still is, for another worker.
local function requeue(event)
  move('running', 'queued')
  redis.call('HDEL', RUN, 'worker_id', 'started_at', 'runner')
  redis.call('SREM', CLAIMED, run_id)
  redis.call('SADD', OUTBOX, run_id)
  tell(event, { CHANNEL, FIREHOSE })
end

-- Gives the id of the run whose turn it now is, or ''.
local function leave_line()
  local was_head = redis.call('LINDEX', LINE, 0) == run_id
  redis.call('LREM', LINE, 1, run_id)
  redis.call('SREM', OUTBOX, run_id)
  redis.call('SREM', CLAIMED, run_id)
  local head = redis.call('LINDEX', LINE, 0)
  if not (was_head and head) then return '' end
  redis.call('SADD', OUTBOX, head)
  return head
end

local function forget_run(id)
  local status = redis.call('HGET', RUN, 'status')
  redis.call('DEL', RUN, CHANNEL)
  for _, index in ipairs({ RUNS, SESSION_RUNS, ENDED, WITH_STATUS[status] }) do redis.call('ZREM', index, id) end
end
`;

/** A script by the names of its own arguments; what follows them is `rest`. */
export function createRunScript<const Args extends readonly string[]>(args: Args, body: string) {
  const names = args.map((name, i) => `local ${name} = ARGV[${commonArgs.length + i + 1}]`);
  const rest = `local REST = ${commonArgs.length + args.length + 1}`;
  const script = createLuaScript([prelude, ...names, rest, body].join("\n"));

  return (
    context: ScriptContext,
    place: Place,
    values: Record<Args[number], string | number>,
    { rest = [], extra }: { rest?: readonly string[]; extra?: string } = {},
  ): Promise<unknown> => {
    const { redis, keys, terms, maxAgeMs } = context;
    const own = args.map((name) => values[name as Args[number]]);
    return script.run(redis, keysOf(keys, place, extra ?? keys.outbox), [
      terms,
      maxAgeMs,
      place.run_id,
      place.session_id,
      ...own,
      ...rest,
    ]);
  };
}
