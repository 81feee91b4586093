/** What is asked of an inbox's ledger beside following it: acknowledging, dead letters, and what time does to it. */
import type { DeadLetter, DeadLettersPage, DeathReason, Message } from "@ksi/contract";
import { agentNotFound, mustBeRegistered, unknownAgent } from "./agent-not-found.ts";
import { createCoalescer } from "./coalesce.ts";
import type { InboxContext } from "./inbox-script.ts";
import { ackScript, expireBeforeScript, nackScript, redriveScript, sweepScript } from "./inbox-scripts.ts";
import { readPlace } from "./list-place.ts";
import type { Logger } from "./logger.ts";
import { createRepeatedWarning } from "./repeated-warning.ts";
import { startTicker } from "./ticker.ts";

export interface InboxLedger extends AsyncDisposable {
  /** How many were not acknowledged before. `NOT_FOUND`. */
  ack(agentId: string, ids: readonly string[]): Promise<number>;
  /** How many a consumer of the shared inbox held. `NOT_FOUND`. */
  nack(agentId: string, ids: readonly string[], delayMs: number): Promise<number>;
  /** Oldest first. A page may be shorter than `limit` where letters are long. `NOT_FOUND`. */
  deadLetters(agentId: string, page: { after?: string | undefined; limit: number }): Promise<DeadLettersPage>;
  /** How many are in the inbox again. `NOT_FOUND`. */
  redrive(agentId: string, ids: readonly string[]): Promise<number>;
  /** What the channel will not keep any more, from `first` on backwards, expires. */
  expireBefore(agentId: string, first: string): Promise<void>;
}

export interface InboxLedgerOptions {
  readonly context: InboxContext;
  readonly logger: Logger;
}

const sweepMs = 1_000;
const sweepMost = 500;
const redriveMost = 500;
/** A page of dead letters ends behind the handful with which it passes so many characters, as all pages of messages do. */
const pageMaxSize = 4_194_304;
/** Of one call of Redis: letters of 256 kB are 4 MB then, and as much that is published. */
const lettersAtOnce = 16;
/** Acknowledgements of one call, and those that may wait for one. */
const ackMaxCalls = 500;
const ackMaxIds = 2_000;
const ackMaxWaiting = 20_000;

/** Sweeps until it is disposed: any number of processes may, and each message expires once. */
export function startInboxLedger({ context, logger }: InboxLedgerOptions): InboxLedger {
  const { redis, keys } = context;
  const acks = createCoalescer<Ack, number>({
    call: (calls) => ackAll(context, calls),
    maxItems: ackMaxCalls,
    maxBytes: ackMaxIds,
    bytesOf: ({ ids }) => ids.length,
    maxWaiting: ackMaxWaiting,
  });
  const ticker = startTicker({
    intervalMs: sweepMs,
    async action(signal) {
      while (!signal.aborted && Number(await sweepScript(context, { most: sweepMost })) >= sweepMost);
    },
    onError: createRepeatedWarning(logger, "Messages that are too old could not be found."),
  });

  return {
    ack: (agentId, ids) => acks.add({ agentId, ids }),

    async nack(agentId, ids, delayMs) {
      const nacked = await nackScript(context, { agent_id: agentId, delay_ms: delayMs }, ids);
      if (nacked === null) throw await unknownAgent(context, agentId);
      return Number(nacked);
    },

    async deadLetters(agentId, { after, limit }) {
      await mustBeRegistered(context, agentId);
      const { index, letters } = keys.deadLetters(agentId);
      const from = after ? `(${readPlace(after)}` : "-inf";
      const found = await redis.zrangebyscore(index, from, "+inf", "WITHSCORES", "LIMIT", 0, limit + 1);
      const ids = found.filter((_, i) => i % 2 === 0).slice(0, limit);
      const texts: string[] = [];
      let [shown, size] = [0, 0];
      while (shown < ids.length && size < pageMaxSize) {
        const some = ids.slice(shown, shown + lettersAtOnce);
        shown += some.length;
        // One that was redriven since its id was read is not there any more.
        const there = (await redis.hmget(letters, ...some)).filter((text) => text !== null);
        size += there.reduce((sum, text) => sum + text.length, 0);
        texts.push(...there);
      }
      const next = found.length > shown * 2 ? found[shown * 2 - 1] : undefined;
      return { dead_letters: texts.map(readLetter), ...(next !== undefined && { next }) };
    },

    async redrive(agentId, ids) {
      await mustBeRegistered(context, agentId);
      const { index } = keys.deadLetters(agentId);
      const wanted = ids.length > 0 ? ids : await redis.zrange(index, "0", String(redriveMost - 1));
      let redriven = 0;
      for (let i = 0; i < wanted.length; i += lettersAtOnce) {
        const some = await redriveScript(context, { agent_id: agentId }, wanted.slice(i, i + lettersAtOnce));
        if (some === null) throw await unknownAgent(context, agentId);
        redriven += Number(some);
      }
      return redriven;
    },

    async expireBefore(agentId, first) {
      await expireBeforeScript(context, { agent_id: agentId, first });
    },

    [Symbol.asyncDispose]: () => ticker.stop(),
  };
}

interface Ack {
  readonly agentId: string;
  readonly ids: readonly string[];
}

async function ackAll(context: InboxContext, calls: readonly Ack[]) {
  const pairs = calls.flatMap(({ agentId, ids }) => ids.flatMap((id) => [agentId, id]));
  const outcomes = (await ackScript(context, {}, pairs)) as number[];
  let at = 0;
  return calls.map(({ agentId, ids }) => {
    const own = outcomes.slice(at, at + ids.length);
    at += ids.length;
    return own.includes(-1) ? agentNotFound(agentId) : own.reduce((sum, one) => sum + one, 0);
  });
}

/** As `ksi_bury` wrote it. */
function readLetter(text: string): DeadLetter {
  const [head = "", , json = ""] = text.split("\n");
  const [reason, deliveries, , died_at = ""] = head.split(" ");
  return {
    message: JSON.parse(json) as Message,
    reason: reason as DeathReason,
    deliveries: Number(deliveries),
    died_at,
  };
}
