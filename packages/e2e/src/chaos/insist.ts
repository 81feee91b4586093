import { setTimeout as sleep } from "node:timers/promises";
import { KsiError } from "@ksi/contract";

const passing = new Set<string>(["CONNECTION_LOST", "STORE_UNAVAILABLE", "SHUTTING_DOWN"]);
const pauseMs = 100;

/** Tries again for as long as it is only that somebody is away. */
export async function insist<T>(attempt: () => Promise<T>, onRepeat: () => void = () => undefined): Promise<T> {
  for (;;) {
    try {
      return await attempt();
    } catch (thrown) {
      if (!passing.has(KsiError.from(thrown).code)) throw thrown;
    }
    onRepeat();
    await sleep(pauseMs);
  }
}
