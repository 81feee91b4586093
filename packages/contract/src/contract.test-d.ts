import type { inferRouterInputs, inferRouterOutputs } from "@trpc/server";
import { expectTypeOf, test } from "vitest";
import type {
  AppRouter,
  ErrorCode,
  FinalRunEvent,
  KsiEvent,
  Run,
  RunErrorCode,
  RunEvent,
  SpawnRequest,
} from "./index.ts";

declare const event: KsiEvent;

test("the type of an event narrows its payload", () => {
  if (event.event_type === "run.text") expectTypeOf(event.payload).toEqualTypeOf<{ text: string }>();
  if (event.event_type === "run.failed") expectTypeOf(event.payload.error.code).toEqualTypeOf<ErrorCode>();
  if (event.event_type === "agent.joined") expectTypeOf(event.payload.capabilities).toEqualTypeOf<string[]>();
  if (event.event_type === "session.deleted") expectTypeOf(event.session_id).toEqualTypeOf<string>();
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

test("the router's types are the schemas'", () => {
  type Inputs = inferRouterInputs<AppRouter>;
  type Outputs = inferRouterOutputs<AppRouter>;
  expectTypeOf<Inputs["runs"]["spawn"]>().toEqualTypeOf<SpawnRequest>();
  expectTypeOf<Outputs["runs"]["get"]>().toEqualTypeOf<Run>();
  expectTypeOf<SpawnRequest>().toHaveProperty("prompt").toEqualTypeOf<string>();
  expectTypeOf<Pick<SpawnRequest, "prompt">>().toExtend<SpawnRequest>();
  expectTypeOf<RunErrorCode>().toExtend<ErrorCode>();
});
