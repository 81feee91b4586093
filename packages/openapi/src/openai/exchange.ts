/** One request and what every answer to it carries. */
import { KsiError, type SpawnAccepted } from "@ksi/contract";
import { openAiErrorResponse } from "./errors.ts";
import type { OpenAiOptions } from "./options.ts";
import { startTiming, type Timing } from "./timing.ts";

export interface Exchange {
  readonly request: Request;
  readonly timing: Timing;
  /** The run that was accepted for it. From then on nothing is to be tried again. */
  run?: SpawnAccepted;
  /** As of now, those of the run included. */
  headers(): Record<string, string>;
  json(body: unknown): Response;
  /** The failure as an answer. `allow` are the methods that the path has. */
  fail(thrown: unknown, allow?: string): Response;
  report(error: KsiError): void;
}

export function startExchange(request: Request, { requestId, onError }: OpenAiOptions): Exchange {
  const timing = startTiming();
  const id = requestId?.(request);
  const exchange: Exchange = {
    request,
    timing,
    headers: () => ({
      ...timing.headers(),
      ...(id !== undefined && { "x-request-id": id }),
      ...(exchange.run && { "x-ksi-session-id": exchange.run.session_id, "x-ksi-run-id": exchange.run.run_id }),
    }),
    json: (body) => Response.json(body, { headers: exchange.headers() }),
    fail(thrown, allow) {
      const error = KsiError.from(thrown);
      exchange.report(error);
      const headers = { ...exchange.headers(), ...(allow !== undefined && { allow }) };
      const isRepeatable = request.method !== "POST" || request.headers.has("idempotency-key");
      return openAiErrorResponse(error, { headers, isAccepted: exchange.run !== undefined, isRepeatable });
    },
    report: (error) => onError?.({ error, request }),
  };
  return exchange;
}
