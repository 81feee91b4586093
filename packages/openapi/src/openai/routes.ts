/** The paths under `/v1`. */
import { KsiError, type Ports } from "@ksi/contract";
import { createAttendance } from "./attendance.ts";
import { answerChat } from "./chat.ts";
import { type Exchange, startExchange } from "./exchange.ts";
import { getModel, listModels } from "./models.ts";
import { type OpenAiOptions, withDefaults } from "./options.ts";

/** The caller's ports, or how to find them; a function rejects with `UNAUTHORIZED` for a caller without a valid key. */
export type PortsSource = Ports | ((request: Request) => Ports | Promise<Ports>);

/**
 * A fetch handler for `POST /v1/chat/completions`, `GET /v1/models` and `GET /v1/models/{id}`, where the id may hold
 * slashes, encoded or not. A chat is a run like any other: spawned, and followed to its final event.
 *
 * It never rejects. Failures are answered in OpenAI's shape, with the statuses of {@link openAiErrors}. Every answer has
 * `openai-processing-ms` and `x-ksi-overhead-ms` (see {@link Timing}), those of a run also `x-ksi-session-id` and
 * `x-ksi-run-id`.
 *
 * The content of an answer in one piece is the run's `result`. A stream also has what the agent said between its tools,
 * and ends with the same content. With a JSON response format both are the run's `output`.
 *
 * A client that goes away (`request.signal` aborts, or the stream is cancelled) cancels its run, unless the request said
 * `metadata.keep_on_disconnect`. With an `Idempotency-Key` the run goes on for `reattachMs`, in which a repeat attaches
 * to it through the same handler; other processes do not know that it waits.
 */
export function createOpenAiRoutes(
  ports: PortsSource,
  options: OpenAiOptions = {},
): (request: Request) => Promise<Response> {
  const settings = withDefaults(options);
  const attendance = createAttendance();
  const created = Math.floor(Date.now() / 1_000);
  const findPorts = async (request: Request) => (typeof ports === "function" ? await ports(request) : ports);

  async function answer(exchange: Exchange, route: Route): Promise<Response> {
    const found = await findPorts(exchange.request);
    switch (route.name) {
      case "chat":
        return await answerChat(exchange, { ports: found, settings, attendance });
      case "models":
        return exchange.json(await listModels(found.system, created));
      case "model":
        return exchange.json(await getModel(found.system, created, route.id));
    }
  }

  return async (request) => {
    const exchange = startExchange(request, options);
    const { method } = request;
    const { pathname } = new URL(request.url);
    try {
      const route = findRoute(pathname);
      if (!route) throw new KsiError("NOT_FOUND", `There is nothing at ${method} ${pathname}.`);
      if (method === route.method) return await answer(exchange, route);
      if (method === "HEAD" && route.method === "GET") return new Response(null, await answer(exchange, route));
      const allow = route.method === "GET" ? "GET, HEAD, OPTIONS" : "POST, OPTIONS";
      if (method === "OPTIONS") return new Response(null, { status: 204, headers: { ...exchange.headers(), allow } });
      const message = `${pathname} is asked with ${route.method}, not with ${method}.`;
      return exchange.fail(new KsiError("METHOD_NOT_ALLOWED", message), allow);
    } catch (thrown) {
      return exchange.fail(thrown);
    }
  };
}

type Route =
  | { readonly name: "chat"; readonly method: "POST" }
  | { readonly name: "models"; readonly method: "GET" }
  | { readonly name: "model"; readonly method: "GET"; readonly id: string };

const modelPrefix = "/v1/models/";

function findRoute(pathname: string): Route | undefined {
  if (pathname === "/v1/chat/completions") return { name: "chat", method: "POST" };
  if (pathname === "/v1/models") return { name: "models", method: "GET" };
  if (!pathname.startsWith(modelPrefix) || pathname === modelPrefix) return undefined;
  return { name: "model", method: "GET", id: decode(pathname.slice(modelPrefix.length)) };
}

function decode(id: string): string {
  try {
    return decodeURIComponent(id);
  } catch (cause) {
    throw new KsiError("MALFORMED_REQUEST", "The path holds a broken percent-encoding.", { cause });
  }
}
