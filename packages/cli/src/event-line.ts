/** One line about an event of the firehose, for people. */
import type { KsiEvent, RunEvent } from "@ksi/client";
import { describeRunEvent } from "./log-view.ts";
import { formatTime, textOf } from "./message-line.ts";
import type { Stream } from "./terminal.ts";

type OwnEvent = Exclude<KsiEvent, RunEvent | { event_type: `x.${string}` }>;

/** Columns of the longest of KSI's own types, `message.delivered`. */
const typeWidth = 17;

/** `10:02:11 agent.updated     bob is online`. */
export function describeEvent(event: KsiEvent, out: Stream): string {
  const time = out.style("dim", formatTime(event.timestamp));
  const type = out.style("cyan", out.foreign(event.event_type).padEnd(typeWidth));
  return `${time} ${type} ${out.foreign(textOfEvent(event, out.columns ?? 120))}`.trimEnd();
}

function textOfEvent(event: KsiEvent, columns: number): string {
  if (isRunEvent(event)) {
    const text = event.event_type === "run.text" ? event.payload.text : describeRunEvent(event, columns)?.text;
    return `${event.run_id.slice(0, 8)}  ${text ?? ""}`;
  }
  if (isOwnEvent(event)) return describeOwn(event);
  const to = event.target === undefined ? "" : ` → ${event.target}`;
  return `${event.source}${to}  ${textOf(event)}`;
}

function describeOwn(event: OwnEvent): string {
  switch (event.event_type) {
    case "agent.joined": {
      const { capabilities } = event.payload;
      return capabilities.length === 0 ? event.agent_id : `${event.agent_id}, can do ${capabilities.join(", ")}`;
    }
    case "agent.updated":
      return `${event.agent_id} is ${event.payload.status}`;
    case "agent.left":
      return event.agent_id;
    case "session.deleted":
      return event.session_id;
    case "message.delivered":
    case "message.acked":
    case "message.expired":
    case "message.redriven":
      return `${event.target} → ${event.agent_id}  ${event.payload.message_id}`;
    case "message.dead": {
      const { message_id, reason, deliveries } = event.payload;
      const tries = deliveries === 1 ? "1 delivery" : `${deliveries} deliveries`;
      return `${event.target} → ${event.agent_id}  ${message_id}: ${reason} after ${tries}`;
    }
    case "message.blocked": {
      const { reason, limit } = event.payload;
      const why = reason === "hops" ? `more than ${limit} hops` : `more than ${limit} a minute`;
      return `${event.source} → ${event.target ?? "everyone"}  ${why}`;
    }
    case "state.set":
      return `${event.source}  ${event.payload.namespace} ${event.payload.key}: version ${event.payload.version}`;
    case "state.deleted": {
      const { namespace, key, reason } = event.payload;
      return `${event.source}  ${namespace} ${key}${reason === "expired" ? ": its time was over" : ""}`;
    }
    default:
      return event satisfies never;
  }
}

function isRunEvent(event: KsiEvent): event is RunEvent {
  return event.event_type.startsWith("run.");
}

/** Complete by type; a message or a published event may have any other name. */
const ownTypes: Record<OwnEvent["event_type"], true> = {
  "agent.joined": true,
  "agent.updated": true,
  "agent.left": true,
  "session.deleted": true,
  "message.delivered": true,
  "message.acked": true,
  "message.expired": true,
  "message.dead": true,
  "message.redriven": true,
  "message.blocked": true,
  "state.set": true,
  "state.deleted": true,
};

function isOwnEvent(event: KsiEvent): event is OwnEvent {
  return Object.hasOwn(ownTypes, event.event_type);
}
