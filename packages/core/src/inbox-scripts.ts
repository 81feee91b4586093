/** What is done to inboxes, each in one atomic script on the ledger of `inbox-lua.ts`. */
import { createInboxScript } from "./inbox-script.ts";

/**
 * For a consumer that gets all: the end of the channel (empty where it has none), then id and entry of each message that
 * is not acknowledged. Nil where the agent is not registered. Messages that were delivered as often as they may be are
 * dead, and those whose time is over expired. Events: message.dead, message.expired.
 */
export const openInboxScript = createInboxScript(
  ["agent_id"],
  `
if not ksi_exists(env, agent_id) then return false end
local max, pending = ksi_setting(env, 'max_deliveries'), { '' }
for _, name in ipairs({ 'ready', 'taken' }) do
  for _, id in ipairs(redis.call('ZRANGE', ksi_key(env, name, agent_id), 0, -1)) do
    local fact = ksi_read_fact(env, agent_id, id)
    if ksi_is_expired(env, fact) then
      ksi_expire(env, agent_id, id, fact)
    elseif name == 'ready' and fact.deliveries >= max then
      ksi_die(env, agent_id, id, fact, 'max_deliveries')
    else
      pending[#pending + 1] = id
      pending[#pending + 1] = fact.entry
    end
  end
end
local inbox = ksi_key(env, 'inbox', agent_id)
if redis.call('EXISTS', inbox) == 1 then
  local facts = redis.call('XINFO', 'STREAM', inbox)
  for i = 1, #facts, 2 do
    if facts[i] == 'last-generated-id' then pending[1] = facts[i + 1] end
  end
end
return pending
`,
);

/**
 * REST: agent_id, id, and 1 where it was delivered before, of each message that a consumer was handed. Events:
 * message.delivered.
 */
export const noteDeliveredScript = createInboxScript(
  [],
  `
for i = REST, #ARGV, 3 do
  local agent_id, id = ARGV[i], ARGV[i + 1]
  local fact = ksi_read_fact(env, agent_id, id)
  if fact and (fact.deliveries == 0 or ARGV[i + 2] == '1') then
    if fact.deliveries == 0 then ksi_tell(env, 'delivered', agent_id, id, fact) end
    fact.deliveries = fact.deliveries + 1
    ksi_write_fact(env, agent_id, id, fact)
  end
end
`,
);

/**
 * REST: agent_id and id of each message. Gives 1 for each that was not acknowledged before, -1 where the agent is not
 * registered, and else 0. Events: message.acked, and message.delivered where that was not told yet.
 */
export const ackScript = createInboxScript(
  [],
  `
local acked, was_taken = {}, {}
for i = REST, #ARGV, 2 do
  local agent_id, id = ARGV[i], ARGV[i + 1]
  local fact = ksi_exists(env, agent_id) and ksi_read_fact(env, agent_id, id)
  if fact then
    if fact.consumer ~= '-' then was_taken[agent_id] = true end
    ksi_strike(env, agent_id, id, fact)
    -- It has overtaken the note of its delivery, which will find nothing any more.
    if fact.deliveries == 0 then ksi_tell(env, 'delivered', agent_id, id, fact) end
    ksi_tell(env, 'acked', agent_id, id, fact)
  end
  acked[#acked + 1] = fact and 1 or ksi_exists(env, agent_id) and 0 or -1
end
for agent_id in pairs(was_taken) do ksi_next_turn(env, agent_id) end
return acked
`,
);

/**
 * What a consumer of the shared inbox may have now, up to `max_bytes`: cursor and JSON of each message. Nil where the agent
 * is not registered. Also a sign of the consumer's life. Events: message.delivered, message.expired, message.dead.
 */
export const takeScript = createInboxScript(
  ["agent_id", "consumer_id", "prefetch", "alive_ms", "max_bytes"],
  `
if not ksi_exists(env, agent_id) then return false end
local own = ksi_key(env, 'consumer', agent_id .. ':' .. consumer_id)
redis.call('ZADD', ksi_key(env, 'consumers'), env.now_ms + alive_ms, agent_id .. ' ' .. consumer_id)
local ready, taken, got = ksi_key(env, 'ready', agent_id), ksi_key(env, 'taken', agent_id), {}
local room, bytes = prefetch - redis.call('ZCARD', own), tonumber(max_bytes)
while room > 0 and bytes > 0 do
  local ids = redis.call('ZRANGE', ready, 0, math.min(room, 50) - 1, 'WITHSCORES')
  if #ids == 0 then break end
  for i = 1, #ids, 2 do
    local id, fact = ids[i], ksi_read_fact(env, agent_id, ids[i])
    local json = ksi_body(env, agent_id, fact)
    if ksi_is_expired(env, fact) or not json then
      ksi_expire(env, agent_id, id, fact)
    elseif fact.deliveries >= ksi_setting(env, 'max_deliveries') then
      ksi_die(env, agent_id, id, fact, 'max_deliveries')
    elseif bytes > 0 then
      redis.call('ZREM', ready, id)
      redis.call('ZADD', taken, ids[i + 1], id)
      redis.call('ZADD', own, env.now_ms + ksi_setting(env, 'ack_timeout_ms'), id)
      if fact.deliveries == 0 then ksi_tell(env, 'delivered', agent_id, id, fact) end
      fact.deliveries, fact.consumer = fact.deliveries + 1, consumer_id
      ksi_write_fact(env, agent_id, id, fact)
      got[#got + 1] = string.gsub(fact.entry, '-', '.')
      got[#got + 1] = json
      room, bytes = room - 1, bytes - #json
    end
  end
end
return got
`,
);

/**
 * REST: ids. What consumers hold of them is ready again, at once or after `delay_ms`. Gives how many, or nil where the agent
 * is not registered. What waits is held by a consumer called `later`, which is nobody.
 */
export const nackScript = createInboxScript(
  ["agent_id", "delay_ms"],
  `
if not ksi_exists(env, agent_id) then return false end
local later, due, count = ksi_key(env, 'consumer', agent_id .. ':later'), env.now_ms + delay_ms, 0
for i = REST, #ARGV do
  local id, fact = ARGV[i], ksi_read_fact(env, agent_id, ARGV[i])
  if fact and fact.consumer ~= '-' and fact.consumer ~= 'later' then
    redis.call('ZREM', ksi_key(env, 'consumer', agent_id .. ':' .. fact.consumer), id)
    count = count + 1
    if delay_ms == '0' then
      ksi_give_back(env, agent_id, id)
    else
      fact.consumer = 'later'
      ksi_write_fact(env, agent_id, id, fact)
      redis.call('ZADD', later, due, id)
      redis.call('ZADD', ksi_key(env, 'consumers'), 'LT', due, agent_id .. ' later')
    end
  end
end
if count > 0 then ksi_next_turn(env, agent_id) end
return count
`,
);

/** A consumer of the shared inbox has gone: others may have what it held. */
export const leaveScript = createInboxScript(
  ["agent_id", "consumer_id"],
  `
local own = ksi_key(env, 'consumer', agent_id .. ':' .. consumer_id)
for _, id in ipairs(redis.call('ZRANGE', own, 0, -1)) do ksi_give_back(env, agent_id, id) end
redis.call('DEL', own)
redis.call('ZREM', ksi_key(env, 'consumers'), agent_id .. ' ' .. consumer_id)
ksi_next_turn(env, agent_id)
`,
);

/** REST: agent_id and consumer_id of consumers that are alive. What one holds for too long goes back. */
export const beatScript = createInboxScript(
  ["alive_ms"],
  `
for i = REST, #ARGV, 2 do
  local agent_id, own = ARGV[i], ksi_key(env, 'consumer', ARGV[i] .. ':' .. ARGV[i + 1])
  redis.call('ZADD', ksi_key(env, 'consumers'), env.now_ms + alive_ms, agent_id .. ' ' .. ARGV[i + 1])
  local late = redis.call('ZRANGEBYSCORE', own, '-inf', env.now_ms)
  for _, id in ipairs(late) do
    ksi_give_back(env, agent_id, id)
    redis.call('ZREM', own, id)
  end
  if #late > 0 then ksi_next_turn(env, agent_id) end
end
`,
);

/**
 * What time has done: messages expire, and what dead consumers held goes back. At most `most` of either. Gives how many.
 * Events: message.expired.
 */
export const sweepScript = createInboxScript(
  ["most"],
  `
local over = redis.call('ZRANGEBYSCORE', ksi_key(env, 'expiring'), '-inf', env.now_ms, 'LIMIT', 0, most)
for _, member in ipairs(over) do
  local agent_id, id = string.match(member, '^(%S+) (%S+)$')
  local fact = ksi_read_fact(env, agent_id, id)
  if fact then
    ksi_expire(env, agent_id, id, fact)
    -- Whoever held it has room for another.
    if fact.consumer ~= '-' then ksi_next_turn(env, agent_id) end
  end
  redis.call('ZREM', ksi_key(env, 'expiring'), member)
end
local dead = redis.call('ZRANGEBYSCORE', ksi_key(env, 'consumers'), '-inf', env.now_ms, 'LIMIT', 0, most)
for _, member in ipairs(dead) do
  local agent_id, consumer_id = string.match(member, '^(%S+) (%S+)$')
  local own = ksi_key(env, 'consumer', agent_id .. ':' .. consumer_id)
  -- Of what was given back for later only what is due, of a dead consumer all.
  local last = consumer_id == 'later' and env.now_ms or '+inf'
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', own, '-inf', last)) do
    ksi_give_back(env, agent_id, id)
    redis.call('ZREM', own, id)
  end
  local next_due = redis.call('ZRANGE', own, 0, 0, 'WITHSCORES')[2]
  if next_due then
    redis.call('ZADD', ksi_key(env, 'consumers'), next_due, member)
  else
    redis.call('ZREM', ksi_key(env, 'consumers'), member)
  end
  ksi_next_turn(env, agent_id)
end
return #over + #dead
`,
);

/**
 * REST: ids of dead letters. Puts them back at the inbox's end, as long as there is room, and gives how many; nil where the
 * agent is not registered. Events: message.redriven, message.expired.
 */
export const redriveScript = createInboxScript(
  ["agent_id"],
  `
if not ksi_exists(env, agent_id) then return false end
local dead, letters = ksi_key(env, 'dead', agent_id), ksi_key(env, 'letters', agent_id)
local redriven = 0
for i = REST, #ARGV do
  local id = ARGV[i]
  local letter = redis.call('HGET', letters, id)
  if letter and not ksi_is_full(env, agent_id) then
    local fact, json = { deliveries = 0, consumer = '-' }, nil
    fact.expires, fact.sender, fact.correlation, json = string.match(letter, '^%S+ %S+ (%S+) %S+ (%S+)\\n(.*)\\n(.*)$')
    redis.call('ZREM', dead, id)
    redis.call('HDEL', letters, id)
    if ksi_is_expired(env, fact) then
      ksi_tell(env, 'expired', agent_id, id, fact)
    else
      -- What is put back is as old as its return, or the history's end would take it at once.
      local bare = string.gsub(json, ',"redriven_at":"[^"]*"}$', '}')
      json = string.sub(bare, 1, -2) .. ',"redriven_at":"' .. env.timestamp .. '"}'
      -- The message may be in the inbox again by itself: then there is nothing to do.
      if not ksi_read_fact(env, agent_id, id) then ksi_put(env, agent_id, id, json, fact) end
      ksi_tell(env, 'redriven', agent_id, id, fact)
      redriven = redriven + 1
    end
  end
end
return redriven
`,
);

/** What is older than `first`, the first entry of the channel that is to be kept, expires. Events: message.expired. */
export const expireBeforeScript = createInboxScript(
  ["agent_id", "first"],
  `
local epoch, number = string.match(first, '^(%d+)-(%d+)$')
for _, name in ipairs({ 'ready', 'taken' }) do
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', ksi_key(env, name, agent_id), '-inf', '(' .. number)) do
    local fact = ksi_read_fact(env, agent_id, id)
    if tonumber(string.match(fact.entry, '^%d+')) <= tonumber(epoch) then ksi_expire(env, agent_id, id, fact) end
  end
end
`,
);
