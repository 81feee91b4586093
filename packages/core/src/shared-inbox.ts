/**
 * Consumers that share an inbox: each message goes to one of them, up to `prefetch` at a time. What a consumer holds is
 * its own until it is acknowledged, the consumer leaves, its process is silent for `aliveMs`, or the time to acknowledge
 * is over; then it is ready again for whoever asks next.
 *
 * A consumer takes what it may, and looks again when something was sent, acknowledged or given back, which Redis tells it,
 * and now and then in any case.
 */

import { randomUUID } from "node:crypto";
import { setImmediate } from "node:timers/promises";
import type { Entry, Follow, Message } from "@ksi/contract";
import type { KsiError } from "@ksi/contract/errors";
import { agentNotFound, mustBeRegistered } from "./agent-not-found.ts";
import type { EventLog } from "./event-log.ts";
import { StoredEntry } from "./event-log-entry.ts";
import { type Batches, ended, toFollow } from "./follow-of-batches.ts";
import type { InboxContext } from "./inbox-script.ts";
import { beatScript, leaveScript, takeScript } from "./inbox-scripts.ts";
import type { Logger } from "./logger.ts";
import { channels } from "./redis/keys.ts";
import { createRepeatedWarning } from "./repeated-warning.ts";
import { startTicker } from "./ticker.ts";

export interface SharedInboxesOptions {
  readonly log: EventLog;
  readonly context: InboxContext;
  readonly logger: Logger;
}

export interface SharedInboxes extends AsyncDisposable {
  /** `NOT_FOUND`. What it has given out and nobody acknowledged goes to others when the iteration ends. */
  consume(agentId: string, prefetch: number, signal: AbortSignal | undefined): Promise<Follow<Message>>;
}

interface Consumer {
  readonly agentId: string;
  readonly id: string;
}

/** How many others of the process ask first, at the most. */
const mostBefore = 16;
/** A process that beats so often may miss three beats. */
const beatMs = 2_000;
const aliveMs = 8_000;
/** Of one call; more is asked for at once. */
const takeMaxBytes = 1_048_576;
/** Redis tells when to look; this is for what it may have told while it was away. */
const lookMs = 5_000;

export function startSharedInboxes({ log, context, logger }: SharedInboxesOptions): SharedInboxes {
  /** Who was given something the longest ago comes first. */
  const consumers = new Set<Consumer>();
  const warn = createRepeatedWarning(logger, "Consumers of shared inboxes may lose what they hold.");
  const ticker = startTicker({
    intervalMs: beatMs,
    action: async () => {
      if (consumers.size === 0) return;
      await beatScript(
        context,
        { alive_ms: aliveMs },
        [...consumers].flatMap(({ agentId, id }) => [agentId, id]),
      );
    },
    onError: warn,
  });

  return {
    async consume(agentId, prefetch, signal) {
      await mustBeRegistered(context, agentId);
      const open = () => startConsumer(agentId, prefetch, signal);
      return toFollow({ channel: channels.inbox(agentId), open, signal });
    },
    [Symbol.asyncDispose]: () => ticker.stop(),
  };

  function ofAgent(agentId: string): Consumer[] {
    return [...consumers].filter((consumer) => consumer.agentId === agentId);
  }

  function toTheEnd(consumer: Consumer): void {
    if (consumers.delete(consumer)) consumers.add(consumer);
  }

  function startConsumer(agentId: string, prefetch: number, signal: AbortSignal | undefined): Batches<Message> {
    const consumer = { agentId, id: randomUUID() };
    let isEnded = false;
    let failure: KsiError | undefined;
    let mayHaveMore = true;
    let wake = () => {};
    const look = () => {
      mayHaveMore = true;
      wake();
    };
    const watched = [context.keys.channel(channels.inbox(agentId)), context.keys.inboxTurn(agentId)];
    const watch = log.watch(watched, look, (reason) => {
      failure = reason;
      wake();
    });
    const timer = setInterval(look, lookMs);
    timer.unref();
    signal?.addEventListener("abort", end, { once: true });
    if (signal?.aborted) end();
    else consumers.add(consumer);

    return {
      async next() {
        await watch.joined;
        for (;;) {
          if (isEnded) return ended;
          if (failure) {
            end();
            throw failure;
          }
          const batch = mayHaveMore ? await take() : [];
          if (batch.length > 0 && !isEnded) return { done: false, value: batch };
          if (!mayHaveMore && !isEnded && !failure) await new Promise<void>((resolve) => (wake = resolve));
        }
      },
      async return() {
        end();
        return ended;
      },
    };

    async function take(): Promise<Entry<Message>[]> {
      mayHaveMore = false;
      // Who was given something last lets the others of this process ask first, so that idle consumers take turns.
      const before = Math.min(ofAgent(agentId).indexOf(consumer), mostBefore);
      for (let i = 0; i < before; i++) await setImmediate();
      if (isEnded) return [];
      const values = {
        agent_id: agentId,
        consumer_id: consumer.id,
        prefetch,
        alive_ms: aliveMs,
        max_bytes: takeMaxBytes,
      };
      try {
        const reply = (await takeScript(context, values)) as string[] | null;
        if (!reply) throw agentNotFound(agentId);
        // It was carried out after the leaving: what it took goes back.
        if (isEnded) leave();
        if (reply.length > 0) toTheEnd(consumer);
        mayHaveMore ||= reply.length > 0;
        return toEntries(reply);
      } catch (thrown) {
        end();
        throw thrown;
      }
    }

    function end(): void {
      if (isEnded) return;
      isEnded = true;
      signal?.removeEventListener("abort", end);
      clearInterval(timer);
      watch.leave();
      consumers.delete(consumer);
      leave();
      wake();
    }

    /** Where that fails, others notice by the silence. */
    function leave(): void {
      const values = { agent_id: agentId, consumer_id: consumer.id };
      leaveScript(context, values).catch((error) =>
        logger.debug({ err: error }, "A consumer could not say that it left."),
      );
    }
  }
}

function toEntries(flat: readonly string[]): Entry<Message>[] {
  const entries: Entry<Message>[] = [];
  for (let i = 0; i + 1 < flat.length; i += 2) {
    entries.push(new StoredEntry<Message>(flat[i] ?? "", flat[i + 1] ?? ""));
  }
  return entries;
}
