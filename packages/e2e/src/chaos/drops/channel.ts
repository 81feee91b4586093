import type { KsiEvent } from "@ksi/contract";
import type { ChannelFacts } from "./sequence.ts";

/** One channel that the producer writes to. */
export interface Channel extends ChannelFacts {
  /** For reports. */
  readonly name: string;
  /** Of the run whose channel it is; undefined for the firehose. */
  readonly run_id?: string | undefined;
  /** How many events the producer has been told to append. */
  ordered: number;
}

/** The producer's number of the event; undefined where the event is not the producer's. */
export function numberOf(event: KsiEvent): number | undefined {
  const content: unknown = event.event_type === "run.tool_use" ? event.payload.input : event.payload;
  const isNumbered = typeof content === "object" && content !== null && "n" in content;
  return isNumbered && typeof content.n === "number" ? content.n : undefined;
}
