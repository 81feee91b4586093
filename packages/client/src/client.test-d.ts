import type {
  AgentEvent,
  AppRouter,
  CustomEvent,
  Json,
  KsiEvent,
  Message,
  MessageEvent,
  RunEvent,
  StateEvent,
} from "@ksi/contract";
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

test("the firehose is narrowed by the types of its filter", () => {
  expectTypeOf(ksi.events.subscribe()).toEqualTypeOf<EventStream<KsiEvent>>();
  expectTypeOf(ksi.events.subscribe({ agent_id: "bob" })).toEqualTypeOf<EventStream<KsiEvent>>();
  expectTypeOf(ksi.events.subscribe({ types: ["*"] })).toEqualTypeOf<EventStream<KsiEvent>>();
  expectTypeOf(ksi.events.subscribe({ types: ["agent.*"] })).toEqualTypeOf<EventStream<AgentEvent>>();
  expectTypeOf(ksi.events.subscribe({ types: ["agent.*", "state.*"] })).toEqualTypeOf<
    EventStream<AgentEvent | StateEvent>
  >();
  type Acked = Extract<MessageEvent, { event_type: "message.acked" }>;
  expectTypeOf(ksi.events.subscribe({ types: ["message.acked"] })).toEqualTypeOf<EventStream<Acked>>();
  expectTypeOf(ksi.events.subscribe({ types: ["x.done"] })).toEqualTypeOf<EventStream<CustomEvent>>();
  expectTypeOf(ksi.events.subscribe({ types: ["DIRECT_MESSAGE"] })).toEqualTypeOf<EventStream<CustomEvent>>();
  const types: string[] = [];
  expectTypeOf(ksi.events.subscribe({ types })).toEqualTypeOf<EventStream<KsiEvent>>();
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
declare const message: ReceivedMessage;

test("an agent's messages can be acknowledged and answered, and what it sends has no source of its own", () => {
  expectTypeOf(bob.inbox).returns.toEqualTypeOf<EventStream<ReceivedMessage>>();
  expectTypeOf<ReceivedMessage>().toExtend<Message>();
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

interface Task {
  title: string;
  steps: readonly { name: string; minutes?: number }[];
}
declare const task: Task;
const taskSchema = z.object({ title: z.string(), due: z.string().transform((due) => new Date(due)) });

test("a payload may be described by interfaces, and must be JSON", () => {
  void bob.send({ target: "carol", event_type: "x.task", payload: task });
  void bob.request({ target: "carol", event_type: "x.task", payload: [task, { tasks: [task] }] });
  void ksi.messages.send({ source: "me", target: "carol", event_type: "x.task", payload: { task, note: undefined } });
  void ksi.messages.sendBatch([
    { source: "me", target: "carol", event_type: "x.task", payload: task },
    { source: "me", event_type: "x.sum", payload: [1, 2], ttl_ms: 1_000 },
  ]);
  void ksi.messages.sendBatch([1, 2, 3].map((n) => ({ source: "me", event_type: "x.n", payload: { n } })));
  void ksi.events.publish({ source: "me", event_type: "x.task", payload: task });
  void ksi.state.set({ namespace: "plans", key: "a", value: task });
  void message.reply(task);
  void message.reply(message.payload);
  // @ts-expect-error: a Date is not JSON
  void bob.send({ target: "carol", event_type: "x.task", payload: { at: new Date() } });
  // @ts-expect-error: nor is a Map
  void ksi.messages.sendBatch([{ source: "me", event_type: "x.task", payload: new Map([["a", 1]]) }]);
  // @ts-expect-error: nor is a bigint
  void message.reply({ n: 1n });
  // @ts-expect-error: nor is a function
  void ksi.state.set({ namespace: "plans", key: "a", value: { run: () => 1 } });
  // @ts-expect-error: what is not known may be anything
  void ksi.state.set({ namespace: "plans", key: "a", value: task as unknown });
});

test("a schema types what comes", async () => {
  void bob.handle((message) => void expectTypeOf(message.payload).toEqualTypeOf<{ title: string; due: Date }>(), {
    schema: taskSchema,
  });
  void bob.handle((message) => void expectTypeOf(message.payload).toEqualTypeOf<Json>());
  void bob.handle(() => task);
  // @ts-expect-error: a part of it is not JSON
  void bob.handle(async () => ({ at: new Date() }));
  const { reply } = await ksi.messages.request(
    { source: "me", target: "bob", event_type: "x.q", payload: 1 },
    { schema: taskSchema },
  );
  expectTypeOf(reply.payload.due).toEqualTypeOf<Date>();
  expectTypeOf(reply.source).toEqualTypeOf<string>();
  const plain = await bob.request({ target: "carol", event_type: "x.q", payload: task });
  expectTypeOf(plain.reply.payload).toEqualTypeOf<Json>();
  expectTypeOf((await ksi.state.get("plans", "a", { schema: taskSchema })).value.title).toEqualTypeOf<string>();
});

test("a change of the shared state gives what it was given", () => {
  void ksi.state.update("counts", "a", (n: number | undefined) => (n ?? 0) + 1);
  void ksi.state.update("plans", "a", (plan) => ({ ...plan, title: "new" }), {
    schema: z.object({ title: z.string() }),
    ttl_ms: 1_000,
  });
  // @ts-expect-error: a Date is not JSON
  void ksi.state.update("plans", "a", () => new Date());
});

test("shared state and profiles are typed by the contract", () => {
  const entry = ksi.state.get("plans", "a");
  expectTypeOf(entry).resolves.toHaveProperty("value").toEqualTypeOf<Json>();
  expectTypeOf(ksi.state.set).parameter(0).toHaveProperty("if_version").toEqualTypeOf<number | undefined>();
  expectTypeOf(ksi.profiles.get).returns.resolves.toHaveProperty("origin");
  void ksi.events.subscribe({ types: ["message.*"], target: "alice" });
});
