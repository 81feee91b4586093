/**
 * The Lua of agents: their records, their indexes and who is online. Each script is one atomic step, the events that tell
 * of it included. The times of presence are those of Redis, so that processes whose clocks differ agree.
 *
 * A record (HASH) has `agent`, the agent's JSON without `status` and `last_seen`; `registered_at`; `profile` (empty for
 * none) and `capabilities` (JSON) for filters and indexes; and `last_seen` in milliseconds while the agent is offline.
 * While it is online it is a member of the index of online agents, with `last_seen` as its score, and nothing but an
 * unregistration or the sweep takes it out of there.
 *
 * The SETs of capabilities cannot all be named before a record is read, nor the consumers of an inbox before its facts are
 * (inbox-lua.ts says what these hold); they share its slot.
 */
import { eventLogLua } from "./event-log-lua.ts";
import { createLuaScript } from "./lua-script.ts";

const nowLua = `
local function ksi_now_ms()
  local now = redis.call('TIME')
  return now[1] * 1000 + math.floor(now[2] / 1000)
end
`;

/**
 * `ksi_iso(ms)` is what `toISOString` gives. Redis's Lua has no calendar; the arithmetic is that of `civil_from_days` in
 * Howard Hinnant's "chrono-Compatible Low-Level Date Algorithms", whose years begin in March.
 */
export const isoLua = `
local function ksi_iso(ms)
  local floor = math.floor
  local days = floor(ms / 86400000)
  local rest = ms - days * 86400000
  local era = floor((days + 719468) / 146097)
  local day_of_era = days + 719468 - era * 146097
  local year_of_era = floor((day_of_era - floor(day_of_era / 1460) + floor(day_of_era / 36524) - floor(day_of_era / 146096)) / 365)
  local day_of_year = day_of_era - (365 * year_of_era + floor(year_of_era / 4) - floor(year_of_era / 100))
  local month_from_march = floor((5 * day_of_year + 2) / 153)
  local day = day_of_year - floor((153 * month_from_march + 2) / 5) + 1
  local month = month_from_march < 10 and month_from_march + 3 or month_from_march - 9
  local year = year_of_era + era * 400 + (month < 3 and 1 or 0)
  local date = string.format('%04d-%02d-%02dT', year, month, day)
  return date .. string.format('%02d:%02d:%06.3fZ', floor(rest / 3600000), floor(rest / 60000) % 60, rest % 60000 / 1000)
end
`;

/** JSON objects are put together by what follows their last member, so that the sender's own is never read or rewritten. */
const agentLua = `${eventLogLua}${nowLua}${isoLua}
local function ksi_extend(json, members)
  return string.sub(json, 1, -2) .. ',' .. members .. '}'
end

local function ksi_with_presence(agent, status, seen)
  return ksi_extend(agent, '"status":"' .. status .. '","last_seen":"' .. ksi_iso(seen) .. '"')
end

local function ksi_agent_event(head, event_type, payload)
  return ksi_extend(head, '"event_type":"' .. event_type .. '","payload":' .. payload)
end

local function ksi_forget_capabilities(record, counts, prefix, agent_id)
  for _, capability in ipairs(cjson.decode(redis.call('HGET', record, 'capabilities') or '[]')) do
    if redis.call('SREM', prefix .. capability, agent_id) == 1 and redis.call('HINCRBY', counts, capability, -1) < 1 then
      redis.call('HDEL', counts, capability)
    end
  end
end
`;

/**
 * KEYS: 1 record, 2 index, 3 online agents, 4 counts of capabilities, 5 epoch, 6 firehose. ARGV: 1 agent_id, 2 agent as
 * JSON without its times and status, 3 profile or empty, 4 beginning of the keys of capabilities, 5 terms, 6 event without
 * type and payload, 7… capabilities. Returns the agent as JSON. Events: agent.joined or agent.updated.
 */
export const putAgent = createLuaScript(`${agentLua}
local now = ksi_now_ms()
local known_since = redis.call('HGET', KEYS[1], 'registered_at')
local registered_at = known_since or ksi_iso(now)
local agent = ksi_extend(ARGV[2], '"registered_at":"' .. registered_at .. '","updated_at":"' .. ksi_iso(now) .. '"')
local capabilities = { unpack(ARGV, 7) }
ksi_forget_capabilities(KEYS[1], KEYS[4], ARGV[4], ARGV[1])
for _, capability in ipairs(capabilities) do
  if redis.call('SADD', ARGV[4] .. capability, ARGV[1]) == 1 then redis.call('HINCRBY', KEYS[4], capability, 1) end
end
redis.call('HSET', KEYS[1], 'agent', agent, 'registered_at', registered_at, 'profile', ARGV[3], 'capabilities', cjson.encode(capabilities))
redis.call('HDEL', KEYS[1], 'last_seen')
redis.call('ZADD', KEYS[2], 0, ARGV[1])
redis.call('ZADD', KEYS[3], now, ARGV[1])
local answer = ksi_with_presence(agent, 'online', now)
local log = ksi_open_log(KEYS[5], ARGV[5])
ksi_append(log, ksi_agent_event(ARGV[6], known_since and 'agent.updated' or 'agent.joined', answer), { KEYS[6] })
ksi_publish(log)
return answer
`);

/**
 * KEYS: 1 record, 2 index, 3 online agents, 4 agents used, 5 counts of capabilities, 6 epoch, 7 firehose, 8 messages that
 * expire, 9 facts of the agent's inbox, 10… all else that the inbox has. ARGV: 1 agent_id, 2 beginning of the keys of
 * capabilities, 3 terms, 4 event without type and payload, 5 beginning of the keys of the inbox's consumers.
 * Returns 1, or 0 when there was no such agent. Events: agent.left.
 */
export const removeAgent = createLuaScript(`${agentLua}
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
ksi_forget_capabilities(KEYS[1], KEYS[5], ARGV[2], ARGV[1])
redis.call('DEL', KEYS[1])
for i = 2, 4 do redis.call('ZREM', KEYS[i], ARGV[1]) end
-- A consumer that goes on, since the agent has registered anew, would be full with what nobody can acknowledge any more.
local facts = redis.call('HGETALL', KEYS[9])
for i = 1, #facts, 2 do
  local consumer, expires = string.match(facts[i + 1], '^%S+ %d+ (%S+) (%S+)')
  if (consumer or '-') ~= '-' then redis.call('DEL', ARGV[5] .. consumer) end
  if (expires or '-') ~= '-' then redis.call('ZREM', KEYS[8], ARGV[1] .. ' ' .. facts[i]) end
end
redis.call('UNLINK', unpack(KEYS, 9))
local log = ksi_open_log(KEYS[6], ARGV[3])
ksi_append(log, ksi_agent_event(ARGV[4], 'agent.left', '{}'), { KEYS[7] })
ksi_publish(log)
return 1
`);

/**
 * A sign of life. KEYS: 1 record, 2 online agents, 3 epoch, 4 firehose. ARGV: 1 agent_id, 2 terms, 3 event without type
 * and payload. Returns 1, or 0 when there is no such agent. Events: agent.updated where it was offline.
 */
export const seeAgent = createLuaScript(`${agentLua}
local agent = redis.call('HGET', KEYS[1], 'agent')
if not agent then return 0 end
local now = ksi_now_ms()
if redis.call('ZADD', KEYS[2], now, ARGV[1]) == 0 then return 1 end
redis.call('HDEL', KEYS[1], 'last_seen')
local log = ksi_open_log(KEYS[3], ARGV[2])
ksi_append(log, ksi_agent_event(ARGV[3], 'agent.updated', ksi_with_presence(agent, 'online', now)), { KEYS[4] })
ksi_publish(log)
return 1
`);

/**
 * A sign of life of each agent that is online. KEYS: 1 online agents. ARGV: ids of agents. Returns those that are not
 * online. Events: none.
 */
export const renewAgents = createLuaScript(`${nowLua}
local now = ksi_now_ms()
local others = {}
for _, agent_id in ipairs(ARGV) do
  if redis.call('ZSCORE', KEYS[1], agent_id) then
    redis.call('ZADD', KEYS[1], now, agent_id)
  else
    others[#others + 1] = agent_id
  end
end
return others
`);

/**
 * Agents that have been silent for too long, as far as the caller can know: it has to have looked for so long itself,
 * without a pause in which they could not be heard. Refused as a whole where Redis takes no writes, since signs of life are writes:
 * a script that declares flags, and among them not that it writes nothing, is judged before it runs.
 *
 * KEYS: 1 online agents. ARGV: 1 when the caller looked last and 2 since when it has looked without a pause, by Redis's
 * clock in ms (0 for never), 3 how long a silence is too long, 4 the longest pause, 5 how many agents at most. Returns the
 * new values of 1 and 2, then id and last sign of life of each agent, the longest silent first. Events: none.
 */
export const findSilentAgents = createLuaScript(`#!lua
${nowLua}
local now = ksi_now_ms()
local looked_at, since = tonumber(ARGV[1]), tonumber(ARGV[2])
-- A clock that went back, such as that of a replica which took over, is a pause too.
if now - looked_at > tonumber(ARGV[4]) or now < looked_at then since = now end
local answer = { now, since }
local latest = now - ARGV[3]
if since > latest then return answer end
local silent = redis.call('ZRANGE', KEYS[1], '-inf', string.format('%.0f', latest), 'BYSCORE', 'LIMIT', 0, ARGV[5], 'WITHSCORES')
for _, value in ipairs(silent) do answer[#answer + 1] = value end
return answer
`);

/**
 * KEYS: 1 online agents, 2 epoch, 3 firehose, 4… records of agents. ARGV: 1 terms, 2 when the caller looked, 3 the longest
 * pause, and for each agent its id, its last sign of life as it was found, and an event without type and payload.
 * Returns how many turned offline: not those that gave a sign since or that another process told of, and none where Redis
 * or the caller stood still since the look. Events: agent.updated.
 */
export const turnAgentsOffline = createLuaScript(`${agentLua}
if ksi_now_ms() - ARGV[2] > tonumber(ARGV[3]) then return 0 end
local log = ksi_open_log(KEYS[2], ARGV[1])
local turned = 0
for i = 4, #KEYS do
  local agent_id, seen, head = unpack(ARGV, 3 * i - 8, 3 * i - 6)
  if redis.call('ZSCORE', KEYS[1], agent_id) == seen then
    redis.call('ZREM', KEYS[1], agent_id)
    turned = turned + 1
    local agent = redis.call('HGET', KEYS[i], 'agent')
    -- A Redis that evicts keys may have lost it.
    if agent then
      redis.call('HSET', KEYS[i], 'last_seen', seen)
      ksi_append(log, ksi_agent_event(head, 'agent.updated', ksi_with_presence(agent, 'offline', seen)), { KEYS[3] })
    end
  end
end
ksi_publish(log)
return turned
`);

/**
 * The first agents that match. KEYS: 1 online agents, 2 those with the capability (anything where none is asked for), 3…
 * records. ARGV: 1 how many at most, 2 status, 3 capability, 4 profile, each empty for any, 5… ids of the records.
 * Returns agent, status and last_seen in ms (empty for unknown) of each. Events: none.
 */
export const readAgents = createLuaScript(`
local found = {}
for i = 3, #KEYS do
  if #found == tonumber(ARGV[1]) then break end
  local agent_id = ARGV[i + 2]
  local agent, offline_since, profile = unpack(redis.call('HMGET', KEYS[i], 'agent', 'last_seen', 'profile'))
  local seen = redis.call('ZSCORE', KEYS[1], agent_id)
  local status = seen and 'online' or 'offline'
  local matches = agent and (ARGV[2] == '' or ARGV[2] == status) and (ARGV[4] == '' or ARGV[4] == profile)
  if matches and (ARGV[3] == '' or redis.call('SISMEMBER', KEYS[2], agent_id) == 1) then
    found[#found + 1] = { agent, status, seen or offline_since or '' }
  end
end
return found
`);
