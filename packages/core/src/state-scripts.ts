/**
 * The shared state as Lua: a change and the events that tell of it are one atomic step, by the clock of Redis.
 *
 * A key of a namespace is two fields of one hash, so that its facts can be read without its value: `f` and the key holds
 * `version updated expires` (milliseconds since 1970; expires 0 for never), `v` and the key the value's JSON. All keys of
 * the namespace are in its index, those that expire also in `stateExpiring`.
 */
import type { StateEvent, StateRef } from "@ksi/contract";
import { newEvent } from "./event-log.ts";
import { eventLogLua } from "./event-log-lua.ts";
import { createLuaScript } from "./lua-script.ts";
import { channels, type TenantKeys } from "./redis/keys.ts";

/** `now` is text like all numbers here, since Lua would write large ones as 1.8e+12. */
const clockLua = `
local function milliseconds(value) return string.format('%.0f', value) end
local time = redis.call('TIME')
local now = milliseconds(time[1] * 1000 + math.floor(time[2] / 1000))
local function is_over(expires) return expires ~= '0' and tonumber(expires) <= tonumber(now) end
`;

/**
 * What every change begins with, and the keys and arguments of `stateChange`. An event's text ends where its version is to
 * be put.
 */
const changeLua = `${eventLogLua}${clockLua}
local VALUES, INDEX, EXPIRING, COUNTER, EPOCH, FIREHOSE = unpack(KEYS)
local namespace, key, terms, expired_event = unpack(ARGV)
local log

local function tell(event, version)
  log = log or ksi_open_log(EPOCH, terms)
  ksi_append(log, event .. version .. '}}', { FIREHOSE })
end

-- The last thing of every script, whatever it answers.
local function answer(reply)
  if log then ksi_publish(log) end
  return reply
end

local function note_expiry(expires)
  local member = namespace .. ' ' .. key
  if expires == '0' then redis.call('ZREM', EXPIRING, member) else redis.call('ZADD', EXPIRING, expires, member) end
end

local function forget(event, version)
  redis.call('HDEL', VALUES, 'f' .. key, 'v' .. key)
  redis.call('ZREM', INDEX, key)
  note_expiry('0')
  tell(event, version)
end

-- The key's version and when it expires, both 0 where it is not there. One that has expired is forgotten first.
local function current()
  local facts = redis.call('HGET', VALUES, 'f' .. key) or ''
  local version, expires = string.match(facts, '^(%d+) %d+ (%d+)$')
  if not version then return '0', '0' end
  if not is_over(expires) then return version, expires end
  forget(expired_event, version)
  return '0', '0'
end
`;

/** What every script that may change a key is given first. */
export function stateChange(keys: TenantKeys, terms: string, { namespace, key }: StateRef) {
  const { values, index } = keys.state(namespace);
  const firehose = keys.channel(channels.firehose);
  const payload = { namespace, key, reason: "expired" as const, version: 0 };
  const expired = stateEvent({ event_type: "state.deleted", source: "ksi", payload });
  return {
    names: [values, index, keys.stateExpiring, keys.stateVersion, keys.epoch, firehose],
    args: [namespace, key, terms, expired],
  };
}

/** What an event still lacks. Its payload comes last, and the version last in that. */
type Draft<E> = E extends unknown ? Omit<E, "id" | "timestamp"> : never;

/** The JSON of an event up to its version, which only the script knows. */
export function stateEvent(draft: Draft<StateEvent>): string {
  const end = "0}}";
  const json = JSON.stringify(newEvent(draft));
  if (!json.endsWith(`"version":${end}`)) throw new Error("The version has to be the last of a state event.");
  return json.slice(0, -end.length);
}

/**
 * KEYS, ARGV: those of stateChange, then 5 event, 6 if_version or empty, 7 value as JSON, 8 ttl in ms or empty.
 * Returns `set` and the facts, or `conflict` and the version that the key has.
 * Events: state.deleted if the key had expired and nobody had told yet; the one given (state.set).
 */
export const setScript = createLuaScript(`${changeLua}
local event, if_version, value, ttl = unpack(ARGV, 5)
local version = current()
if if_version ~= '' and if_version ~= version then return answer({ 'conflict', version }) end
-- One counter for all keys, so that a key which is deleted and set again has no version twice. A Redis that has lost its
-- tail would go on counting from before; there the versions of an epoch begin behind those of the one before it.
log = log or ksi_open_log(EPOCH, terms)
if log.is_lossy and tonumber(redis.call('GET', COUNTER) or 0) < log.epoch * 1000 then
  redis.call('SET', COUNTER, milliseconds(log.epoch * 1000))
end
version = milliseconds(redis.call('INCR', COUNTER))
local expires = ttl == '' and '0' or milliseconds(now + ttl)
local facts = version .. ' ' .. now .. ' ' .. expires
redis.call('HSET', VALUES, 'f' .. key, facts, 'v' .. key, value)
redis.call('ZADD', INDEX, 0, key)
note_expiry(expires)
tell(event, version)
return answer({ 'set', facts })
`);

/**
 * KEYS, ARGV: those of stateChange, then 5 event, 6 if_version or empty.
 * Returns `deleted`, `missing`, or `conflict` and the version that the key has.
 * Events: the one given (state.deleted), or the one of the expiry if nobody had told yet.
 */
export const deleteScript = createLuaScript(`${changeLua}
local event, if_version = unpack(ARGV, 5)
local version = current()
if version == '0' then return answer({ 'missing' }) end
if if_version ~= '' and if_version ~= version then return answer({ 'conflict', version }) end
forget(event, version)
return answer({ 'deleted' })
`);

/**
 * Forgets the key if it has expired; else makes what is noted of its expiry true again, so that no note stays for ever.
 * KEYS, ARGV: those of stateChange. Returns 1 if it was forgotten. Events: state.deleted then.
 */
export const expireScript = createLuaScript(`${changeLua}
local _, expires = current()
note_expiry(expires)
return answer(log and 1 or 0)
`);

/** KEYS: 1 stateExpiring. ARGV: 1 how many at most. Returns `namespace key` of those whose time is over. */
export const dueScript = createLuaScript(`${clockLua}
return redis.call('ZRANGE', KEYS[1], '-inf', now, 'BYSCORE', 'LIMIT', 0, ARGV[1])
`);

/** KEYS: 1 values. ARGV: 1 key. Returns its facts and its value, or nil where it is not there. */
export const getScript = createLuaScript(`${clockLua}
local found = redis.call('HMGET', KEYS[1], 'f' .. ARGV[1], 'v' .. ARGV[1])
if not found[1] or is_over(string.match(found[1], '%d+$')) then return false end
return found
`);

/**
 * KEYS: 1 values, 2 index. ARGV: 1 where to begin, as ZRANGE wants it, 2 prefix, 3 how many keys to look at, 1,000 at most.
 * Returns these keys, each with its facts, which are empty where it has expired.
 */
export const listScript = createLuaScript(`${clockLua}
-- No UTF-8 has this byte, so it is behind all that begins with the prefix.
local keys = redis.call('ZRANGE', KEYS[2], ARGV[1], '(' .. ARGV[2] .. '\\255', 'BYLEX', 'LIMIT', 0, ARGV[3])
if #keys == 0 then return keys end
local fields, seen = {}, {}
for i, key in ipairs(keys) do fields[i] = 'f' .. key end
for i, facts in ipairs(redis.call('HMGET', KEYS[1], unpack(fields))) do
  seen[2 * i - 1] = keys[i]
  seen[2 * i] = (facts and not is_over(string.match(facts, '%d+$'))) and facts or ''
end
return seen
`);
