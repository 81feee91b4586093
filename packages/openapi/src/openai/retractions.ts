/** Takes back, of events that nobody was told of yet, the text that the agent took back. */
import type { RunEvent } from "@ksi/contract";

type TextEvent = Extract<RunEvent, { event_type: "run.text" }>;

/** The events without void text. A retraction of more than they have is left, for what is not among them. */
export function withoutRetracted(events: readonly RunEvent[]): readonly RunEvent[] {
  if (!events.some(({ event_type }) => event_type === "run.retracted")) return events;
  const left: RunEvent[] = [];
  for (const event of events) {
    if (event.event_type !== "run.retracted") {
      left.push(event);
      continue;
    }
    const chars = takeBack(left, event.payload.chars);
    if (chars > 0) left.push({ ...event, payload: { chars } });
  }
  return left;
}

/** Gives how many characters more there were to take back. An emptied event stays, as it may be the run's first. */
function takeBack(events: RunEvent[], chars: number): number {
  let open = chars;
  for (let at = events.length - 1; at >= 0 && open > 0; at -= 1) {
    const event = events[at];
    // What an earlier retraction reaches for lies before these events.
    if (event?.event_type === "run.retracted") break;
    if (event?.event_type !== "run.text") continue;
    const taken = Math.min(open, event.payload.text.length);
    events[at] = shortened(event, taken);
    open -= taken;
  }
  return open;
}

function shortened(event: TextEvent, chars: number): TextEvent {
  const { text } = event.payload;
  return { ...event, payload: { text: text.slice(0, text.length - chars) } };
}
