/** What requests wait for. */
import type { Message, Replied } from "@ksi/contract";
import { KsiError } from "@ksi/contract/errors";
import type { EventLog } from "./event-log.ts";
import { createLuaScript } from "./lua-script.ts";
import { channels, type TenantKeys } from "./redis/keys.ts";
import type { Store } from "./redis/store.ts";
import { startTimeLimit } from "./time-limit.ts";

/** A request that was sent. */
export interface Asked {
  readonly id: string;
  readonly correlation_id: string;
  /** Whom the answer goes to. */
  readonly by: string;
}

export interface Replies {
  /**
   * `AGENT_FAILED` where the answer says why there is none, `TIMEOUT` where none came within `timeoutMs`, and `CANCELLED`
   * once the signal is aborted.
   */
  wait(asked: Asked, timeoutMs: number, signal: AbortSignal | undefined): Promise<Replied>;
}

export interface RepliesOptions {
  readonly store: Pick<Store, "commands">;
  readonly keys: TenantKeys;
  readonly log: EventLog;
}

export function createReplies({ store, keys, log }: RepliesOptions): Replies {
  return {
    async wait(asked, timeoutMs, signal) {
      const heard = await hear(asked, timeoutMs, signal).catch((thrown: unknown) => {
        giveUp(asked).catch(() => undefined);
        throw thrown;
      });
      if (heard) return toReplied(asked, heard);
      const given = giveUp(asked).catch(() => undefined);
      if (signal?.aborted) throw new KsiError("CANCELLED", "The call was cancelled.", { cause: signal.reason });
      const late = await given;
      if (late) return toReplied(asked, late);
      const message = `No answer came within ${timeoutMs} ms. The message stays sent.`;
      throw new KsiError("TIMEOUT", message, { details: { message_id: asked.id } });
    },
  };

  async function hear({ correlation_id }: Asked, timeoutMs: number, signal: AbortSignal | undefined) {
    using limit = startTimeLimit(timeoutMs, signal);
    const channel = channels.reply(correlation_id);
    const replies = await log.follow<Message>(channel, { from: "oldest", signal: limit.signal });
    for await (const { event } of replies) {
      // A copy, and read by nobody else. What is left of it ends by itself.
      store.commands.del(keys.channel(channel)).catch(() => undefined);
      return event;
    }
    return undefined;
  }

  /** From now on an answer is a message like any other. One that came before that, and was only not heard yet, is given. */
  async function giveUp({ id, correlation_id, by }: Asked): Promise<Message | undefined> {
    const key = keys.request(correlation_id);
    if ((await giveUpScript.run(store.commands, [key], [`${by} ${id}`])) === 1) return undefined;
    const { entries } = await log.page<Message>(channels.reply(correlation_id), { limit: 1 });
    return entries[0]?.event;
  }
}

/**
 * Ends the wait of one request, and not that of a later one with the same correlation id. KEYS: 1 request. ARGV: 1 its
 * value. Returns 1, or 0 where it was answered or its time was over. No events.
 */
const giveUpScript = createLuaScript(`
return redis.call('GET', KEYS[1]) == ARGV[1] and redis.call('DEL', KEYS[1]) or 0
`);

function toReplied({ id }: Asked, reply: Message): Replied {
  const { source, error } = reply;
  if (!error) return { status: "replied", id, reply };
  const details = { message_id: id, agent_error: error };
  throw new KsiError("AGENT_FAILED", `${source} could not do it: ${error.message}`, { details });
}
