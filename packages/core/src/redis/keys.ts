/**
 * Every key that KSI has in Redis. No other module spells one.
 *
 * The tenant is the hash tag, so all keys of a tenant live in one slot of a Cluster and one script may touch several.
 * A channel is a Stream and a pub/sub channel of the same name (`ksi:{default}:runs:3f2b…`); what is only ours to
 * read (records, indexes, the line of a session) has names that no channel has.
 */
import type { RunStatus } from "@ksi/contract";
import { KsiError } from "@ksi/contract/errors";

export interface Keys {
  readonly prefix: string;
  /** The keys of one tenant. `default` until there are more. */
  tenant(name?: string): TenantKeys;
  /** Whose inbox a channel is. */
  inboxOf(channel: string): { readonly tenant: string; readonly agentId: string } | undefined;
}

export interface TenantKeys {
  readonly tenant: string;
  /**
   * STRING: milliseconds since 1970 at which this store began to number events, which is part of every cursor. Where Redis
   * may lose its tail, a blank and its replication id follow.
   */
  readonly epoch: string;
  /** STREAM and pub/sub channel. `name` comes from `channels`. */
  channel(name: string): string;
  /** STRING: number and answer of the last call of one process's appender to the log, with a time to live. */
  appender(id: string): string;
  /** Pub/sub only: orders to every worker, such as a cancel. */
  readonly control: string;

  /** HASH: the record of one run. */
  run(runId: string): string;
  /** ZSET: ids of all runs by time of acceptance. */
  readonly runs: string;
  /** ZSET: ids of the runs in one state, by time of acceptance. */
  runsWith(status: RunStatus): string;
  /** ZSET: ids of final runs by the time at which they ended, in milliseconds. */
  readonly endedRuns: string;
  /** SET: ids of runs whose turn has come and that no worker has claimed yet. Each must be a job. */
  readonly outbox: string;
  /** SET: ids of runs that a worker has claimed and not released yet. */
  readonly claimed: string;
  /** STRING with a time to live: there as long as this worker lives. */
  worker(workerId: string): string;
  /** STRING: the run that a caller's idempotency key made first, with a time to live. */
  idempotency(key: string): string;

  /** HASH: the record of one session. */
  session(sessionId: string): string;
  /** LIST: ids of the session's runs that are not released yet, in the order accepted. Only its head may run. */
  sessionLine(sessionId: string): string;
  /** ZSET: ids of all runs of one session by time of acceptance. */
  sessionRuns(sessionId: string): string;
  /** ZSET: ids of all sessions by time of their last run. */
  readonly sessions: string;

  /** HASH: the record of one registered agent. */
  agent(agentId: string): string;
  /** ZSET: ids of all registered agents. */
  readonly agents: string;
  /** ZSET: ids of the agents that are online by their last sign of life, in milliseconds. */
  readonly onlineAgents: string;
  /** SET: ids of the agents that have a capability. */
  agentsWith(capability: string): string;
  /** HASH: how many registered agents have each capability. */
  readonly capabilities: string;
  /** ZSET: ids of agents by when a message for a capability went to them, in microseconds. */
  readonly agentsUsed: string;

  /** ZSET: ids of an inbox's messages that are to be delivered, by their number in the channel. */
  inboxReady(agentId: string): string;
  /** ZSET: ids of an inbox's messages that a consumer of the shared inbox holds, by their number in the channel. */
  inboxTaken(agentId: string): string;
  /** HASH: facts of the messages of both, by id. */
  inboxFacts(agentId: string): string;
  /** ZSET: ids of messages that a consumer (`agent_id:consumer_id`) holds, by when they must be acknowledged, in ms. */
  inboxConsumer(agentAndConsumer: string): string;
  /** ZSET: consumers of shared inboxes (`agent_id consumer_id`) by when they count as dead, in milliseconds. */
  readonly inboxConsumers: string;
  /** ZSET: messages (`agent_id message_id`) by when they expire, in milliseconds. */
  readonly expiringMessages: string;
  /** Pub/sub only: there may be something to take in a shared inbox. */
  inboxTurn(agentId: string): string;
  /** ZSET: ids of an inbox's dead letters by when they died; and HASH: the letters by id. */
  deadLetters(agentId: string): { readonly index: string; readonly letters: string };
  /** STRING with a time to live: the message that a sender's idempotency key sent first. */
  sentMessage(key: string): string;
  /** STRING with a time to live: who waits for the answer with this correlation id, a blank, and the id of the request. */
  request(correlationId: string): string;
  /** STRING with a time to live: how many messages two agents (`one:other`, in order) have sent each other. */
  messageRate(pair: string): string;

  /** HASH: the values of a namespace of the shared state; and ZSET: its keys. */
  state(namespace: string): { readonly values: string; readonly index: string };
  /** STRING: the last version given to any key of the shared state. */
  readonly stateVersion: string;
  /** ZSET: keys of the shared state (`namespace key`) by when they expire, in milliseconds. */
  readonly stateExpiring: string;

  /** STREAMS through which producers that speak only Redis spawn runs and send messages. */
  readonly ways: { readonly spawn: string; readonly messages: string };
  /** STREAMS: what came in by them and could not be used, with the reason. */
  readonly refused: { readonly spawn: string; readonly messages: string };
  /** BullMQ's queue of runs. The name stands apart from the prefix, since BullMQ refuses a colon in it. */
  readonly queue: { readonly prefix: string; readonly name: string };
}

/** The names of the channels, without prefix and tenant. */
export const channels = {
  /** Everything of one run, text deltas included. */
  run: (runId: string) => `runs:${runId}`,
  /** How one session's runs ended: a `RunResult` each. */
  results: (sessionId: string) => `results:${sessionId}`,
  /** What one agent has been sent. */
  inbox: (agentId: string) => `agents:${agentId}:inbox`,
  /** What all agents have been sent. */
  agentsBroadcast: "agents:broadcast",
  /** The answer to a request, until it is fetched. */
  reply: (correlationId: string) => `replies:${correlationId}`,
  /** Every message. */
  messageBus: "events:message_bus",
  /** Every change of state and every message, no text deltas. */
  firehose: "events:broadcast",
} as const;

/**
 * The keys under one prefix. Two KSIs can share a Redis under different prefixes.
 *
 * `INVALID_INPUT` for a prefix that is empty or has braces in it (they would take the place of the tenant's hash tag).
 */
export function createKeys(prefix = "ksi"): Keys {
  if (!/^[^{}\s]+$/.test(prefix)) {
    throw new KsiError(
      "INVALID_INPUT",
      `The key prefix ${JSON.stringify(prefix)} must not be empty or contain braces or spaces.`,
    );
  }
  return {
    prefix,
    tenant: (name = "default") => createTenantKeys(prefix, name),
    inboxOf(channel) {
      if (!channel.startsWith(`${prefix}:{`)) return undefined;
      const [, tenant, agentId] = /^\{(.+)\}:agents:([^:]+):inbox$/.exec(channel.slice(prefix.length + 1)) ?? [];
      return tenant === undefined || agentId === undefined ? undefined : { tenant, agentId };
    },
  };
}

function createTenantKeys(prefix: string, tenant: string): TenantKeys {
  const key = (name: string) => `${prefix}:{${tenant}}:${name}`;
  return {
    tenant,
    epoch: key("epoch"),
    channel: key,
    appender: (id) => key(`appender:${id}`),
    control: key("control"),

    run: (runId) => key(`run:${runId}`),
    runs: key("index:runs"),
    runsWith: (status) => key(`index:runs:${status}`),
    endedRuns: key("index:ended"),
    outbox: key("outbox"),
    claimed: key("claimed"),
    worker: (workerId) => key(`worker:${workerId}`),
    idempotency: (idempotencyKey) => key(`idempotency:${idempotencyKey}`),

    session: (sessionId) => key(`session:${sessionId}`),
    sessionLine: (sessionId) => key(`session:${sessionId}:line`),
    sessionRuns: (sessionId) => key(`session:${sessionId}:runs`),
    sessions: key("index:sessions"),

    agent: (agentId) => key(`agent:${agentId}`),
    agents: key("index:agents"),
    onlineAgents: key("index:agents:online"),
    agentsWith: (capability) => key(`index:agents:can:${capability}`),
    capabilities: key("index:capabilities"),
    agentsUsed: key("index:agents:used"),

    inboxReady: (agentId) => key(`inbox:${agentId}:ready`),
    inboxTaken: (agentId) => key(`inbox:${agentId}:taken`),
    inboxFacts: (agentId) => key(`inbox:${agentId}:facts`),
    inboxConsumer: (agentAndConsumer) => key(`inbox:consumer:${agentAndConsumer}`),
    inboxConsumers: key("index:consumers"),
    expiringMessages: key("index:expiring"),
    inboxTurn: (agentId) => key(`inbox:${agentId}:turn`),
    deadLetters: (agentId) => ({ index: key(`inbox:${agentId}:dead`), letters: key(`inbox:${agentId}:letters`) }),
    sentMessage: (idempotencyKey) => key(`sent:${idempotencyKey}`),
    request: (correlationId) => key(`request:${correlationId}`),
    messageRate: (pair) => key(`rate:${pair}`),

    state: (namespace) => ({ values: key(`state:${namespace}|values`), index: key(`state:${namespace}|keys`) }),
    stateVersion: key("state|version"),
    stateExpiring: key("state|expiring"),

    ways: { spawn: key("commands:spawn"), messages: key("agents:messages") },
    refused: { spawn: key("commands:spawn:refused"), messages: key("agents:messages:refused") },
    queue: { prefix: key("commands"), name: "spawn" },
  };
}
