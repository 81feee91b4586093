/** One chat request, from its body to its answer. */
import type { Ports, SpawnAccepted } from "@ksi/contract";
import { type Attendance, freeSeat, type Seat } from "./attendance.ts";
import { clientGone, readJson } from "./body.ts";
import { readAnswer } from "./chat-answer.ts";
import { type ChatTurn, readChatRequest } from "./chat-request.ts";
import { openChatStream } from "./chat-stream.ts";
import type { Exchange } from "./exchange.ts";
import type { OpenAiSettings } from "./options.ts";
import { watchRun } from "./run-watch.ts";

export interface ChatOptions {
  readonly ports: Ports;
  readonly settings: OpenAiSettings;
  readonly attendance: Attendance;
}

/** Rejects with whatever the request, the run or the way to it failed with. */
export async function answerChat(exchange: Exchange, options: ChatOptions): Promise<Response> {
  const { ports, settings } = options;
  const { request, timing } = exchange;
  const turn = readChatRequest(await readJson(request, settings.maxBodyBytes), request.headers);
  if (request.signal.aborted) throw clientGone();
  const run = await ports.runs.spawn(turn.spawn);
  exchange.run = run;

  const watch = await watchRun({
    runs: ports.runs,
    runId: run.run_id,
    seat: takeSeat(exchange, run, turn, options),
    timing,
    signal: request.signal,
    maxWaitMs: settings.maxWaitMs,
    graceMs: turn.spawn.idempotency_key === undefined ? 0 : settings.reattachMs,
  });
  if (!turn.answer.isStream) return exchange.json(await readAnswer(watch, run, turn.answer));

  const { openingMs, keepAliveMs } = settings;
  const onError = exchange.report;
  const body = await openChatStream({ watch, run, form: turn.answer, openingMs, keepAliveMs, onError });
  return new Response(body, { headers: { ...exchange.headers(), ...streamHeaders } });
}

const streamHeaders = {
  "content-type": "text/event-stream; charset=utf-8",
  "cache-control": "no-cache",
  // Proxies of the nginx family would collect the whole answer first.
  "x-accel-buffering": "no",
};

/** An agent whose client has gone has nobody to tell how it ends, so it is not given long. */
const cancelGraceMs = 300;

function takeSeat(exchange: Exchange, { run_id }: SpawnAccepted, turn: ChatTurn, options: ChatOptions): Seat {
  if (turn.keepOnDisconnect) return freeSeat;
  return options.attendance.attend(run_id, (reason) => {
    options.ports.runs.cancel({ run_id, reason, grace_ms: cancelGraceMs }).catch(exchange.report);
  });
}
