/**
 * The Lua of inboxes, for the scripts of `inbox-scripts.ts` and for those that send.
 *
 * An inbox is a channel of the log, which keeps what was sent, and a ledger beside it, which says what of it nobody has
 * acknowledged. A message of the ledger is *ready*, or *taken* by a consumer of the shared inbox. It is entered with
 * `put`, and leaves the ledger once: acknowledged, expired or dead. The log keeps it either way, for as long as it keeps
 * any event, and never less than the ledger does: what would be trimmed unacknowledged becomes a dead letter (`overtaken`).
 *
 * | key | holds |
 * | --- | --- |
 * | ready, taken | ids of messages by their number in the channel |
 * | facts | by id: `entry deliveries consumer expires sender correlation`; consumer and expires are `-` where there is none, entry is the place in the channel, correlation is JSON or nothing |
 * | consumer | ids that one consumer holds, by when they must be acknowledged |
 * | expiring, consumers | `agent_id message_id` and `agent_id consumer_id` of the whole tenant, by time |
 * | dead, letters | ids of dead letters by when they died; by id: `reason deliveries expires died_at sender`, correlation and JSON, a line each |
 *
 * Inboxes cannot be named before it is known who gets a message, so their keys are made here, of what `inboxTerms` gives.
 * They share the slot of the keys that a script is given.
 */
import { eventLogLua } from "./event-log-lua.ts";
import type { Messaging } from "./messaging.ts";
import { channels, type TenantKeys } from "./redis/keys.ts";

/** Messages that one call of Redis buries because the channel cannot keep them. */
const mostDeaths = 1_000;

export const inboxLua = `${eventLogLua}
-- The time of events is that of the process, as everywhere; what is compared is Redis' own.
local function ksi_open_inboxes(epoch_key, log_terms, inbox_terms, seed, timestamp)
  local env = { log = ksi_open_log(epoch_key, log_terms), seed = seed, timestamp = timestamp, told = 0, known = {} }
  env.terms, env.at = inbox_terms, {}
  env.now_us = tonumber(ksi_now_us())
  env.now_ms = math.floor(env.now_us / 1000)
  return env
end

-- Looked up when needed: a script uses few of the terms, and to take all apart costs more than what it does to a message.
local function ksi_term(env, name)
  local parts = env.at[name]
  if parts then return parts end
  local _, at = string.find(env.terms, '\\n' .. name .. ' ', 1, true)
  parts = { string.match(env.terms, '^([^\\1\\n]*)\\1?([^\\n]*)', at + 1) }
  env.at[name] = parts
  return parts
end

local function ksi_key(env, name, id)
  local parts = ksi_term(env, name)
  return parts[1] .. (id or '') .. parts[2]
end

local function ksi_setting(env, name)
  return tonumber(ksi_term(env, name)[1])
end

-- Whether the agent is registered, which does not change within a script.
local function ksi_exists(env, agent_id)
  local known = env.known[agent_id]
  if known == nil then
    known = redis.call('EXISTS', ksi_key(env, 'agent', agent_id)) == 1
    env.known[agent_id] = known
  end
  return known
end

local function ksi_tell(env, what, agent_id, message_id, fact, more)
  env.told = env.told + 1
  local correlation = fact.correlation == '' and '' or ',"correlation_id":' .. fact.correlation
  local event = '{"id":"' .. env.seed .. '-' .. env.told .. '","timestamp":"' .. env.timestamp .. '","event_type":"message.'
    .. what .. '","source":"' .. agent_id .. '","agent_id":"' .. agent_id .. '","target":"' .. fact.sender
    .. '","payload":{"message_id":"' .. message_id .. '"' .. correlation .. (more or '') .. '}}'
  ksi_append(env.log, event, { ksi_key(env, 'firehose') })
end

local function ksi_read_fact(env, agent_id, message_id)
  local text = redis.call('HGET', ksi_key(env, 'facts', agent_id), message_id)
  if not text then return nil end
  local fact = {}
  fact.entry, fact.deliveries, fact.consumer, fact.expires, fact.sender, fact.correlation =
    string.match(text, '^(%S+) (%d+) (%S+) (%S+) (%S+) ?(.*)$')
  fact.deliveries = tonumber(fact.deliveries)
  return fact
end

local function ksi_write_fact(env, agent_id, message_id, fact)
  redis.call('HSET', ksi_key(env, 'facts', agent_id), message_id, fact.entry .. ' ' .. fact.deliveries .. ' '
    .. fact.consumer .. ' ' .. fact.expires .. ' ' .. fact.sender .. ' ' .. fact.correlation)
end

local function ksi_number(entry)
  return tonumber(string.match(entry, '-(%d+)$'))
end

local function ksi_is_expired(env, fact)
  return fact.expires ~= '-' and tonumber(fact.expires) <= env.now_ms
end

-- Out of the ledger, whatever it was there.
local function ksi_strike(env, agent_id, message_id, fact)
  if redis.call('ZREM', ksi_key(env, 'ready', agent_id), message_id) == 0 then
    redis.call('ZREM', ksi_key(env, 'taken', agent_id), message_id)
    redis.call('ZREM', ksi_key(env, 'consumer', agent_id .. ':' .. fact.consumer), message_id)
  end
  redis.call('HDEL', ksi_key(env, 'facts', agent_id), message_id)
  if fact.expires ~= '-' then redis.call('ZREM', ksi_key(env, 'expiring'), agent_id .. ' ' .. message_id) end
end

local function ksi_expire(env, agent_id, message_id, fact)
  ksi_strike(env, agent_id, message_id, fact)
  ksi_tell(env, 'expired', agent_id, message_id, fact)
end

local function ksi_body(env, agent_id, fact)
  local found = redis.call('XRANGE', ksi_key(env, 'inbox', agent_id), fact.entry, fact.entry)
  return found[1] and found[1][2][2]
end

-- The oldest letters make room for new ones.
local function ksi_bury(env, agent_id, message_id, fact, reason, json)
  local dead, letters = ksi_key(env, 'dead', agent_id), ksi_key(env, 'letters', agent_id)
  local last = redis.call('ZRANGE', dead, -1, -1, 'WITHSCORES')
  local score = math.max(env.now_us, (tonumber(last[2]) or 0) + 1)
  redis.call('ZADD', dead, string.format('%.0f', score), message_id)
  redis.call('HSET', letters, message_id, reason .. ' ' .. fact.deliveries .. ' ' .. fact.expires .. ' ' .. env.timestamp
    .. ' ' .. fact.sender .. '\\n' .. fact.correlation .. '\\n' .. json)
  if redis.call('ZCARD', dead) > ksi_setting(env, 'max_letters') then
    local oldest = redis.call('ZPOPMIN', dead)[1]
    redis.call('HDEL', letters, oldest)
  end
  ksi_tell(env, 'dead', agent_id, message_id, fact, ',"reason":"' .. reason .. '","deliveries":' .. fact.deliveries)
end

local function ksi_die(env, agent_id, message_id, fact, reason)
  local json = ksi_body(env, agent_id, fact)
  ksi_strike(env, agent_id, message_id, fact)
  if json then ksi_bury(env, agent_id, message_id, fact, reason, json) end
end

-- The id and fact of what has been in the ledger for longest.
local function ksi_oldest(env, agent_id)
  local id, number
  for _, name in ipairs({ 'ready', 'taken' }) do
    local first = redis.call('ZRANGE', ksi_key(env, name, agent_id), 0, 0, 'WITHSCORES')
    if first[1] and (not number or tonumber(first[2]) < number) then id, number = first[1], tonumber(first[2]) end
  end
  return id, id and ksi_read_fact(env, agent_id, id)
end

-- The cap of the channel's length. What another epoch numbered is not compared: it is kept until it is acknowledged.
local function ksi_cap_inbox(env, agent_id, number)
  local inbox = ksi_key(env, 'inbox', agent_id)
  local max = tonumber(env.log.max)
  if redis.call('XLEN', inbox) <= max then return end
  local cut = env.log.epoch .. '-' .. string.format('%.0f', number - max + 1)
  for deaths = 0, ${mostDeaths} do
    local id, fact = ksi_oldest(env, agent_id)
    if not id then break end
    local is_here = string.match(fact.entry, '^%d+') == env.log.epoch
    if is_here and ksi_number(fact.entry) > number - max then break end
    -- After a cap that was lowered there may be more than one call can bury: the rest is for the next ones.
    if not is_here or deaths == ${mostDeaths} then
      cut = fact.entry
      break
    end
    ksi_die(env, agent_id, id, fact, 'overtaken')
  end
  redis.call('XTRIM', inbox, 'MINID', cut)
end

local function ksi_is_full(env, agent_id)
  local count = redis.call('ZCARD', ksi_key(env, 'ready', agent_id)) + redis.call('ZCARD', ksi_key(env, 'taken', agent_id))
  return count >= ksi_setting(env, 'max_messages')
end

local function ksi_put(env, agent_id, message_id, json, fact)
  fact.entry = ksi_append(env.log, json, { ksi_key(env, 'inbox', agent_id) }, true)
  local number = ksi_number(fact.entry)
  redis.call('ZADD', ksi_key(env, 'ready', agent_id), string.format('%.0f', number), message_id)
  ksi_write_fact(env, agent_id, message_id, fact)
  if fact.expires ~= '-' then
    redis.call('ZADD', ksi_key(env, 'expiring'), fact.expires, agent_id .. ' ' .. message_id)
  end
  -- Seldom enough to cost nothing, often enough that the channel is never much too long.
  if number % 64 == 0 then ksi_cap_inbox(env, agent_id, number) end
end

-- Back from a consumer to where others can take it.
local function ksi_give_back(env, agent_id, message_id)
  redis.call('ZREM', ksi_key(env, 'taken', agent_id), message_id)
  local fact = ksi_read_fact(env, agent_id, message_id)
  if not fact then return end
  fact.consumer = '-'
  redis.call('ZADD', ksi_key(env, 'ready', agent_id), string.format('%.0f', ksi_number(fact.entry)), message_id)
  ksi_write_fact(env, agent_id, message_id, fact)
end

-- Consumers of the shared inbox look again.
local function ksi_next_turn(env, agent_id)
  redis.call('PUBLISH', ksi_key(env, 'turn', agent_id), '')
end
`;

/** Dead letters that an inbox keeps. */
const maxLetters = 1_000;

/** Names of keys (a control character stands for the id) and settings, a line each after a line break. */
export function inboxTerms(keys: TenantKeys, messaging: Messaging): string {
  const any = "\u0001";
  const { index, letters } = keys.deadLetters(any);
  const terms = {
    inbox: keys.channel(channels.inbox(any)),
    firehose: keys.channel(channels.firehose),
    ready: keys.inboxReady(any),
    taken: keys.inboxTaken(any),
    facts: keys.inboxFacts(any),
    consumer: keys.inboxConsumer(any),
    turn: keys.inboxTurn(any),
    dead: index,
    letters,
    consumers: keys.inboxConsumers,
    expiring: keys.expiringMessages,
    agent: keys.agent(any),
    agents: keys.agents,
    online: keys.onlineAgents,
    used: keys.agentsUsed,
    can: keys.agentsWith(any),
    rate: keys.messageRate(any),
    reply: keys.channel(channels.reply(any)),
    request: keys.request(any),
    max_messages: messaging.maxInboxMessages,
    max_deliveries: messaging.maxDeliveries,
    ack_timeout_ms: messaging.ackTimeoutMs,
    max_letters: maxLetters,
  };
  return Object.entries(terms)
    .map(([name, value]) => `\n${name} ${value}`)
    .join("");
}
