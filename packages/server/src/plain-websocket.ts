/**
 * Plain events on a socket, for clients that speak no tRPC: one event a text frame, on `/ws`.
 *
 * Browsers are not shown why an upgrade failed, so every refusal comes after it: one text frame with the error, then a
 * close with 4000 + the status that REST would answer.
 */
import {
  type EventFilter,
  eventFilter,
  type Follow,
  invalidInput,
  KsiError,
  type KsiEvent,
  type Ports,
  schemas,
  unauthorized,
} from "@ksi/contract";
import { toRestFailure } from "@ksi/openapi/ksi";
import type { WebSocket } from "ws";
import { z } from "zod";
import { closeCodes, errorCloseBase } from "./close-codes.ts";
import type { OpenSocket, SocketOptions } from "./doors.ts";
import { createFramer } from "./event-frames.ts";
import { logCallError } from "./log-call-error.ts";
import type { Logger } from "./logger.ts";

/** Nothing that a client sends is read. A larger frame closes its socket with 1009. */
export const maxClientFrameBytes = 1_024;

export function servePlainSocket(open: OpenSocket, { ports, logger }: SocketOptions): void {
  const { ws } = open;
  const closed = new AbortController();
  ws.on("close", () => closed.abort());
  ws.on("error", (error) => logger.debug({ err: error }, "call refused"));
  sendEvents(open, ports, closed.signal).then(
    () => ws.close(closeCodes.done, "there is nothing more"),
    (thrown) => {
      if (!closed.signal.aborted) refuse(ws, KsiError.from(thrown), logger);
    },
  );
}

async function sendEvents(open: OpenSocket, ports: Ports, signal: AbortSignal): Promise<void> {
  const { url, isAuthorized, writer } = open;
  if (!isAuthorized) throw unauthorized();
  if (!open.takeSeat()) throw tooManySockets();
  const follow = await openFollow(ports, readQuery(url.searchParams), signal);
  for await (const batch of follow.batches()) {
    if (signal.aborted) return;
    writer.write(frames(batch, ""));
    await writer.whenWritable();
  }
}

/** The event with one more member. An event is never an empty object. */
const frames = createFramer(({ cursor, json }) => `${json.slice(0, -1)},"cursor":"${cursor}"}`);

function tooManySockets(): KsiError {
  return new KsiError("RATE_LIMITED", "This token has as many WebSockets as it may have. Close some first.");
}

function refuse(ws: WebSocket, error: KsiError, logger: Logger): void {
  logCallError(logger, error, { path: "/ws" });
  const failure = toRestFailure(error);
  ws.send(JSON.stringify({ error: failure.error }));
  ws.close(errorCloseBase + failure.status, error.code);
}

/** What follows something else than the firehose, and what can stand beside it. */
const others = {
  run_id: ["types", "last_event_id", "from"],
  inbox: ["mode", "prefetch", "last_event_id", "from"],
} as const;

const query = z
  .object({
    ...eventFilter.shape,
    last_event_id: schemas.follow.shape.lastEventId,
    from: schemas.follow.shape.from,
    inbox: schemas.agentRef.shape.agent_id.optional(),
    mode: z.enum(schemas.inboxModes).optional(),
    prefetch: z.coerce.number().pipe(schemas.inboxInput.shape.prefetch.unwrap()).optional(),
  })
  .superRefine((given, context) => {
    for (const followed of ["run_id", "inbox"] as const) {
      if (given[followed] === undefined) continue;
      const beside: readonly string[] = [followed, ...others[followed]];
      for (const name of Object.keys(given).filter((name) => !beside.includes(name))) {
        const message = `cannot be given together with ${followed}, which is followed with all that it has`;
        context.addIssue({ code: "custom", path: [name], message });
      }
    }
  });

/** `INVALID_INPUT` names each wrong parameter. What is not known is ignored, as everywhere. */
function readQuery(parameters: URLSearchParams): z.infer<typeof query> {
  const given: Record<string, unknown> = {};
  for (const name of Object.keys(query.shape)) {
    const values = parameters.getAll(name);
    if (values.length === 0) continue;
    if (name === "types") given[name] = values.flatMap((value) => value.split(","));
    // Given twice, it is refused by the schema.
    else given[name] = values.length === 1 ? values[0] : values;
  }
  const parsed = query.safeParse(given);
  if (!parsed.success) throw invalidInput(parsed.error);
  return parsed.data;
}

async function openFollow(
  ports: Ports,
  { last_event_id: lastEventId, from, run_id, inbox, mode, prefetch, ...filter }: z.infer<typeof query>,
  signal: AbortSignal,
): Promise<Pick<Follow<unknown>, "batches">> {
  const start = { lastEventId, from };
  if (inbox !== undefined)
    return await ports.messages.inbox(readInbox({ agent_id: inbox, mode, prefetch, ...start }), signal);
  if (run_id === undefined) return await ports.events.subscribe(filter, start, signal);
  return keepTypes(await ports.runs.events(run_id, start, signal), filter.types);
}

function readInbox(input: z.input<typeof schemas.inboxInput>): schemas.InboxInput {
  const parsed = schemas.inboxInput.safeParse(input);
  if (!parsed.success) throw invalidInput(parsed.error);
  return parsed.data;
}

/** The same follow without events of other types. As on the firehose, `*` at the end stands for any rest. */
function keepTypes(follow: Follow<KsiEvent>, types: EventFilter["types"]): Pick<Follow<KsiEvent>, "batches"> {
  if (!types) return follow;
  const isKept = (type: string) =>
    types.some((wanted) => (wanted.endsWith("*") ? type.startsWith(wanted.slice(0, -1)) : type === wanted));
  return {
    async *batches() {
      for await (const batch of follow.batches()) {
        const kept = batch.filter(({ event }) => isKept(event.event_type));
        if (kept.length > 0) yield kept;
      }
    },
  };
}
