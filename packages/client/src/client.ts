/** The client: every call of KSI by name, with types, and handles for what has a life of its own. */
import type { AppRouter, EventFilter, KsiEvent, Message, PublishInput, RequestRequest, SendInput } from "@ksi/contract";
import { KsiError } from "@ksi/contract/errors";
import { createTRPCClient } from "@trpc/client";
import { createAgentHandle } from "./agent.ts";
import type { AttachOptions, KsiClient, KsiClientOptions, RunRequest } from "./api.ts";
import { type CallOptions, type CallPolicy, call } from "./call.ts";
import { createEventStream, type EventStream, type FollowOptions } from "./event-stream.ts";
import type { FeedHandlers, Start } from "./feed.ts";
import { createGuardedFetch } from "./guarded-fetch.ts";
import { createInboxStream } from "./inbox.ts";
import { createLinks } from "./links.ts";
import { toJsonSchema } from "./output-schema.ts";
import { readAnswer } from "./request.ts";
import { createRunHandle, type RunHandle } from "./run.ts";
import { createSocket } from "./socket.ts";
import { createStateCalls } from "./state.ts";

const defaultRetries = 4;
/** `limits.requestMsDefault` of the contract, of which the client takes only types. */
const defaultRequestMs = 30_000;
/** How long the WebSocket stays open for a next follow; and for a next call, which may come after some thought. */
const followsIdleMs = 200;
const callsIdleMs = 3_000;
/** How much longer than the daemon a client waits for an answer to `messages.request`. */
const graceMs = 15_000;

/**
 * Makes a client. Opens nothing yet: calls go over HTTP as they are made, unless told otherwise, and the WebSocket is open
 * only while something uses it. Throws `INVALID_INPUT` for a url that is none.
 */
export function createKsiClient(options: KsiClientOptions): KsiClient {
  const { token, webSocket, onConnection, retries = defaultRetries, calls = "http" } = options;
  const url = endpoint(options.url);
  const idleMs = calls === "http" ? followsIdleMs : callsIdleMs;
  const socket = createSocket({ url: toWebSocketUrl(url), token, webSocket, onConnection, idleMs });
  const trpc = createTRPCClient<AppRouter>({
    links: createLinks({ url, token, fetch: createGuardedFetch(url, options.fetch), socket, calls }),
  });
  const closing = new AbortController();
  const closed = closing.signal;

  type Attempt<T> = (options: { signal: AbortSignal }) => Promise<T>;
  const make = <T>(attempt: Attempt<T>, { signal }: CallOptions, policy: Omit<CallPolicy, "signals">) =>
    call((attemptSignal) => attempt({ signal: attemptSignal }), {
      signals: signal ? [closed, signal] : [closed],
      ...policy,
    });
  const once = <T>(callOptions: CallOptions = {}, attempt: Attempt<T>, attemptTimeoutMs?: number) =>
    make(attempt, callOptions, { retries: 0, attemptTimeoutMs });
  const again = <T>(callOptions: CallOptions = {}, attempt: Attempt<T>) => make(attempt, callOptions, { retries });

  const register: KsiClient["agents"]["register"] = (input, c) =>
    again(c, (o) => trpc.agents.register.mutate(input, o));
  const unregister: KsiClient["agents"]["unregister"] = (agent_id, c) =>
    once(c, (o) => trpc.agents.unregister.mutate({ agent_id }, o));

  const messages: KsiClient["messages"] = {
    send(input, c) {
      const keyed = { idempotency_key: randomKey(), ...(input as SendInput) };
      return again(c, (o) => trpc.messages.send.mutate(keyed, o));
    },
    sendBatch(inputs, c) {
      const messages = inputs.map((input) => ({ idempotency_key: randomKey(), ...(input as SendInput) }));
      return again(c, async (o) => (await trpc.messages.sendBatch.mutate({ messages }, o)).results);
    },
    async request(input, { schema, ...c } = {}) {
      const waitMs = (input.timeout_ms ?? defaultRequestMs) + graceMs;
      const replied = await once(c, (o) => trpc.messages.request.mutate(input as RequestRequest, o), waitMs);
      return await readAnswer(replied, schema);
    },
    history: (input = {}, c) => again(c, (o) => trpc.messages.history.query(input, o)),
    ack: (input, c) => again(c, (o) => trpc.messages.ack.mutate(input, o)),
    nack: (input, c) => again(c, (o) => trpc.messages.nack.mutate(input, o)),
    deadLetters: (input, c) => again(c, (o) => trpc.messages.deadLetters.query(input, o)),
    redrive: (input, c) => again(c, (o) => trpc.messages.redrive.mutate(input, o)),
  };

  async function run<Output>(request: RunRequest<Output>, callOptions?: CallOptions): Promise<RunHandle<Output>> {
    const { output, ...spawn } = request;
    const input = {
      idempotency_key: randomKey(),
      ...(output && { output_schema: toJsonSchema(output) }),
      ...spawn,
    };
    const ids = await again(callOptions, (o) => trpc.runs.spawn.mutate(input, o));
    return createRunHandle({ trpc, ids, output, closed });
  }

  async function attach<Output>(runId: string, attachOptions: AttachOptions<Output> = {}): Promise<RunHandle<Output>> {
    const ids = await again(attachOptions, (o) => trpc.runs.get.query({ run_id: runId }, o));
    return createRunHandle({ trpc, ids, output: attachOptions.output, closed });
  }

  function subscribe(filter: EventFilter = {}, follow: FollowOptions = {}): EventStream<KsiEvent> {
    const source = {
      subscribe: (start: Start, handlers: FeedHandlers<KsiEvent>) =>
        trpc.events.subscribe.subscribe({ ...filter, ...start }, handlers),
    };
    return createEventStream(source, follow, [closed]);
  }

  function close(): Promise<void> {
    closing.abort(new KsiError("CANCELLED", "This client was closed; make another with createKsiClient."));
    return socket.close();
  }

  return {
    run: run as KsiClient["run"],
    runs: {
      attach: attach as KsiClient["runs"]["attach"],
      get: (run_id, c) => again(c, (o) => trpc.runs.get.query({ run_id }, o)),
      list: (input = {}, c) => again(c, (o) => trpc.runs.list.query(input, o)),
      cancel: (run_id, reason, c) =>
        once(c, (o) => trpc.runs.cancel.mutate({ run_id, reason, grace_ms: c?.grace_ms }, o)),
    },
    sessions: {
      list: (input = {}, c) => again(c, (o) => trpc.sessions.list.query(input, o)),
      get: (session_id, c) => again(c, (o) => trpc.sessions.get.query({ session_id }, o)),
      messages: (input, c) => again(c, (o) => trpc.sessions.messages.query(input, o)),
      delete: (session_id, c) => once(c, (o) => trpc.sessions.delete.mutate({ session_id }, o)),
    },
    agents: {
      register,
      unregister,
      get: (agent_id, c) => again(c, (o) => trpc.agents.get.query({ agent_id }, o)),
      list: (input = {}, c) => again(c, (o) => trpc.agents.list.query(input, o)),
      heartbeat: (agent_id, c) => again(c, (o) => trpc.agents.heartbeat.mutate({ agent_id }, o)),
      inbox: (agentId, follow = {}) =>
        createInboxStream<Message>({ trpc, agentId, receive: (message) => message, ends: [closed] }, follow),
      async join(input, c) {
        const { agent } = await register(input, c);
        return createAgentHandle({ trpc, messages, unregister, agentId: agent.agent_id, closed });
      },
    },
    messages,
    state: createStateCalls({
      get: (namespace, key, c) => again(c, (o) => trpc.state.get.query({ namespace, key }, o)),
      set: (input, c) => once(c, (o) => trpc.state.set.mutate(input, o)),
      delete: (input, c) => once(c, (o) => trpc.state.delete.mutate(input, o)),
      list: (input, c) => again(c, (o) => trpc.state.list.query(input, o)),
    }),
    profiles: {
      list: (c) => again(c, (o) => trpc.profiles.list.query(undefined, o)),
      get: (name, c) => again(c, (o) => trpc.profiles.get.query({ name }, o)),
    },
    events: {
      subscribe: subscribe as KsiClient["events"]["subscribe"],
      publish: (input, c) => once(c, (o) => trpc.events.publish.mutate(input as PublishInput, o)),
    },
    system: {
      status: (c) => again(c, (o) => trpc.system.status.query(undefined, o)),
      health: (c) => again(c, (o) => trpc.system.health.query(undefined, o)),
      shutdown: (c) => once(c, (o) => trpc.system.shutdown.mutate(undefined, o)),
    },
    trpc,
    get connection() {
      return socket.connection;
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** `{url}/trpc`, under the path of the url if it has one. */
function endpoint(url: string | URL): URL {
  try {
    const base = new URL(url);
    if (!/^https?:$/.test(base.protocol)) throw new Error(`the protocol is ${base.protocol}`);
    return new URL(`${base.pathname.replace(/\/$/, "")}/trpc`, base);
  } catch (cause) {
    throw new KsiError("INVALID_INPUT", "url: must be an address such as http://127.0.0.1:8000", { cause });
  }
}

function toWebSocketUrl(url: URL): URL {
  const copy = new URL(url);
  copy.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  return copy;
}

/** Not `randomUUID`: browsers have that only on https and localhost. */
function randomKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
