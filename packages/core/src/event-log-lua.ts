/**
 * The Lua that writes to the event log, for every script that changes state and says so in one atomic step.
 *
 * Put `eventLogLua` before the script's own text. It defines three local functions and runs nothing by itself:
 *
 * | call | does |
 * | --- | --- |
 * | `local log = ksi_open_log(epoch_key, terms)` | once, before the first append. `epoch_key` is the tenant's `keys.epoch`, given in KEYS; `terms` come from `logTerms` (`log.terms` of the EventLog, given in ARGV). Writes the epoch if there is none yet, or if numbers could repeat |
 * | `ksi_append(log, event_json, channel_keys, is_uncapped)` | appends the event, as it is, to each channel: `channel_keys` is a table of full keys (`keys.channel(name)`) that the script was given in KEYS, the event's home first. May be called any number of times. Gives the entry's id in the last of them. `is_uncapped` leaves the length to the caller |
 * | `ksi_publish(log)` | once, at the end: tells the followers, with one PUBLISH per channel touched |
 *
 * An event that is appended and not published reaches followers only with the next one, so no early `return` may pass
 * by `ksi_publish`. `event_json` is one line: what `JSON.stringify` gives for a `newEvent(…)`.
 *
 * ```lua
 * -- KEYS: 1 run, 2 epoch, 3 the run's channel, 4 the firehose. ARGV: 1 terms, 2 event
 * if redis.call('HGET', KEYS[1], 'status') ~= 'queued' then return 0 end
 * redis.call('HSET', KEYS[1], 'status', 'cancelled')
 * local log = ksi_open_log(KEYS[2], ARGV[1])
 * ksi_append(log, ARGV[2], { KEYS[3], KEYS[4] })
 * ksi_publish(log)
 * return 1
 * ```
 *
 * Numbers: an entry's id is `epoch-n`, and n goes up by one, without holes. The first number of a channel in an epoch is
 * the time in microseconds, so that a channel which is deleted and made again never repeats one, and is never 0, so that
 * there is always a cursor before it.
 *
 * Epochs: a Redis that may lose its tail gives numbers a second time when it comes back without it. There the epoch also
 * remembers the replication id, which is another one after every restart and failover, and the first append that finds it
 * changed begins a new epoch. Followers of the old one then meet `epoch_changed`, whether something was lost or not.
 */
export const eventLogLua = `
local function ksi_now_us()
  local now = redis.call('TIME')
  return now[1] .. string.format('%06d', now[2])
end

local function ksi_open_epoch(epoch_key, is_lossy)
  local epoch, server = string.match(redis.call('GET', epoch_key) or '', '^(%d+) ?(%x*)$')
  if epoch and not is_lossy then return epoch end
  local now = string.sub(ksi_now_us(), 1, -4)
  if not is_lossy then
    redis.call('SET', epoch_key, now)
    return now
  end
  local current = string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)')
  if epoch and server == current then return epoch end
  -- An epoch without a server is of a time when this Redis was trusted to forget nothing.
  if not epoch then
    epoch = now
  elseif server ~= '' then
    -- A clock that is behind, such as that of a replica which took over, must not lead back.
    epoch = string.format('%.0f', math.max(tonumber(now), tonumber(epoch) + 1))
  end
  redis.call('SET', epoch_key, epoch .. ' ' .. current)
  return epoch
end

local function ksi_open_log(epoch_key, terms)
  local max_events, lossy = string.match(terms, '^(%d+) ?(%a*)$')
  local epoch = ksi_open_epoch(epoch_key, lossy ~= '')
  -- Joining strings is most of what this costs beside XADD itself, so what is the same for all appends is made here.
  return { max = max_events, epoch = epoch, is_lossy = lossy ~= '', next_id = epoch .. '-*', zero = epoch .. '-0', dot = epoch .. '.', after = #epoch + 2, keys = {}, lines = {} }
end

local function ksi_append(log, event_json, channel_keys, is_uncapped)
  local id
  for i = 1, #channel_keys do
    local key = channel_keys[i]
    if is_uncapped then
      id = redis.call('XADD', key, 'NOMKSTREAM', log.next_id, 'e', event_json)
    else
      id = redis.call('XADD', key, 'NOMKSTREAM', 'MAXLEN', '~', log.max, log.next_id, 'e', event_json)
    end
    local is_first = not id
    if id == log.zero then
      -- An older epoch's channel: its numbering starts anew, like that of a new one.
      redis.call('XDEL', key, id)
      is_first = true
    end
    if is_first then
      id = redis.call('XADD', key, log.epoch .. '-' .. ksi_now_us(), 'e', event_json)
    end
    local lines = log.lines[key]
    if not lines then
      lines = {}
      log.lines[key] = lines
      log.keys[#log.keys + 1] = key
    end
    lines[#lines + 1] = log.dot .. string.sub(id, log.after) .. ' ' .. event_json
  end
  return id
end

local function ksi_publish(log)
  for _, key in ipairs(log.keys) do
    redis.call('PUBLISH', key, table.concat(log.lines[key], '\\n'))
  end
end
`;

/** What a log is written on: the cap of a channel's length, and whether Redis may forget what it acknowledged. */
export function logTerms({ maxEvents, mayLoseTail }: { maxEvents: number; mayLoseTail: boolean }): string {
  return mayLoseTail ? `${maxEvents} lossy` : String(maxEvents);
}
