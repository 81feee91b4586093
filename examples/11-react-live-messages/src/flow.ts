/** What the page shows, as a function of what it was told: agents, messages, and what became of each message. */
import type { Agent, CustomEvent, Json, KsiEvent } from "@ksi/client";

export interface Flow {
  /** By id, the one that changed last at the end. Undefined: it has left, and a list that is older is wrong about it. */
  readonly agents: ReadonlyMap<string, Agent | undefined>;
  /** Oldest first. */
  readonly messages: readonly LiveMessage[];
  /** How often events were missed that the daemon does not keep any more. */
  readonly gaps: number;
}

export interface LiveMessage {
  readonly id: string;
  readonly source: string;
  /** Without it, it is a broadcast. */
  readonly target?: string | undefined;
  readonly event_type: string;
  readonly payload: Json;
  readonly timestamp: string;
  /** The last of each receiver. */
  readonly receipts: readonly Receipt[];
}

export interface Receipt {
  readonly agent_id: string;
  readonly event_type: ReceiptEvent["event_type"];
  readonly timestamp: string;
  readonly reason?: string | undefined;
}

export type Told =
  | { kind: "started" }
  | { kind: "gap" }
  | { kind: "events"; events: readonly KsiEvent[] }
  /** A list that was asked for after so many gaps. */
  | { kind: "agents"; agents: readonly Agent[]; gaps: number };

type ReceiptEvent = Extract<KsiEvent, { payload: { message_id: string } }>;

/** Messages, and agents, that are kept at the most. */
export const most = 500;

export const emptyFlow: Flow = { agents: new Map(), messages: [], gaps: 0 };

export function nextFlow(flow: Flow, told: Told): Flow {
  switch (told.kind) {
    case "started":
      return emptyFlow;
    case "gap":
      return { ...flow, agents: new Map(), gaps: flow.gaps + 1 };
    case "events":
      return told.events.reduce(afterEvent, flow);
    case "agents": {
      if (told.gaps !== flow.gaps) return flow;
      // Events are as new as the list or newer, so it adds only those of whom no event has told.
      const unheard = told.agents.filter(({ agent_id }) => !flow.agents.has(agent_id));
      return {
        ...flow,
        agents: new Map([...unheard.map((agent) => [agent.agent_id, agent] as const), ...flow.agents]),
      };
    }
  }
}

function afterEvent(flow: Flow, event: KsiEvent): Flow {
  switch (event.event_type) {
    case "agent.joined":
    case "agent.updated":
      return { ...flow, agents: withAgent(flow.agents, event.agent_id, event.payload) };
    case "agent.left":
      return { ...flow, agents: withAgent(flow.agents, event.agent_id, undefined) };
    case "message.delivered":
    case "message.acked":
    case "message.expired":
    case "message.dead":
    case "message.redriven":
      return { ...flow, messages: withReceipt(flow.messages, event) };
    case "message.blocked":
      return { ...flow, messages: [...flow.messages, { ...event, receipts: [] }].slice(-most) };
    default:
      if (!isMessage(event)) return flow;
      return { ...flow, messages: [...flow.messages, { ...event, payload: said(event), receipts: [] }].slice(-most) };
  }
}

/** An answer that is none says why instead. */
function said({ payload, error }: CustomEvent): Json {
  return error ? { error: error.message } : payload;
}

/** What agents say has a name of their own; KSI's events are the rest. */
function isMessage(event: KsiEvent): event is CustomEvent {
  return !/^(run|agent|session|message|state|system|usage|key|profile|log)\./.test(event.event_type);
}

function withAgent(agents: Flow["agents"], id: string, agent: Agent | undefined): Flow["agents"] {
  const next = new Map(agents);
  next.delete(id);
  next.set(id, agent);
  for (const first of next.keys()) {
    if (next.size <= most) break;
    next.delete(first);
  }
  return next;
}

function withReceipt(messages: Flow["messages"], event: ReceiptEvent): Flow["messages"] {
  const index = messages.findLastIndex(({ id }) => id === event.payload.message_id);
  const message = messages[index];
  if (!message) return messages;
  const { agent_id, event_type, timestamp } = event;
  const reason = event_type === "message.dead" ? event.payload.reason : undefined;
  const others = message.receipts.filter((receipt) => receipt.agent_id !== agent_id);
  return messages.with(index, { ...message, receipts: [...others, { agent_id, event_type, timestamp, reason }] });
}
