/** The one script that sends: each message is in all its places when it has run, or in none. */
import { limits } from "@ksi/contract";
import { isoLua } from "./agent-scripts.ts";
import { createInboxScript } from "./inbox-script.ts";

/**
 * Inboxes and agents that one call of Redis deals with, which answers nobody else meanwhile. One message may take more: it
 * is in all its places or in none.
 */
const callMaxWork = 5_000;
/** Agents that are looked up at once; Lua's stack holds some thousand. */
const lookedUpAtOnce = 1_000;
/** The first answer to an idempotency key is kept for a day. */
const idempotencyMs = 86_400_000;

/**
 * REST, of each message: its JSON before and after the target, id, source, way (direct, capability, broadcast), address
 * (target, or capabilities one a line), time to live (ms, empty for none), correlation id, and as JSON, key and hash of
 * its idempotency, who waits for an answer, and how long (ms). Gives one list a message: what became of it, and facts (see
 * `toDelivery` of `message-sender.ts`). Those behind the last list are not begun: enough was done for one call.
 * Events: the messages; message.delivered for the answer to a request; message.dead for inboxes that a broadcast found
 * full; message.blocked.
 */
export const sendScript = createInboxScript(
  ["bus", "agents_broadcast", "max_per_minute"],
  `
${isoLua}
local firehose = ksi_key(env, 'firehose')
local work = 0

-- The online agent with the most of the capabilities, and of those the one used the longest ago.
local function choose(capabilities, source, turn)
  local able, counts = {}, {}
  for capability in string.gmatch(capabilities, '[^\\n]+') do
    for _, agent_id in ipairs(redis.call('SMEMBERS', ksi_key(env, 'can', capability))) do
      work = work + 1
      if agent_id ~= source then
        if not counts[agent_id] then able[#able + 1] = agent_id end
        counts[agent_id] = (counts[agent_id] or 0) + 1
      end
    end
  end
  local best, most, last
  for first = 1, #able, ${lookedUpAtOnce} do
    local some = { unpack(able, first, math.min(first + ${lookedUpAtOnce} - 1, #able)) }
    local online = redis.call('ZMSCORE', ksi_key(env, 'online'), unpack(some))
    local used_at = redis.call('ZMSCORE', ksi_key(env, 'used'), unpack(some))
    for i, agent_id in ipairs(some) do
      local count, used = counts[agent_id], tonumber(used_at[i] or 0)
      local is_better = not most or count > most or (count == most and (used < last or (used == last and agent_id < best)))
      if online[i] and is_better then best, most, last = agent_id, count, used end
    end
  end
  if best then redis.call('ZADD', ksi_key(env, 'used'), string.format('%.0f', env.now_us + turn), best) end
  return best
end

-- Only agents can answer each other without end. Gives how long (ms) to wait where they have sent too much.
local function too_many(source, target)
  local limit = tonumber(max_per_minute)
  if limit == 0 or not ksi_exists(env, source) then return nil end
  local pair = source < target and source .. ':' .. target or target .. ':' .. source
  local rate = ksi_key(env, 'rate', pair)
  local count = redis.call('INCR', rate)
  if count == 1 then redis.call('PEXPIRE', rate, 60000) end
  if count <= limit then return nil end
  if count == limit + 1 then
    env.told = env.told + 1
    ksi_append(env.log, '{"id":"' .. env.seed .. '-' .. env.told .. '","timestamp":"' .. env.timestamp
      .. '","event_type":"message.blocked","source":"' .. source .. '"' .. (target == '' and '' or ',"target":"' .. target .. '"')
      .. ',"payload":{"reason":"rate","limit":' .. limit .. '}}', { firehose })
  end
  return redis.call('PTTL', rate)
end

local function send(m, turn)
  if m.idempotency_key ~= '' then
    local first = redis.call('GET', m.idempotency_key)
    if first then
      local hash, id, target, recipients = string.match(first, '^(%S+) (%S+) (%S*) (%d+)$')
      if hash ~= m.hash then return { 'conflict' } end
      return { 'sent', id, target, recipients }
    end
  end
  if m.awaited_by ~= '' and redis.call('EXISTS', ksi_key(env, 'request', m.correlation_id)) == 1 then return { 'awaited' } end

  local target = m.address
  if m.way == 'capability' then
    target = choose(m.address, m.source, turn)
    if not target then return { 'no agent' } end
  end
  local is_answer = m.way == 'direct' and m.awaited_by == '' and m.correlation_id ~= ''
    and string.match(redis.call('GET', ksi_key(env, 'request', m.correlation_id)) or '', '^%S+') == target
  if m.way == 'direct' and not is_answer and not ksi_exists(env, target) then return { 'no target' } end
  if m.way ~= 'broadcast' and not is_answer and ksi_is_full(env, target) then return { 'full', target } end
  local wait = too_many(m.source, target)
  if wait then return { 'too many', target == '' and 'others' or target, tostring(wait) } end

  local expires, expiry = '-', ''
  if m.ttl ~= '' then
    expires = string.format('%.0f', env.now_ms + m.ttl)
    expiry = ',"expires_at":"' .. ksi_iso(env.now_ms + m.ttl) .. '"'
  end
  local everybody = m.way == 'broadcast' and redis.call('ZRANGE', ksi_key(env, 'agents'), 0, -1) or {}
  if #everybody * (#m.before + #m.after) > ${limits.broadcastBytes} then return { 'too large', tostring(#everybody) } end
  local json = m.before .. (target == '' and '' or ',"target":"' .. target .. '"') .. expiry .. m.after
  local fact = { deliveries = 0, consumer = '-', expires = expires, sender = m.source, correlation = m.correlation_json }
  local recipients = 0
  -- Before what becomes of it: who follows the firehose can tell what a receipt is about.
  ksi_append(env.log, json, { bus, firehose })
  if is_answer then
    local reply = ksi_key(env, 'reply', m.correlation_id)
    ksi_append(env.log, json, { reply })
    redis.call('PEXPIRE', reply, 60000)
    redis.call('DEL', ksi_key(env, 'request', m.correlation_id))
    ksi_tell(env, 'delivered', target, m.id, fact)
    recipients = 1
  elseif m.way ~= 'broadcast' then
    ksi_put(env, target, m.id, json, fact)
    recipients = 1
  else
    -- To copy 10 kB costs as much as the rest.
    work = work + #everybody * (1 + #json / 10000)
    for _, agent_id in ipairs(everybody) do
      if agent_id ~= m.source then
        if ksi_is_full(env, agent_id) then
          ksi_bury(env, agent_id, m.id, fact, 'inbox_full', json)
        else
          ksi_put(env, agent_id, m.id, json, fact)
          recipients = recipients + 1
        end
      end
    end
    ksi_append(env.log, json, { agents_broadcast })
  end

  if m.awaited_by ~= '' then
    -- The answer to an earlier request, whose asker died before it had it.
    redis.call('DEL', ksi_key(env, 'reply', m.correlation_id))
    redis.call('SET', ksi_key(env, 'request', m.correlation_id), m.awaited_by .. ' ' .. m.id, 'PX', m.timeout_ms)
  end
  if m.idempotency_key ~= '' then
    redis.call('SET', m.idempotency_key, m.hash .. ' ' .. m.id .. ' ' .. target .. ' ' .. recipients, 'PX', ${idempotencyMs})
  end
  return { 'sent', m.id, target, tostring(recipients) }
end

local answers = {}
local fields = { 'before', 'after', 'id', 'source', 'way', 'address', 'ttl', 'correlation_id', 'correlation_json',
  'idempotency_key', 'hash', 'awaited_by', 'timeout_ms' }
for i = REST, #ARGV, #fields do
  if work >= ${callMaxWork} then break end
  local m = {}
  for j, name in ipairs(fields) do m[name] = ARGV[i + j - 1] end
  answers[#answers + 1] = send(m, #answers)
end
return answers
`,
);
