import type { inferRouterInputs, inferRouterOutputs } from "@trpc/server";
import { expectTypeOf, test } from "vitest";
import type {
  AppRouter,
  DeathReason,
  ErrorCode,
  FinalRunEvent,
  JsonObject,
  KsiEvent,
  Message,
  MessageEvent,
  Run,
  RunErrorCode,
  RunEvent,
  SpawnRequest,
  StateEvent,
} from "./index.ts";

declare const event: KsiEvent;

test("the type of an event narrows its payload", () => {
  if (event.event_type === "run.text") expectTypeOf(event.payload).toEqualTypeOf<{ text: string }>();
  if (event.event_type === "run.failed") expectTypeOf(event.payload.error.code).toEqualTypeOf<ErrorCode>();
  if (event.event_type === "agent.joined") expectTypeOf(event.payload.capabilities).toEqualTypeOf<string[]>();
  if (event.event_type === "session.deleted") expectTypeOf(event.session_id).toEqualTypeOf<string>();
  if (event.event_type === "agent.updated") expectTypeOf(event.payload.status).toEqualTypeOf<"online" | "offline">();
  if (event.event_type === "message.acked") expectTypeOf(event.payload.message_id).toEqualTypeOf<string>();
  if (event.event_type === "message.acked") expectTypeOf(event.agent_id).toEqualTypeOf<string>();
  if (event.event_type === "message.dead") expectTypeOf(event.payload.reason).toEqualTypeOf<DeathReason>();
  if (event.event_type === "message.blocked") expectTypeOf(event.target).toEqualTypeOf<string | undefined>();
  if (event.event_type === "state.set") expectTypeOf(event.payload.version).toEqualTypeOf<number>();
  if (event.event_type.startsWith("x.")) expectTypeOf(event.id).toEqualTypeOf<string>();
  // @ts-expect-error: which payload it has is not known before its type
  void event.payload.text;
});

test("a switch over the events of a run can be exhaustive", () => {
  const name = (event: FinalRunEvent): string => {
    switch (event.event_type) {
      case "run.completed":
        return event.payload.result;
      case "run.failed":
      case "run.cancelled":
      case "run.timed_out":
        return event.payload.error.message;
    }
  };
  expectTypeOf(name).returns.toBeString();
  expectTypeOf<FinalRunEvent>().toExtend<RunEvent>();
});

test("a switch over receipts and changes of the shared state can be exhaustive", () => {
  const name = (event: MessageEvent | StateEvent): string => {
    switch (event.event_type) {
      case "message.delivered":
      case "message.acked":
      case "message.expired":
      case "message.dead":
      case "message.redriven":
        return event.payload.message_id;
      case "message.blocked":
        return event.payload.reason;
      case "state.set":
      case "state.deleted":
        return event.payload.key;
    }
  };
  expectTypeOf(name).returns.toBeString();
});

test("the router's types are the schemas'", () => {
  type Inputs = inferRouterInputs<AppRouter>;
  type Outputs = inferRouterOutputs<AppRouter>;
  expectTypeOf<Inputs["runs"]["spawn"]>().toEqualTypeOf<SpawnRequest>();
  expectTypeOf<Outputs["runs"]["get"]>().toEqualTypeOf<Run>();
  expectTypeOf<SpawnRequest>().toHaveProperty("prompt").toEqualTypeOf<string>();
  expectTypeOf<Pick<SpawnRequest, "prompt">>().toExtend<SpawnRequest>();
  expectTypeOf<Inputs["messages"]["send"]["capability"]>().toEqualTypeOf<string | string[] | undefined>();
  expectTypeOf<Inputs["messages"]["inbox"]["mode"]>().toEqualTypeOf<"each" | "shared" | undefined>();
  expectTypeOf<Inputs["messages"]["ack"]>().toEqualTypeOf<{ agent_id: string; ids: string[] }>();
  expectTypeOf<Inputs["agents"]["register"]["metadata"]>().toEqualTypeOf<JsonObject | undefined>();
  expectTypeOf<Outputs["messages"]["request"]["reply"]>().toEqualTypeOf<Message>();
  expectTypeOf<Outputs["state"]["list"]["entries"][number]>().not.toHaveProperty("value");
  expectTypeOf<RunErrorCode>().toExtend<ErrorCode>();
});
