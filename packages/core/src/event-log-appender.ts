/**
 * Writes events to one tenant's channels, coalesced: what is appended while the process handles one batch of input, or
 * while calls are under way, goes into the next script call. A second call follows the first before that is answered where
 * there is enough for one, so that Redis works on it while this process reads the answer.
 *
 * A call whose connection broke may have been carried out. So calls are numbered, and Redis remembers the last two numbers
 * and answers of each appender. A call that follows another names it, and is not carried out where that one was not, which
 * keeps the order. When one fails, the appender is *recovering*: it waits until the others are answered, and repeats what
 * failed, one call after the other, until it is answered or Redis has been away for `retryMs`. Then its appends are
 * rejected with STORE_UNAVAILABLE, and may or may not be in the log.
 */
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { KsiError } from "@ksi/contract/errors";
import type { Redis } from "ioredis";
import {
  type EncodedAppends,
  encodeAppends,
  runAppendScript,
  TooEarly,
  withoutPredecessor,
} from "./event-log-append-script.ts";
import type { TenantKeys } from "./redis/keys.ts";
import { toStoreError } from "./redis/store-error.ts";

export interface Append {
  /** Stored as its JSON is at the time of the call. */
  event: object;
  /** Names of channels, the event's home first. */
  channels: readonly string[];
  /** The append is refused unless the run of this key (in full) has status `running` and this lease. */
  guard?: { readonly runKey: string; readonly lease: number } | undefined;
}

export interface Appender {
  /**
   * Resolves when all are stored, in this order. CONFLICT when a guard refused one, STORE_UNAVAILABLE, or SHUTTING_DOWN
   * once closed. Where they do not fit into the budget, none is taken.
   */
  append(...appends: readonly Append[]): Promise<void>;
  /** Takes nothing more, and resolves when what was taken is stored or rejected. */
  close(): Promise<void>;
}

/** What the appenders of a process may hold together, waiting or under way. */
export interface AppendBudget {
  events: number;
  bytes: number;
}

export interface AppenderOptions {
  redis: Redis;
  keys: TenantKeys;
  /** Of the log, from `logTerms`. */
  terms: string;
  /** Shared between appenders, counted down and up again. Over it, an append is rejected with STORE_UNAVAILABLE. */
  budget: AppendBudget;
  /** For how long a call is repeated. Default 5,000; after `close` that at most. */
  retryMs?: number | undefined;
  /** Nothing is repeated any more. */
  signal?: AbortSignal | undefined;
}

const defaultRetryMs = 5_000;
const callMaxEvents = 500;
const callMaxBytes = 1_048_576;
const retryPauseMs = 100;
const maxUnderWay = 2;
/** With less, waiting for the answer and sending more at once costs Redis less. */
const followingCallMinEvents = 50;

interface Waiting extends Omit<Append, "event"> {
  json: string;
  resolve: () => void;
  reject: (error: KsiError) => void;
}

export function createAppender(options: AppenderOptions): Appender {
  const { redis, keys, terms, budget, retryMs = defaultRetryMs, signal } = options;
  const memoryKey = keys.appender(randomUUID());
  let queue: Waiting[] = [];
  let callNumber = 0;
  /** In the order of their numbers. */
  let underWay: Call[] = [];
  let isRecovering = false;
  let failingSince: number | undefined;
  let willSend = false;
  let idle: PromiseWithResolvers<void> | undefined;
  let isClosed = false;

  return {
    async append(...appends) {
      if (isClosed) throw new KsiError("SHUTTING_DOWN", "The daemon is stopping and takes no events.");
      const drafts = appends.map(({ event, ...where }) => ({ ...where, json: JSON.stringify(event) }));
      const bytes = drafts.reduce((sum, { json }) => sum + json.length, 0);
      if (budget.events < drafts.length || budget.bytes < bytes) throw tooMuchWaiting();
      budget.events -= drafts.length;
      budget.bytes -= bytes;
      const stored = drafts.map(
        (draft) => new Promise<void>((resolve, reject) => queue.push({ ...draft, resolve, reject })),
      );
      sendAfterThisTurn();
      await Promise.all(stored);
    },
    async close() {
      isClosed = true;
      await idle?.promise;
    },
  };

  /** The end of the turn of the event loop, so that all it appends goes into one call. */
  function sendAfterThisTurn(): void {
    idle ??= Promise.withResolvers();
    if (willSend) return;
    willSend = true;
    setImmediate(() => {
      willSend = false;
      sendMore();
    });
  }

  function sendMore(): void {
    while (!isRecovering && hasCall()) {
      const call = createCall(takeCall());
      underWay.push(call);
      void carryOut(call);
    }
    if (underWay.length > 0 || queue.length > 0) return;
    idle?.resolve();
    idle = undefined;
  }

  function hasCall(): boolean {
    if (underWay.length === 0) return queue.length > 0;
    return underWay.length < maxUnderWay && queue.length >= followingCallMinEvents;
  }

  function createCall(appends: Waiting[]): Call {
    const number = ++callNumber;
    const follows = underWay.at(-1)?.number;
    const encoded = encodeAppends(appends, { keys, memoryKey, number, follows, terms });
    return { number, appends, encoded, isPending: true };
  }

  /** Never rejects. */
  async function carryOut(call: Call): Promise<void> {
    try {
      resolveAll(call, await send(call));
      underWay = underWay.filter((other) => other !== call);
    } catch (thrown) {
      call.failure = thrown;
    }
    call.isPending = false;
    const hasFailed = underWay.some(({ failure }) => failure !== undefined);
    if (hasFailed && underWay.some(({ isPending }) => isPending)) return;
    if (hasFailed) await recover();
    sendMore();
  }

  async function recover(): Promise<void> {
    isRecovering = true;
    for (const call of underWay) {
      try {
        resolveAll(call, await sendAgain(call));
      } catch (thrown) {
        // That the last try was not even sent says nothing about the first.
        const error = [call.failure, thrown].map(toStoreError).find(isUnknown) ?? toStoreError(thrown);
        for (const { reject } of call.appends) reject(error);
        release(call);
      }
    }
    underWay = [];
    isRecovering = false;
  }

  function takeCall(): Waiting[] {
    let bytes = 0;
    const tooMany = queue.findIndex(({ json }, i) => {
      bytes += json.length;
      return i > 0 && (i >= callMaxEvents || bytes > callMaxBytes);
    });
    const call = tooMany === -1 ? queue : queue.slice(0, tooMany);
    queue = tooMany === -1 ? [] : queue.slice(tooMany);
    return call;
  }

  function resolveAll(call: Call, refused: ReadonlySet<number>): void {
    call.appends.forEach((append, i) => {
      if (refused.has(i)) append.reject(refusedByGuard());
      else append.resolve();
    });
    release(call);
  }

  function release({ appends }: Call): void {
    for (const { json } of appends) {
      budget.events += 1;
      budget.bytes += json.length;
    }
  }

  async function send({ encoded }: Pick<Call, "encoded">): Promise<ReadonlySet<number>> {
    const refused = await runAppendScript(redis, encoded);
    failingSince = undefined;
    return refused;
  }

  /** With nothing else under way, so it follows nobody. */
  async function sendAgain({ encoded, failure }: Call): Promise<ReadonlySet<number>> {
    const alone = { encoded: withoutPredecessor(encoded) };
    for (let thrown = failure; ; ) {
      if (!(thrown instanceof TooEarly)) {
        if (!mayRepeat(thrown)) throw thrown;
        await sleep(retryPauseMs);
      }
      try {
        return await send(alone);
      } catch (next) {
        thrown = next;
      }
    }
  }

  function mayRepeat(thrown: unknown): boolean {
    failingSince ??= performance.now();
    const patienceMs = isClosed ? Math.min(retryMs, defaultRetryMs) : retryMs;
    const isPassing = toStoreError(thrown).code === "STORE_UNAVAILABLE" && redis.status !== "end";
    return isPassing && !signal?.aborted && performance.now() <= failingSince + patienceMs;
  }
}

interface Call {
  readonly number: number;
  readonly appends: readonly Waiting[];
  readonly encoded: EncodedAppends;
  isPending: boolean;
  failure?: unknown;
}

function isUnknown({ details }: KsiError): boolean {
  return details?.outcome === "unknown";
}

function refusedByGuard(): KsiError {
  return new KsiError("CONFLICT", "The run is not this worker's any more; the event was not stored.");
}

function tooMuchWaiting(): KsiError {
  return new KsiError("STORE_UNAVAILABLE", "Redis does not keep up: too many events wait to be stored. Try again.");
}
