/** What the daemon serves beside the procedures and the OpenAI-compatible routes. */
import { eventFilter, schemas } from "@ksi/contract";
import { z } from "zod";
import type { DescribedOperation } from "../document/document.ts";
import { restError } from "./error-body.ts";
import { parameterTexts } from "./parameter-texts.ts";

const json = (schema: z.ZodType) => ({ "application/json": schema });

const ready = (status: "ready" | "draining") => z.object({ status: z.literal(status) });

const ticket = z.object({
  ticket: z.string().describe("Works once, as `?ticket=` in the URL of a WebSocket or of an event stream."),
  expires_in_ms: z.number(),
});

const cached = z.object({ etag: z.string() });

const socketInput = z.object({
  ...eventFilter.shape,
  run_id: schemas.runId
    .optional()
    .describe("All events of this run, its text included, instead of the firehose. Takes only `types` beside it."),
  inbox: schemas.agentRef.shape.agent_id
    .optional()
    .describe(
      "The messages of this agent, instead of the firehose. Takes `mode` and `prefetch` beside it, and no filter.",
    ),
  mode: z.enum(schemas.inboxModes).optional().describe("With `inbox`: as in `GET /api/v1/agents/{agent_id}/inbox`."),
  prefetch: schemas.inboxInput.shape.prefetch
    .unwrap()
    .optional()
    .describe("With `inbox` and `mode=shared`: messages held at one time without being acknowledged. Default 100."),
  from: schemas.follow.shape.from,
  last_event_id: schemas.cursor.optional().describe("Resume directly after the event with this cursor."),
});

export const daemonOperations: readonly DescribedOperation[] = [
  {
    method: "GET",
    path: "/health",
    operationId: "health",
    summary: "Whether the daemon and its Redis answer",
    tags: ["system"],
    security: [],
    answers: {
      200: { description: "Redis answers.", content: json(schemas.health) },
      503: {
        description: "Redis does not answer, or the daemon is starting (an error).",
        content: json(schemas.health.or(restError)),
      },
    },
    errors: [403, 500],
    examples: {
      answers: {
        200: { ok: { value: { status: "ok", redis_ping_ms: 0.214, version: "0.1.0" } } },
        503: { unavailable: { value: { status: "unavailable", version: "0.1.0" } } },
      },
    },
  },
  {
    method: "GET",
    path: "/ready",
    operationId: "ready",
    summary: "Whether new work is taken",
    tags: ["system"],
    security: [],
    answers: {
      200: { description: "New runs are accepted.", content: json(ready("ready")) },
      503: {
        description: "The daemon is stopping, or starting (an error).",
        content: json(ready("draining").or(restError)),
      },
    },
    errors: [403, 500],
  },
  {
    method: "POST",
    path: "/api/v1/tickets",
    operationId: "tickets_issue",
    summary: "A ticket for one stream",
    description:
      "For browsers, whose WebSocket and EventSource can send no header: the ticket stands in the URL instead of the " +
      "token, works once, and for 30 seconds. With 1,000 of them unused there are no further ones (429).",
    tags: ["system"],
    answers: { 200: { description: "Success.", content: json(ticket) } },
    errors: [401, 403, 429, 500, 503],
    examples: {
      answers: {
        200: {
          ticket: { value: { ticket: "Vd3T0yq0v2m1d5JkH0cXb5mJ8m3v2yWq6o3n4r1s0aE", expires_in_ms: 30_000 } },
        },
      },
    },
  },
  {
    method: "GET",
    path: "/openapi.json",
    operationId: "openapi_document",
    summary: "This document",
    tags: ["system"],
    security: [],
    requestHeaders: z.object({ "If-None-Match": z.string().optional().describe("The `etag` of a copy.") }),
    answers: {
      200: {
        description: "OpenAPI 3.1.1.",
        content: json(z.looseObject({ openapi: z.literal("3.1.1") }).describe("An OpenAPI document.")),
        headers: cached,
      },
      304: { description: "It is what `If-None-Match` names.", headers: cached },
    },
    errors: [403, 500, 503],
  },
  {
    method: "GET",
    path: "/ws",
    operationId: "events_socket",
    summary: "Follow events over a plain WebSocket",
    description:
      "For clients without server-sent events: a WebSocket whose text frames are one event each, as the JSON of `Event` " +
      "with its `cursor` beside the other fields. It takes the filters of `GET /api/v1/events`; with `run_id` it is the " +
      "channel of that run, with its text, and closes with 1000 after the final event; with `inbox` it is the messages of " +
      "an agent, which are acknowledged over REST. An error is one text frame like " +
      "the body of an error answer, then a close with 4000 + its status, such as 4401 without a token. 1012 means that " +
      "the daemon stops: resume. What the client sends is not read.",
    tags: ["events"],
    security: [{ bearer: [] }, { ticket: [] }],
    input: socketInput,
    parameterTexts,
    answers: {
      101: { description: "The connection is a WebSocket from here on." },
      426: { description: "The request asks for no WebSocket.", content: json(restError) },
      503: { description: "There are too many sockets, or the daemon is stopping. Without a body." },
    },
    errors: [403, 500],
  },
];
