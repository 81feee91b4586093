import { TRPCError } from "@trpc/server";
import { getHTTPStatusCodeFromError } from "@trpc/server/http";
import { expect, test } from "vitest";
import { z } from "zod";
import { errorCodes, KsiError } from "./errors.ts";
import { appRouter, type Ports } from "./index.ts";
import { type Context, toWireError, trpcCodes } from "./trpc.ts";

const health: Context["health"] = async () => ({ status: "ok", version: "0.0.0" });

/** Ports of which only `runs.get` is there. */
function callerWith(get: Ports["runs"]["get"]) {
  return appRouter.createCaller({ health, ports: { runs: { get } } as unknown as Ports });
}

async function refusalOf(call: Promise<unknown>): Promise<TRPCError> {
  const thrown = await call.catch((error: unknown) => error);
  if (!(thrown instanceof TRPCError)) throw new Error(`not refused: ${String(thrown)}`);
  return thrown;
}

test.for(errorCodes)("an error %s of a port reaches the caller with its code, message and details", async (code) => {
  const error = new KsiError(code, "What happened.", { details: { run_id: "run-1" }, cause: new Error("secret") });
  const refusal = await refusalOf(callerWith(() => Promise.reject(error)).runs.get({ run_id: "run-1" }));
  expect(refusal.code).toBe(trpcCodes[code]);
  expect(toWireError(refusal)).toEqual({ code, message: "What happened.", details: { run_id: "run-1" } });
  expect(getHTTPStatusCodeFromError(refusal)).toBeGreaterThanOrEqual(400);
});

test("what breaks inside is masked: neither message nor stack is in the answer", async () => {
  const leak = () => Promise.reject(new Error("password=hunter2 at /home/me"));
  const refusal = await refusalOf(callerWith(leak).runs.get({ run_id: "run-1" }));
  const wire = toWireError(refusal);
  expect(wire.code).toBe("INTERNAL");
  const { errorFormatter, transformer: _ } = appRouter._def._config;
  const shape = errorFormatter({
    error: refusal,
    type: "query",
    path: "runs.get",
    input: {},
    ctx: undefined,
    shape: { code: -32603, message: refusal.message, data: { code: refusal.code, httpStatus: 500, path: "runs.get" } },
  });
  expect(JSON.stringify([wire, shape])).not.toMatch(/hunter2|\/home\/me|\.ts:\d/);
  expect(appRouter._def._config.isDev).toBe(false);
});

test("input that fails its schema is INVALID_INPUT and never reaches a port", async () => {
  let asked = 0;
  const caller = callerWith(async () => {
    asked++;
    throw new Error("not reached");
  });
  const wire = toWireError(await refusalOf(caller.runs.get({ run_id: "" })));
  expect(wire).toMatchObject({ code: "INVALID_INPUT", details: { issues: [{ path: "run_id" }, { path: "run_id" }] } });
  expect(asked).toBe(0);
});

test("without a token every procedure but system.health is refused, before its input is looked at", async () => {
  const stranger = appRouter.createCaller({ health });
  const open: string[] = [];
  for (const path of Object.keys(appRouter._def.procedures)) {
    const procedure = path
      .split(".")
      .reduce<unknown>((node, name) => (node as Record<string, unknown>)[name], stranger);
    const answer = await (procedure as () => Promise<unknown>)().catch((error: unknown) => error);
    if (!(answer instanceof TRPCError)) open.push(path);
    else expect(toWireError(answer).code).toBe("UNAUTHORIZED");
  }
  expect(open).toEqual(["system.health"]);
});

test("an answer that a port gives in the wrong shape is a fault of ours, and its content stays inside", async () => {
  const wrong = { run_id: "run-1", token: "hunter2" } as unknown as Awaited<ReturnType<Ports["runs"]["get"]>>;
  const wire = toWireError(await refusalOf(callerWith(async () => wrong).runs.get({ run_id: "run-1" })));
  expect(wire.code).toBe("INTERNAL");
  expect(JSON.stringify(wire)).not.toContain("hunter2");
});

test("what tRPC itself raises keeps a code of our list", () => {
  expect(toWireError(new TRPCError({ code: "NOT_FOUND", message: "No procedure" })).code).toBe("NOT_FOUND");
  expect(toWireError(new TRPCError({ code: "PARSE_ERROR", message: "Bad JSON" })).code).toBe("MALFORMED_REQUEST");
  const tripped = new TypeError("Cannot destructure property 'json' of 'payload' as it is undefined.");
  expect(toWireError(new TRPCError({ code: "BAD_REQUEST", cause: tripped }))).toEqual({
    code: "MALFORMED_REQUEST",
    message: expect.not.stringContaining("destructure"),
  });
  expect(toWireError(new TRPCError({ code: "BAD_REQUEST", cause: z.string().safeParse(1).error })).code).toBe(
    "INVALID_INPUT",
  );
});
