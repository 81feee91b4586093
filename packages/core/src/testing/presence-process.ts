/**
 * The presence of a server in a process of its own, to be killed: it holds a connection for each agent.
 * `node presence-process.ts REDIS_URL TENANT OFFLINE_AFTER_MS AGENT_ID…`
 */
import { startEventLogs } from "../event-log.ts";
import { startPresence } from "../presence.ts";
import { startStore } from "../redis/store.ts";
import { silentLogger } from "./fresh-redis.ts";

const [url, tenant, offlineAfterMs, ...agentIds] = process.argv.slice(2);
const logger = silentLogger;
const store = await startStore({ url, logger });
const log = startEventLogs({ store, maxEvents: 1_000 }).tenant(tenant);
const presence = startPresence({ store, log, tenant, logger, agentOfflineAfterMs: Number(offlineAfterMs) });
for (const agentId of agentIds) presence.connect(agentId);
console.log("ready");
