/** `@ksi/openapi` by itself: any tRPC 11 router as REST and OpenAPI, no daemon needed. */
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { serve } from "@hono/node-server";
import { createOpenApiDocument, createOpenApiHandler, type OpenApiMeta } from "@ksi/openapi";
import { initTRPC, tracked } from "@trpc/server";
import { z } from "zod";

const t = initTRPC.meta<OpenApiMeta>().create();
const router = t.router({
  add: t.procedure
    .meta({ openapi: { method: "GET", path: "/sum/{a}", summary: "Adds two numbers" } })
    .input(z.object({ a: z.int(), b: z.int().default(1) }))
    .output(z.object({ sum: z.int() }))
    .query(({ input }) => ({ sum: input.a + input.b })),
  count: t.procedure
    .meta({ openapi: { method: "GET", path: "/count", summary: "Counts to three" } })
    .input(z.object({ lastEventId: z.coerce.number().default(0) }))
    .subscription(async function* ({ input }) {
      for (let n = input.lastEventId + 1; n <= 3; n++) yield tracked(String(n), { n });
    }),
});

const server = serve({ fetch: createOpenApiHandler({ router }), port: 0, hostname: "127.0.0.1" });
await once(server, "listening");
const { port } = server.address() as AddressInfo;

async function show(path: string, headers = {}) {
  const answer = await fetch(`http://127.0.0.1:${port}${path}`, { headers });
  console.log(`${path} ${answer.status}\n${(await answer.text()).trim()}`);
}
await show("/sum/2?b=40");
await show("/sum/two");
await show("/count", { "last-event-id": "2" });
const { paths } = await createOpenApiDocument(router, { title: "Sums", version: "1.0.0" });
console.log(Object.keys(paths).join(" "));
server.close();
