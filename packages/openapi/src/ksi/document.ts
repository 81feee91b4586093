/** The OpenAPI document of the daemon: its procedures over REST, what it serves beside them, and the OpenAI routes. */
import { appRouter, runEvent, schemas } from "@ksi/contract";
import {
  createOpenApiDocument,
  type OpenApiDocument,
  type ProcedureNotes,
  type SchemaTexts,
  type SecurityScheme,
  type Tag,
} from "../document/document.ts";
import { firehoseEvent, ksiComponents, nameTexts } from "./components.ts";
import { restErrors } from "./error-body.ts";
import { examples } from "./examples.ts";
import { openAiComponents, openAiErrorBody, openAiOperations } from "./openai-operations.ts";
import { daemonOperations } from "./operations.ts";
import { parameterTexts } from "./parameter-texts.ts";

export interface KsiDocumentOptions {
  readonly version: string;
  /**
   * The doc comments of the contract's schemas, by the name of the constant: they are in its source only, so the script
   * that writes `openapi.json` reads them there.
   */
  readonly comments?: Readonly<Record<string, SchemaTexts>>;
}

/** `openapi.json` is this, with the comments. Whoever only wants to serve it takes `readKsiDocument`. */
export function createKsiDocument({ version, comments = {} }: KsiDocumentOptions): Promise<OpenApiDocument> {
  return createOpenApiDocument(appRouter, {
    title: "KSI",
    version,
    summary: "Runs AI agents as a service, on your own machine.",
    description,
    license: { name: "MIT", identifier: "MIT" },
    tags,
    securitySchemes,
    schemas: { ...ksiComponents, ...openAiComponents },
    texts: nameTexts(comments),
    notes,
    errors: { Error: restErrors, OpenAi: openAiErrorBody },
    // A stream that was refused would not be opened again by an EventSource, so streams are not counted.
    commonErrors: ({ type }) => (type === "subscription" ? [403, 503] : [403, 429, 503]),
    operations: [...daemonOperations, ...openAiOperations],
  });
}

const description = `A run is one turn of an agent: a prompt in, a stream of events, one result. A session is a
conversation, whose runs share context and are executed in order. An agent is a named participant with an inbox, which
keeps each message until it is acknowledged. A profile is a named preset for runs.

Lists are paged: \`next\` of one page is \`after\` of the next. Streams are server-sent events; a client that lost its
connection resumes with the \`id:\` of the last event it has, and misses and repeats nothing. Fields that are not named
here are ignored, and answers may have more fields than are named.

Every call but those without security needs the daemon's token. Errors have a \`code\` for programs from a closed list,
and a \`message\` for people. Every answer has an \`x-request-id\`, by which the daemon's log can be searched.`;

const tags: Tag[] = [
  { name: "runs", description: "Spawn agents, follow and cancel them, and get their results." },
  { name: "sessions", description: "Conversations. A session begins with its first run." },
  { name: "agents", description: "The registry of named participants, and who of them is there." },
  { name: "messages", description: "What agents and users send to each other, and the inboxes that keep it." },
  { name: "profiles", description: "Named presets for runs and agents." },
  { name: "state", description: "Values that all share, by namespace and key, with versions." },
  { name: "events", description: "Everything that happens, as it happens." },
  { name: "system", description: "The daemon itself." },
  { name: "openai", description: "The same runs for clients of the OpenAI API." },
];

const securitySchemes: Record<string, SecurityScheme> = {
  bearer: {
    type: "http",
    scheme: "bearer",
    description: "The daemon's token: `ksi token` prints it.",
  },
  ticket: {
    type: "apiKey",
    in: "query",
    name: "ticket",
    description: "From `POST /api/v1/tickets`, for one stream of a browser.",
  },
};

const stream = (schema: ProcedureNotes["stream"]): ProcedureNotes => ({
  stream: schema,
  security: [{ bearer: [] }, { ticket: [] }],
});

const streams: Record<string, ProcedureNotes> = {
  "runs.events": stream(runEvent),
  "messages.inbox": stream(schemas.message),
  "events.subscribe": stream(firehoseEvent),
};

const notes: Record<string, ProcedureNotes> = Object.fromEntries(
  Object.entries(examples).map(([procedure, each]) => [
    procedure,
    { ...streams[procedure], examples: each, parameters: parameterTexts },
  ]),
);
