/** Which schemas of the contract are components of the document, and what is said of them. */
import {
  agentEvent,
  customEvent,
  messageEvent,
  published,
  publishInput,
  runEvent,
  schemas,
  sessionEvent,
  stateEvent,
} from "@ksi/contract";
import { z } from "zod";
import type { SchemaTexts } from "../document/document.ts";
import { nameOptions, nameSchemas, pascal } from "./component-names.ts";
import { restErrorSchemas } from "./error-body.ts";

/**
 * Any event of the firehose. Said as "exactly one of": the name of a published event or message never is one of ours, so
 * that an event fits one option only.
 */
export const firehoseEvent = z.xor([runEvent, agentEvent, sessionEvent, messageEvent, stateEvent, customEvent]);

export const ksiComponents: Readonly<Record<string, z.ZodType>> = {
  ...nameSchemas(schemas),
  ...nameSchemas({ publishInput, published, runEvent, agentEvent, messageEvent, stateEvent, customEvent }),
  ...nameOptions(runEvent, "event_type", "Event"),
  ...nameOptions(agentEvent, "event_type", "Event"),
  ...nameOptions(messageEvent, "event_type", "Event"),
  ...nameOptions(stateEvent, "event_type", "Event"),
  SessionDeletedEvent: sessionEvent,
  Event: firehoseEvent,
  ...restErrorSchemas,
};

/** From the names in the source to those of the components. */
export function nameTexts(comments: Readonly<Record<string, SchemaTexts>>): Record<string, SchemaTexts> {
  const entries = Object.entries(comments).map(([name, texts]) => [componentOf(name), texts]);
  const { sessionEvent: deleted, ErrorDetails: details, callErrorCodes: call, runErrorCodes: run } = comments;
  return {
    ...Object.fromEntries(entries),
    ...(deleted && { SessionDeletedEvent: deleted }),
    ...(details?.properties && { Error: { properties: { error: { properties: details.properties } } } }),
    ...(call && run && { ErrorCode: { description: listWords("What went wrong.", call, run) } }),
  };
}

/** What the script calls `event_type=run.text` is `RunTextEvent`. */
function componentOf(name: string): string {
  const [, type] = /^event_type=(.+)$/.exec(name) ?? [];
  return type === undefined ? pascal(name) : `${pascal(type)}Event`;
}

/** A Markdown list of what each word means. */
function listWords(head: string, ...families: readonly SchemaTexts[]): string {
  const words = families.flatMap(({ properties = {} }) => Object.entries(properties));
  return [head, "", ...words.map(([word, { description }]) => `- \`${word}\`: ${description}`)].join("\n");
}
