import { once } from "node:events";
import { connect, createServer } from "node:net";
import { createTempFolder, until } from "@ksi/testing";
import { expect, test } from "vitest";
import { channels } from "./redis/keys.ts";
import { startStore } from "./redis/store.ts";
import { createState } from "./state.ts";
import { startFreshLog } from "./testing/fresh-log.ts";
import { silentLogger, startFreshRedis } from "./testing/fresh-redis.ts";

test("a change whose answer is lost is not made twice, and can be seen by its version", async () => {
  await using redis = await startFreshRedis();
  await using way = await startWay(redis.url);
  await using store = await startStore({ url: way.url, logger: silentLogger });
  await using fresh = startFreshLog(store);
  const state = createState({ ...fresh, store });
  const ref = { namespace: "plan", key: "step" };
  const { version } = await state.set({ ...ref, value: 1 });

  way.losesNextAnswer = true;
  await expect(state.set({ ...ref, value: 2 })).rejects.toMatchObject({
    code: "STORE_UNAVAILABLE",
    details: { outcome: "unknown" },
  });
  expect(await until(() => state.get(ref).catch(() => undefined))).toMatchObject({ value: 2, version: version + 1 });
  const { entries } = await fresh.log.page(channels.firehose, { limit: 9 });
  expect(entries).toHaveLength(2);
});

/** To Redis. Where it is to lose the next answer, it cuts the connection after Redis has carried out the call. */
async function startWay(url: string) {
  const folder = await createTempFolder();
  const path = `${folder.path}/s`;
  const way = { url: `unix://${path}`, losesNextAnswer: false };
  const server = createServer((client) => {
    const upstream = connect(url.slice("unix://".length));
    const end = () => {
      client.destroy();
      upstream.destroy();
    };
    client.on("data", (chunk) => upstream.write(chunk));
    upstream.on("data", (chunk) => {
      if (way.losesNextAnswer) end();
      else client.write(chunk);
      way.losesNextAnswer = false;
    });
    for (const socket of [client, upstream]) socket.on("close", end).on("error", end);
  });
  await once(server.listen(path), "listening");
  return Object.assign(way, {
    async [Symbol.asyncDispose]() {
      server.close();
      await folder[Symbol.asyncDispose]();
    },
  });
}
