/** The calls that change something, on each surface, and what came of them where the store refused. */
import type { WireError } from "@ksi/contract";
import type { LiveDaemon } from "./live-daemon.ts";

export interface Tried {
  readonly call: string;
  readonly status: number | undefined;
  /** In KSI's words on every surface. */
  readonly code?: string | undefined;
  readonly message?: string | undefined;
  /** `unknown` where the error says so. The OpenAI surface has no such field. */
  readonly outcome?: unknown;
  /** What an OpenAI SDK is told. */
  readonly shouldRetry?: string | null;
}

type Call = () => Promise<Omit<Tried, "call">>;

/** Spawns that carry a key: the same call again must not make a second run. Each run's result is its call's name. */
export function spawnsWithKey(live: LiveDaemon): Record<string, Call> {
  const { ksi } = live;
  const run = (prompt: string) => ({ prompt, model: "echo", idempotency_key: prompt });
  return {
    "spawn by tRPC": overTrpc(() => ksi.trpc.runs.spawn.mutate(run("spawn by tRPC"))),
    "spawn by REST": overHttp(live, "/api/v1/spawn", run("spawn by REST")),
    "chat with a key": overHttp(live, "/v1/chat/completions", chat("chat with a key"), { "idempotency-key": "chat" }),
  };
}

/** Calls of which a repeat would be a second one. */
export function callsWithoutKey(live: LiveDaemon): Record<string, Call> {
  const { ksi } = live;
  return {
    "chat without a key": overHttp(live, "/v1/chat/completions", chat("chat without a key")),
    "send by tRPC": overTrpc(() => ksi.trpc.messages.send.mutate(note("send by tRPC"))),
    "send by REST": overHttp(live, "/api/v1/messages", note("send by REST")),
    "register by REST": overHttp(live, "/api/v1/agents/register", { agent_id: "carol" }),
  };
}

/** Which are repeated within the daemon for 5 s. */
export function publishes(live: LiveDaemon): Record<string, Call> {
  const event = (payload: string) => ({ source: "alice", event_type: "x.note" as const, payload });
  return {
    "publish by tRPC": overTrpc(() => live.ksi.trpc.events.publish.mutate(event("publish by tRPC"))),
    "publish by REST": overHttp(live, "/api/v1/events", event("publish by REST")),
  };
}

/** A query, of which the daemon itself makes no second attempt. */
export function reads({ ksi }: LiveDaemon): Record<string, Call> {
  return { "list by tRPC": overTrpc(() => ksi.trpc.runs.list.query({})) };
}

/** All at once. */
export async function tryAll(calls: Record<string, Call>): Promise<Tried[]> {
  return await Promise.all(Object.entries(calls).map(async ([call, make]) => ({ call, ...(await make()) })));
}

/** How often each call has had its effect. */
export async function countEffects({ ksi }: LiveDaemon, events: readonly { payload: unknown }[]) {
  const [{ runs }, { messages }, agent] = await Promise.all([
    ksi.runs.list({ limit: 500 }),
    ksi.messages.history({ limit: 500 }),
    ksi.agents.get("carol").catch(() => undefined),
  ]);
  const effects = [
    ...runs.map(({ result }) => result),
    ...messages.map(({ payload }) => payload),
    ...events.map(({ payload }) => payload).filter((payload) => /^publish/.test(String(payload))),
  ];
  return (call: string) =>
    call.startsWith("register") ? Number(agent !== undefined) : effects.filter((effect) => effect === call).length;
}

function note(payload: string) {
  return { source: "alice", target: "bob", event_type: "x.note", payload };
}

function chat(content: string) {
  return { model: "echo", messages: [{ role: "user", content }] };
}

/** The raw client: the other one would make some of them again. */
function overTrpc(call: () => Promise<unknown>): Call {
  return async () => {
    try {
      await call();
      return { status: 200 };
    } catch (thrown) {
      const { data } = thrown as { data?: { httpStatus: number; ksi: WireError } };
      const error = data?.ksi;
      const outcome = error?.details?.outcome;
      return { status: data?.httpStatus, code: error?.code, message: error?.message, outcome };
    }
  };
}

function overHttp({ daemon: { url, token } }: LiveDaemon, path: string, body: unknown, headers = {}): Call {
  return async () => {
    const response = await fetch(`${url}${path}`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json", ...headers },
      body: JSON.stringify(body),
    });
    const { error } = (await response.json()) as { error?: { code: string; message: string; outcome?: unknown } };
    const isOpenAi = path.startsWith("/v1/");
    return {
      status: response.status,
      code: isOpenAi ? error?.code.toUpperCase() : error?.code,
      message: error?.message,
      outcome: error?.outcome,
      ...(isOpenAi && { shouldRetry: response.headers.get("x-should-retry") }),
    };
  };
}
