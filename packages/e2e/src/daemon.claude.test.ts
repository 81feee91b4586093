/** The whole way with nothing stood in for but the model: client, daemon, queue, the real CLI, log, client. */
import { createTempFolder, installClaudeCli, startScriptedModel, type TempFolder } from "@ksi/testing";
import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";
import { type LiveDaemon, startLiveDaemon } from "./live-daemon.ts";

let claudeBin: string;
let home: TempFolder;

beforeAll(async () => {
  claudeBin = await installClaudeCli();
  home = await createTempFolder();
}, 300_000);
afterAll(() => home[Symbol.asyncDispose]());

test("two turns of a session are streamed, remembered and accounted for", async () => {
  await using model = await startScriptedModel((_request, before) => ({ text: ["answer ", String(before)] }));
  await using live = await startDaemonWithClaude(model.url);
  const first = await live.ksi.run({ prompt: "my name is Ada" });
  let text = "";
  for await (const event of first.events()) if (event.event_type === "run.text") text += event.payload.text;
  expect(text).toBe("answer 0");
  const second = await live.ksi.run({ prompt: "what is my name?", session_id: first.session_id });
  expect(await second.result()).toMatchObject({
    result: "answer 1",
    session_id: first.session_id,
    model: "sonnet",
    usage: { output_tokens: expect.any(Number) },
    cost_usd: expect.any(Number),
  });
  expect(JSON.stringify(model.requests[1]?.messages)).toContain("my name is Ada");
  const { messages } = await live.ksi.sessions.messages({ session_id: first.session_id });
  expect(messages.map(({ role, content }) => [role, content])).toEqual([
    ["human", "my name is Ada"],
    ["agent", "answer 0"],
    ["human", "what is my name?"],
    ["agent", "answer 1"],
  ]);
});

test("a schema gives a typed result through the CLI's own structured output", async () => {
  const city = { city: "Oslo", inhabitants: 717_710 };
  await using model = await startScriptedModel(() => ({ tool: "StructuredOutput", input: city }));
  await using live = await startDaemonWithClaude(model.url);
  const output = z.object({ city: z.string(), inhabitants: z.number().int() });
  const { result } = await (await live.ksi.run({ prompt: "Which city?", output })).result();
  expect(result).toEqual(city);
});

function startDaemonWithClaude(modelUrl: string): Promise<LiveDaemon> {
  return startLiveDaemon({
    env: {
      HOME: home.path,
      KSI_CLAUDE_BIN: claudeBin,
      ANTHROPIC_BASE_URL: modelUrl,
      ANTHROPIC_API_KEY: "dummy",
      CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
      DISABLE_TELEMETRY: "1",
      DISABLE_ERROR_REPORTING: "1",
    },
  });
}
