import { expect, test } from "vitest";
import { createLogger } from "./logger.ts";

async function logLines(
  level: "debug" | "info" | "warn",
  log: (logger: Awaited<ReturnType<typeof createLogger>>) => void,
) {
  const lines: Record<string, unknown>[] = [];
  log(await createLogger({ level, destination: { write: (line) => lines.push(JSON.parse(line)) } }));
  return lines;
}

test("secrets and prompts are left out, wherever they were put", async () => {
  const secret = "hush";
  const lines = await logLines("info", (logger) => {
    logger.info({ token: secret, run: { prompt: secret }, request: { headers: { authorization: secret } } }, "hi");
  });
  expect(lines).toMatchObject([{ msg: "hi", token: "[redacted]", run: { prompt: "[redacted]" } }]);
  expect(JSON.stringify(lines)).not.toContain(secret);
});

test("only what is at least as important as the level is written", async () => {
  const lines = await logLines("warn", (logger) => {
    logger.info({}, "not this");
    logger.warn({}, "this");
  });
  expect(lines).toMatchObject([{ msg: "this" }]);
});

test("an error is logged with its stack and its cause", async () => {
  const lines = await logLines("info", (logger) => {
    logger.error({ err: new Error("outer", { cause: new Error("inner") }) }, "failed");
  });
  expect(JSON.stringify(lines)).toMatch(/outer.*inner/);
});

test("an error is logged without the call to Redis that it carries, in which a prompt may be", async () => {
  const command = { name: "evalsha", args: ["hush"] };
  const failed = Object.assign(new Error("EXECABORT"), { code: "E", command, previousErrors: [{ command }] });
  const lines = await logLines("info", (logger) => logger.warn({ err: failed }, "failed"));
  expect(lines).toMatchObject([{ err: { type: "Error", message: "EXECABORT", code: "E" } }]);
  expect(JSON.stringify(lines)).not.toContain("hush");
});
