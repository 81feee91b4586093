/**
 * A consumer of an inbox, to be killed at any moment. It writes down what it is given before it acknowledges it, after a
 * while, several at once. What it is given again, it writes down again.
 */
import { appendFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { createKsiClient, KsiError, type Message } from "@ksi/client";
import { createRandom } from "@ksi/testing";
import type { ConsumerOrders } from "./consumer.ts";

const orders = JSON.parse(process.argv[2] ?? "") as ConsumerOrders;
const { url, token, agent_id, mode, journal, seed } = orders;
const random = createRandom(seed, process.pid);
const ksi = createKsiClient({ url, token });
const dealtWith: string[] = [];

follow();
void acknowledge();
process.send?.("ready");

function follow(): void {
  ksi.trpc.messages.inbox.subscribe(
    { agent_id, mode, prefetch: 10 },
    {
      onData: ({ data: message }) => void work(message),
      // What does not pass by itself would show as messages that nobody acknowledges.
      onError: () => void sleep(100).then(follow),
    },
  );
}

async function work({ id, source, payload }: Message): Promise<void> {
  appendFileSync(journal, `${id} ${source} ${payload}\n`);
  await sleep(random.between(0, 100));
  dealtWith.push(id);
}

async function acknowledge(): Promise<void> {
  for (;;) {
    await sleep(random.between(1, 50));
    if (dealtWith.length === 0) continue;
    const ids = dealtWith.splice(0, 500);
    try {
      await ksi.messages.ack({ agent_id, ids });
    } catch (thrown) {
      const { code } = KsiError.from(thrown);
      if (code !== "CONNECTION_LOST" && code !== "STORE_UNAVAILABLE" && code !== "SHUTTING_DOWN") throw thrown;
      dealtWith.push(...ids);
    }
  }
}
