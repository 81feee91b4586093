import type { AppRouter, Json, Message, RunEvent } from "@ksi/contract";
import type { TRPCClient } from "@trpc/client";
import { expectTypeOf, test } from "vitest";
import { z } from "zod";
import type { AgentHandle, EventStream, KsiClient, ReceivedMessage, RunHandle } from "./index.ts";

declare const ksi: KsiClient;

test("an event's payload is narrowed by its type", () => {
  type OfType<T extends RunEvent["event_type"]> = Extract<RunEvent, { event_type: T }>["payload"];
  expectTypeOf<OfType<"run.text">>().toEqualTypeOf<{ text: string }>();
  expectTypeOf<OfType<"run.completed">["result"]>().toEqualTypeOf<string>();
  const follow = async (run: RunHandle) => {
    for await (const event of run.events()) {
      if (event.event_type === "run.text") expectTypeOf(event.payload.text).toEqualTypeOf<string>();
      if (event.event_type === "run.tool_use") expectTypeOf(event.payload.name).toEqualTypeOf<string>();
      // @ts-expect-error: not every event has a text
      void event.payload.text;
    }
  };
  expectTypeOf(follow).toBeFunction();
});

test("without a schema the result is a string, with one it is what the schema gives", async () => {
  const plain = await ksi.run({ prompt: "x" });
  expectTypeOf((await plain.result()).result).toEqualTypeOf<string>();
  const output = z.object({ answer: z.number(), at: z.string().transform((at) => new Date(at)) });
  const typed = await ksi.run({ prompt: "x", output });
  expectTypeOf((await typed.result()).result).toEqualTypeOf<{ answer: number; at: Date }>();
  expectTypeOf((await typed.result()).text).toEqualTypeOf<string>();
  const attached = await ksi.runs.attach("run-1", { output });
  expectTypeOf((await attached.result()).result.answer).toEqualTypeOf<number>();
});

test("requests are checked", () => {
  // @ts-expect-error: a run has a prompt
  void ksi.run({ model: "echo" });
  // @ts-expect-error: the schema is not a Standard Schema
  void ksi.run({ prompt: "x", output: { type: "object" } });
  // @ts-expect-error: published events are called x.…, but that is the daemon's to check; a payload is needed
  void ksi.events.publish({ source: "me", event_type: "x.done" });
  void ksi.runs.list({ status: "queued" });
  // @ts-expect-error: not a status
  void ksi.runs.list({ status: "sleeping" });
});

test("streams and the raw client are typed by the contract", () => {
  expectTypeOf(ksi.agents.inbox).returns.toEqualTypeOf<EventStream<Message>>();
  expectTypeOf(ksi.trpc).toEqualTypeOf<TRPCClient<AppRouter>>();
  expectTypeOf(ksi.trpc.runs.spawn.mutate).parameter(0).toHaveProperty("prompt").toEqualTypeOf<string>();
  expectTypeOf(ksi.trpc.system.health.query).returns.resolves.toHaveProperty("status");
  expectTypeOf(ksi.trpc).not.toHaveProperty("nonsense");
});

declare const bob: AgentHandle;

test("an agent's messages can be acknowledged and answered, and what it sends has no source of its own", () => {
  expectTypeOf(bob.inbox).returns.toEqualTypeOf<EventStream<ReceivedMessage>>();
  expectTypeOf<ReceivedMessage>().toExtend<Message>();
  expectTypeOf<ReceivedMessage["reply"]>().parameter(0).toEqualTypeOf<Json>();
  void bob.send({ capability: ["sum", "math"], event_type: "x.sum", payload: [1, 2] });
  void bob.request({ target: "carol", event_type: "x.sum", payload: [1, 2], timeout_ms: 1_000 });
  // @ts-expect-error: the agent is the source
  void bob.send({ source: "alice", target: "carol", event_type: "x.sum", payload: 1 });
});

test("a handler returns JSON or nothing, now or later", () => {
  void bob.handle(({ payload }) => payload);
  void bob.handle(async ({ payload }) => ({ echo: payload }));
  void bob.handle(() => {});
  void bob.handle(async () => {});
  void bob.handle(({ event_type }) => (event_type === "x.sum" ? 4 : undefined), { mode: "shared", concurrency: 4 });
  // @ts-expect-error: a Date is not JSON
  void bob.handle(() => new Date());
});

test("a shared inbox has no place to resume at, and its own limit", () => {
  void bob.inbox({ mode: "shared", prefetch: 10 });
  void bob.inbox({ cursor: "1.2", from: "oldest" });
  // @ts-expect-error: one place for all
  void bob.inbox({ mode: "shared", cursor: "1.2" });
  // @ts-expect-error: without sharing nothing is held back
  void bob.inbox({ prefetch: 10 });
});

test("shared state and profiles are typed by the contract", () => {
  expectTypeOf(ksi.state.get).returns.resolves.toHaveProperty("value").toEqualTypeOf<Json>();
  expectTypeOf(ksi.state.set).parameter(0).toHaveProperty("if_version").toEqualTypeOf<number | undefined>();
  expectTypeOf(ksi.profiles.get).returns.resolves.toHaveProperty("origin");
  void ksi.events.subscribe({ types: ["message.*"], target: "alice" });
});
