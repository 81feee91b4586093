import { expect, test } from "vitest";
import { z } from "zod";
import { createKsiClient, type KsiClient } from "./index.ts";
import { type FakeDaemon, startFakeDaemon } from "./testing/fake-daemon.ts";

const connect = ({ url, token }: FakeDaemon): KsiClient => createKsiClient({ url, token });

test("an answer is what the schema of the request makes of it, or OUTPUT_INVALID that names the fields", async () => {
  await using daemon = await startFakeDaemon();
  await using ksi = connect(daemon);
  const question = { source: "alice", target: "bob", event_type: "x.q", payload: 1 };
  const words = z.number().transform((number) => `number ${number}`);
  const { id, reply } = await ksi.messages.request(question, { schema: words });
  expect([id, reply.source, reply.payload]).toEqual(["m1", "bob", "number 4"]);
  await expect(ksi.messages.request(question, { schema: z.object({ sum: z.number() }) })).rejects.toMatchObject({
    code: "OUTPUT_INVALID",
    message: expect.stringContaining("bob"),
    details: { message_id: "m1", issues: [{ path: "", message: expect.any(String) }] },
  });
});

test("a value of the shared state is what the schema makes of it, or OUTPUT_INVALID that names the fields", async () => {
  await using daemon = await startFakeDaemon();
  await using ksi = connect(daemon);
  await ksi.state.set({ namespace: "plans", key: "a", value: { due: "2026-11-21" } });
  const schema = z.object({ due: z.string().transform((due) => new Date(due)) });
  expect(await ksi.state.get("plans", "a", { schema })).toMatchObject({ version: 1, value: { due: expect.any(Date) } });
  const other = z.object({ due: z.number() });
  await expect(ksi.state.get("plans", "a", { schema: other })).rejects.toMatchObject({
    code: "OUTPUT_INVALID",
    details: { issues: [{ path: "due" }] },
  });
});

test("properties that are undefined are left out of what is sent, and what JSON lacks is refused", async () => {
  await using daemon = await startFakeDaemon();
  await using ksi = connect(daemon);
  const set = (value: unknown) => ksi.state.set({ namespace: "plans", key: "a", value: value as null });
  await set({ title: "a", note: undefined, steps: [{ name: "b", minutes: undefined }] });
  expect(daemon.set.map(({ value }) => value)).toStrictEqual([{ title: "a", steps: [{ name: "b" }] }]);
  for (const value of [{ at: new Date() }, [undefined], { n: 1n }, { map: new Map() }, Number.NaN]) {
    await expect(set(value)).rejects.toMatchObject({ code: "INVALID_INPUT" });
  }
});
