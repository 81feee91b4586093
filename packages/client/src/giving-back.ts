/** Messages of a shared inbox that failed, given back to come again: a little later each time. */
import { backoffMs } from "./delay.ts";
import type { ReceivedMessage } from "./received-message.ts";

export interface GivingBack {
  /** Not waited for: it may come again at once. Where it fails, the daemon takes the message back in its own time. */
  giveBack(message: ReceivedMessage): void;
  /** It was dealt with. */
  forget(messageId: string): void;
  settle(): Promise<void>;
}

/** Messages whose failures are counted. */
const maxRemembered = 1_000;

export function createGivingBack(): GivingBack {
  const failures = new Map<string, number>();
  const underWay = new Set<Promise<void>>();
  return {
    giveBack(message) {
      const count = failures.get(message.id) ?? 0;
      if (failures.size >= maxRemembered) failures.clear();
      failures.set(message.id, count + 1);
      const given = message
        .nack(Math.round(backoffMs(count)))
        .catch(() => undefined)
        .finally(() => underWay.delete(given));
      underWay.add(given);
    },
    forget: (messageId) => void failures.delete(messageId),
    settle: async () => void (await Promise.all(underWay)),
  };
}
