/**
 * Every change of a run's state, as Lua: the change and the events that tell of it are one atomic step.
 *
 * What the scripts keep true:
 * - `status` changes only as the contract's table allows; a final state never changes.
 * - A run that is not released is in its session's line. The head of a line, and only it, is either in the outbox
 *   (no worker has it) or claimed (a worker has it, and may still be ending its process after the run is final).
 * - `lease` goes up with each claim, and when a run is ended in the place of its worker. Whoever holds an older one writes
 *   nothing.
 *
 * All scripts of one run get the same keys and the same first arguments, by name (see run-script.ts); the
 * headers list what each has besides, what it answers and which events it appends. A script that ends a run is given the
 * final `event`, and the `result` that goes into the session's results.
 */
import { createRunScript } from "./run-script.ts";

/**
 * Accepts a run: record, indexes, session, place in line; the head of a line goes into the outbox.
 *
 * EXTRA: the idempotency key, used where `idempotency_hash` is not empty. rest: fields of the record.
 * Answers `accepted` with `1` where its turn has come, `repeated` with the first run's ids, or `conflict` with its run id.
 * Events: run.queued.
 */
export const spawnScript = createRunScript(
  ["event", "created_at", "idempotency_hash", "idempotency_ms"],
  `
if idempotency_hash ~= '' then
  local hash, first_run, first_session = string.match(redis.call('GET', EXTRA) or '', '^(%S+) (%S+) (%S+)$')
  if hash and hash ~= idempotency_hash then return { 'conflict', first_run, first_session } end
  if hash then return { 'repeated', first_run, first_session } end
  redis.call('SET', EXTRA, idempotency_hash .. ' ' .. run_id .. ' ' .. session_id, 'PX', idempotency_ms)
end

-- The time, but never the same twice and never backwards: pages of lists depend on it.
local seq = tonumber(ksi_now_us())
local newest = redis.call('ZRANGE', RUNS, 0, 0, 'REV', 'WITHSCORES')[2]
if newest and tonumber(newest) >= seq then seq = tonumber(newest) + 1 end
seq = string.format('%.0f', seq)

redis.call('HSET', RUN, 'seq', seq, 'lease', 0)
write_fields(REST)
redis.call('ZADD', RUNS, seq, run_id)
redis.call('ZADD', SESSION_RUNS, seq, run_id)
redis.call('ZADD', SESSIONS, seq, session_id)
redis.call('HSETNX', SESSION, 'created_at', created_at)
redis.call('HSET', SESSION, 'session_id', session_id, 'updated_at', created_at, 'last_run_id', run_id)
redis.call('HINCRBY', SESSION, 'run_count', 1)
move(nil, 'queued')
local is_head = redis.call('RPUSH', LINE, run_id) == 1
if is_head then redis.call('SADD', OUTBOX, run_id) end
tell(event, { CHANNEL, FIREHOSE })
return { 'accepted', is_head and '1' or '' }
`,
);

/**
 * Gives the run to a worker. `lease` is the one that the claim would make: a job that is older than that is refused.
 * EXTRA: the key that lives as long as the worker; the claim is a beat, since a worker that stood still may come back with
 * a claim before its next beat. rest: fields of the record. Answers the record (HGETALL) and the session's memory, the
 * same when repeated, or nil when it is not to be had. Events: run.started.
 */
export const claimScript = createRunScript(
  ["lease", "worker_id", "worker_ttl_ms", "event"],
  `
local function claimed()
  return { redis.call('HGETALL', RUN), redis.call('HGET', SESSION, 'memory') or '' }
end
local run = redis.call('HMGET', RUN, 'status', 'lease', 'worker_id')
if run[1] == 'running' and run[2] == lease and run[3] == worker_id then return claimed() end
if run[1] ~= 'queued' or tonumber(run[2]) + 1 ~= tonumber(lease) then return false end
if redis.call('LINDEX', LINE, 0) ~= run_id then return false end
move('queued', 'running')
redis.call('HSET', RUN, 'lease', lease, 'worker_id', worker_id)
write_fields(REST)
redis.call('SREM', OUTBOX, run_id)
redis.call('SADD', CLAIMED, run_id)
redis.call('SET', EXTRA, worker_id, 'PX', worker_ttl_ms)
tell(event, { CHANNEL, FIREHOSE })
return claimed()
`,
);

const heldLua = `
local run = redis.call('HMGET', RUN, 'status', 'lease', 'prompt_handed', 'cancel_requested')
local is_held = run[1] == 'running' and run[2] == lease
`;

/**
 * Notes that the agent is about to see the prompt, and keeps `memory` (JSON, or '') with the session.
 * Answers `noted`, `lost`, or the cancel that was requested: its reason ('') and its grace_ms (or nil). No events.
 */
export const promptHandedScript = createRunScript(
  ["lease", "memory"],
  `${heldLua}
if not is_held then return 'lost' end
if run[4] then return redis.call('HMGET', RUN, 'cancel_reason', 'cancel_grace_ms') end
redis.call('HSET', RUN, 'prompt_handed', 'true')
if memory ~= '' then redis.call('HSET', SESSION, 'memory', memory) end
return 'noted'
`,
);

/**
 * The result: the final state `to`. The run stays at the head of its line until it is released, which is at once where
 * `is_ended` is `1`: nothing of the agent is left.
 * rest: fields of the record. Answers `done`, `done` again when repeated, or `lost`, and the run whose turn it is, or ''.
 * Events: those of `earlier`, one JSON a line, and the final one.
 */
export const finishScript = createRunScript(
  ["lease", "to", "earlier", "event", "result", "memory", "is_ended"],
  `${heldLua}
if run[2] == lease and run[1] == to then return { 'done', '' } end
if not is_held then return { 'lost', '' } end
write_fields(REST)
if memory ~= '' then redis.call('HSET', SESSION, 'memory', memory) end
settle('running', to, event, result, earlier)
return { 'done', is_ended == '1' and leave_line() or '' }
`,
);

/**
 * The agent's process has ended: the next of the session may start.
 * Answers the id of the run whose turn it is, or '', also where another holds the run. Safe to repeat. No events.
 */
export const releaseScript = createRunScript(
  ["lease"],
  `
local run = redis.call('HMGET', RUN, 'status', 'lease')
if run[2] ~= lease or not is_final(run[1]) then return '' end
return leave_line()
`,
);

/**
 * Ends a run that waits; asks the worker of one that runs (its flag is set, and the control channel tells).
 * rest: fields for a run that ends now. Answers the status that it had (or nil), and the run whose turn it is, or ''.
 * Events: run.cancelled when it was queued.
 */
export const cancelScript = createRunScript(
  ["event", "result", "reason", "grace_ms", "order"],
  `
local status = redis.call('HGET', RUN, 'status')
if status == 'queued' then
  write_fields(REST)
  settle('queued', 'cancelled', event, result)
  return { status, leave_line() }
end
if status == 'running' then
  -- The first cancel counts: what its worker has begun does not start anew.
  if redis.call('HSETNX', RUN, 'cancel_requested', 'true') == 1 then
    redis.call('HSET', RUN, 'cancel_reason', reason)
    if grace_ms ~= '' then redis.call('HSET', RUN, 'cancel_grace_ms', grace_ms) end
  end
  redis.call('PUBLISH', CONTROL, order)
end
return { status, '' }
`,
);

/**
 * Fails a run that waits and that cannot be started. rest: fields of the record.
 * Answers the run whose turn it is, or ''; nil when it was not at the head of its line.
 * Events: run.failed.
 */
export const rejectScript = createRunScript(
  ["event", "result"],
  `
if redis.call('HGET', RUN, 'status') ~= 'queued' or redis.call('LINDEX', LINE, 0) ~= run_id then return false end
write_fields(REST)
settle('queued', 'failed', event, result)
return leave_line()
`,
);

/**
 * A worker gives back a run whose agent has not seen the prompt and has ended.
 * Answers `requeued`, `kept` when the agent may have seen the prompt or a cancel was requested, or `lost`.
 * Events: run.requeued.
 */
export const giveBackScript = createRunScript(
  ["lease", "event"],
  `${heldLua}
if not is_held then return 'lost' end
if run[3] or run[4] then return 'kept' end
requeue(event)
return 'requeued'
`,
);

/**
 * A claimed run whose worker is dead. Back in line if the agent cannot have seen the prompt, else a final state; a run
 * that was final already is released.
 *
 * EXTRA: the key that lives as long as the worker of this lease.
 * Answers what became of it (`requeued`, `failed`, `cancelled`, `released`, or nil when it is not lost) and the run whose
 * turn it is, or ''. Events: run.requeued, run.failed or run.cancelled.
 */
export const loseScript = createRunScript(
  [
    "lease",
    "ended_at",
    "requeued_event",
    "failed_event",
    "failed_result",
    "failed_error",
    "cancelled_event",
    "cancelled_result",
    "cancelled_error",
  ],
  `${heldLua}
if redis.call('SISMEMBER', CLAIMED, run_id) == 0 or run[2] ~= lease then return false end
if redis.call('EXISTS', EXTRA) == 1 then return false end
if not is_held then return { 'released', leave_line() } end
local function end_as(to, event, result, error)
  redis.call('HSET', RUN, 'ended_at', ended_at, 'error', error)
  -- Else a worker that goes on, and fails the run in its turn, would take this end for its own.
  redis.call('HINCRBY', RUN, 'lease', 1)
  settle('running', to, event, result)
  return { to, leave_line() }
end
if run[4] then return end_as('cancelled', cancelled_event, cancelled_result, cancelled_error) end
if run[3] then return end_as('failed', failed_event, failed_result, failed_error) end
requeue(requeued_event)
return { 'requeued', run_id }
`,
);

/**
 * Forgets a final run, and its session with the last of its runs. Answers 1, or 0 when it is still in line.
 * No events: what is forgotten by age was trimmed from the channels by age too.
 */
export const forgetScript = createRunScript(
  [],
  `
local status = redis.call('HGET', RUN, 'status')
if status and (not is_final(status) or redis.call('LPOS', LINE, run_id)) then return 0 end
forget_run(run_id)
if redis.call('ZCARD', SESSION_RUNS) == 0 and redis.call('EXISTS', LINE) == 0 then
  redis.call('DEL', SESSION, RESULTS)
  redis.call('ZREM', SESSIONS, session_id)
end
return 1
`,
);

/**
 * Forgets a session and all its runs. Their keys are made from the given prefixes, since only the session knows its
 * runs; they have the tenant's slot like all others.
 * Answers `deleted`, `busy` while a run is in line, or `unknown`. Events: session.deleted.
 */
export const deleteSessionScript = createRunScript(
  ["event", "run_prefix", "channel_prefix", "idempotency_prefix"],
  `
if redis.call('EXISTS', SESSION) == 0 then return 'unknown' end
if redis.call('EXISTS', LINE) == 1 then return 'busy' end
for _, id in ipairs(redis.call('ZRANGE', SESSION_RUNS, 0, -1)) do
  RUN = run_prefix .. id
  CHANNEL = channel_prefix .. id
  local idempotency_key = redis.call('HGET', RUN, 'idempotency_key')
  if idempotency_key then redis.call('DEL', idempotency_prefix .. idempotency_key) end
  forget_run(id)
end
redis.call('DEL', SESSION, SESSION_RUNS, RESULTS)
redis.call('ZREM', SESSIONS, session_id)
tell(event, { FIREHOSE })
return 'deleted'
`,
);
