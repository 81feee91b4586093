/** The script that appends, and how a call of it is put into words. */
import type { Redis } from "ioredis";
import { eventLogLua } from "./event-log-lua.ts";
import { createLuaScript } from "./lua-script.ts";
import type { TenantKeys } from "./redis/keys.ts";

/** Where events go. */
interface Way {
  readonly channels: readonly string[];
  readonly guard?: { readonly runKey: string; readonly lease: number } | undefined;
}

export interface EncodedAppend extends Way {
  readonly json: string;
}

export interface EncodedAppends {
  readonly names: readonly string[];
  readonly args: readonly (string | number)[];
}

/** The call that this one follows has not been carried out, and so this one was not. */
export class TooEarly extends Error {}

/** Gives which appends their guard refused, counted from 0. Throws `TooEarly`, or what a script throws. */
export async function runAppendScript(redis: Redis, { names, args }: EncodedAppends): Promise<ReadonlySet<number>> {
  const reply = (await appendScript.run(redis, names, args)) as string;
  if (reply === tooEarly) throw new TooEarly();
  return new Set(reply.split(" ").slice(1).map(Number));
}

/** The same call, which follows nobody. */
export function withoutPredecessor({ names, args }: EncodedAppends): EncodedAppends {
  return { names, args: args.with(followsArg, "") };
}

export interface AppendCall {
  keys: TenantKeys;
  /** Where Redis remembers what it answered to this appender. */
  memoryKey: string;
  number: number;
  /** The number of the call that must have been carried out before. */
  follows: number | undefined;
  /** Of the log, from `logTerms`. */
  terms: string;
}

export function encodeAppends(appends: readonly EncodedAppend[], call: AppendCall): EncodedAppends {
  const { keys, memoryKey, number, follows, terms } = call;
  const names = [keys.epoch, memoryKey];
  const indexes = new Map<string, number>();
  const indexOf = (name: string) => {
    const known = indexes.get(name);
    if (known !== undefined) return known;
    const index = names.push(name);
    indexes.set(name, index);
    return index;
  };
  const args: (string | number)[] = [terms, number, memorySeconds, follows ?? ""];
  for (const { channels, guard, events } of groupByWay(appends)) {
    args.push(guard ? indexOf(guard.runKey) : 0, guard?.lease ?? "", channels.length);
    for (const channel of channels) args.push(indexOf(keys.channel(channel)));
    args.push(events.length, ...events);
  }
  return { names, args };
}

interface Group extends Way {
  events: string[];
}

function groupByWay(appends: readonly EncodedAppend[]): Group[] {
  const groups: Group[] = [];
  for (const { json, channels, guard } of appends) {
    const last = groups.at(-1);
    if (last && goesLike(last, { channels, guard })) last.events.push(json);
    else groups.push({ channels, guard, events: [json] });
  }
  return groups;
}

function goesLike(a: Way, b: Way): boolean {
  if (a.guard?.runKey !== b.guard?.runKey || a.guard?.lease !== b.guard?.lease) return false;
  return a.channels.length === b.channels.length && a.channels.every((channel, i) => channel === b.channels[i]);
}

/** How long Redis remembers an appender's last calls; far longer than they are repeated. */
const memorySeconds = 600;
const tooEarly = "too early";
/** Where in ARGV, counted from 0. */
const followsArg = 3;

/**
 * KEYS: 1 epoch, 2 the appender's memory, then the channels and runs that the appends point to.
 * ARGV: 1 terms, 2 the call's number, 3 seconds of memory, 4 number of the call that must have been carried out before
 * (empty for none); then the appends, in groups of those that go the same way one after the other: index in KEYS of the
 * guard's run (0 for no guard), lease, count of channels, index in KEYS of each, count of events, JSON of each.
 * Returns "number refused…", the refused appends counted from 0, or "too early" and does nothing. Events: those given, to
 * the channels given.
 */
const appendScript = createLuaScript(`${eventLogLua}
local last, before = string.match(redis.call('GET', KEYS[2]) or '', '^([^\\n]*)\\n?(.*)$')
for _, answer in ipairs({ last, before }) do
  if string.match(answer, '^%d+') == ARGV[2] then return answer end
end
if ARGV[4] ~= '' and string.match(last, '^%d+') ~= ARGV[4] then return '${tooEarly}' end
local answer = ARGV[2]

local leases = {}
local function holds(run_key, lease)
  if leases[run_key] == nil then
    local run = redis.call('HMGET', run_key, 'status', 'lease')
    leases[run_key] = run[1] == 'running' and run[2]
  end
  return leases[run_key] == lease
end

local log = ksi_open_log(KEYS[1], ARGV[1])
local at, number = 5, 0
local function take()
  at = at + 1
  return ARGV[at - 1]
end
while at <= #ARGV do
  local guard, lease, channels = tonumber(take()), take(), {}
  for i = 1, tonumber(take()) do channels[i] = KEYS[tonumber(take())] end
  local is_held = guard == 0 or holds(KEYS[guard], lease)
  for _ = 1, tonumber(take()) do
    local event = take()
    if is_held then ksi_append(log, event, channels) else answer = answer .. ' ' .. number end
    number = number + 1
  end
end
ksi_publish(log)
redis.call('SET', KEYS[2], answer .. '\\n' .. last, 'EX', ARGV[3])
return answer
`);
