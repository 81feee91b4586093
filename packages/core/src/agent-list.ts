/**
 * Pages of agents in the order of their ids, each filled as long as there are matches.
 *
 * No call of Redis reads more than 500 records, so a filter that few agents pass takes several. Where one of the indexes
 * that it names is short, only the agents in there are looked at; else all are, from the beginning of the page on.
 */
import type { Agent, AgentsListInput, AgentsPage } from "@ksi/contract";
import type { AgentFilter, AgentStore } from "./agent-store.ts";
import type { TenantKeys } from "./redis/keys.ts";
import type { Store } from "./redis/store.ts";

export interface AgentListOptions {
  readonly redis: Store["commands"];
  readonly keys: TenantKeys;
  readonly agents: Pick<AgentStore, "read">;
}

/** Records that one call looks at where a filter leaves out an unknown share of them. */
const scannedAtOnce = 500;
/** Members of an index that is read as a whole: those by which one can filter are not in the order of ids. */
const shortIndex = 2_000;

export async function listAgents(options: AgentListOptions, input: AgentsListInput): Promise<AgentsPage> {
  const { after, limit, ...filter } = input;
  const found: Agent[] = [];
  for await (const ids of candidates(options, input)) {
    // One more than is shown, to know whether there is a next page.
    found.push(...(await options.agents.read(ids, filter, limit + 1 - found.length)));
    if (found.length > limit) break;
  }
  const shown = found.slice(0, limit);
  const next = found.length > limit ? shown.at(-1)?.agent_id : undefined;
  return { agents: shown, ...(next !== undefined && { next }) };
}

/** Ids behind `after`, in order, among which are all that match. */
async function* candidates(options: AgentListOptions, { after, limit, ...filter }: AgentsListInput) {
  const few = await readShortIndex(options, filter);
  if (few) {
    const ids = few.filter((id) => after === undefined || id > after).sort();
    for (let i = 0; i < ids.length; i += scannedAtOnce) yield ids.slice(i, i + scannedAtOnce);
    return;
  }
  const isFiltered = Object.values(filter).some((value) => value !== undefined);
  const count = isFiltered ? scannedAtOnce : limit + 1;
  for (let last = after; ; ) {
    const from = last === undefined ? "-" : `(${last}`;
    const ids = await options.redis.zrangebylex(options.keys.agents, from, "+", "LIMIT", 0, count);
    yield ids;
    if (ids.length < count) return;
    last = ids.at(-1);
  }
}

/** All ids of the shortest index that the filter names. Undefined where that is long, or none is named. */
async function readShortIndex({ redis, keys }: AgentListOptions, { capability, status }: AgentFilter) {
  const [able, online] = await Promise.all([
    capability === undefined ? Number.POSITIVE_INFINITY : redis.scard(keys.agentsWith(capability)),
    status === "online" ? redis.zcard(keys.onlineAgents) : Number.POSITIVE_INFINITY,
  ]);
  if (Math.min(able, online) > shortIndex) return undefined;
  if (capability !== undefined && able <= online) return await redis.smembers(keys.agentsWith(capability));
  return await redis.zrange(keys.onlineAgents, "0", "-1");
}
