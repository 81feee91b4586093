import { spawn } from "node:child_process";
import { once } from "node:events";
import { buffer } from "node:stream/consumers";
import { expect, test } from "vitest";
import { createClaudeStandIn } from "./claude-stand-in.ts";

const streaming = ["--input-format=stream-json"];
const userLine = (content: unknown) => JSON.stringify({ type: "user", message: { role: "user", content } });

test("exit-at ends it after exactly so many bytes, be it in a line or in a character, with a code or by a signal", async () => {
  await using standIn = await createClaudeStandIn();
  const prompt = "ü€😀 says it";
  const whole = (await run(standIn.bin, prompt)).stdout;
  expect((await standIn.turns()).at(-1)).toMatchObject({ event: "ended", stdout_bytes: whole.length });
  const inCharacter = whole.indexOf("😀") + 2;
  for (const bytes of [0, 1, inCharacter, whole.indexOf("\n"), whole.length - 1]) {
    const cut = await run(standIn.bin, `${prompt} #exit-at=${bytes} #code=7`);
    expect(cut).toMatchObject({ code: 7, signal: null });
    expect(cut.stdout.length).toBe(bytes);
  }
  const killed = await run(standIn.bin, `${prompt} #exit-at=${inCharacter} #code=SIGKILL`);
  expect(killed).toMatchObject({ code: null, signal: "SIGKILL" });
  expect(killed.stdout.toString("utf8").endsWith("\ufffd")).toBe(true);
});

test("deltas come by the clock, so that a slow one does not delay all that follow", async () => {
  await using standIn = await createClaudeStandIn();
  const { stdout } = await run(standIn.bin, "#deltas=40 #every=2.5 #stamp");
  const times = textsOf(stdout).map(Number);
  expect(times).toHaveLength(40);
  expect((times.at(-1) ?? 0) - (times[0] ?? 0)).toBeGreaterThan(39 * 2.5 - 3);
  const counted = await run(standIn.bin, "#deltas=3");
  expect(textsOf(counted.stdout)).toEqual(["1 ", "2 ", "3 "]);
});

test("a line of stream-json is a prompt with its images", async () => {
  await using standIn = await createClaudeStandIn();
  const image = { type: "base64", media_type: "image/png", data: "AAAA" };
  const content = [
    { type: "image", source: image },
    { type: "text", text: "look\u2028here" },
  ];
  const { stdout, code } = await run(standIn.bin, `${userLine(content)}\n`, streaming);
  expect(code).toBe(0);
  expect(textsOf(stdout)).toEqual(["look ", "here"]);
  expect(await standIn.turns()).toMatchObject([{ prompt: "look\u2028here", images: [image] }, { event: "ended" }]);
});

async function run(bin: string, stdin: string, args: readonly string[] = []) {
  const child = spawn(bin, [...args], { stdio: ["pipe", "pipe", "inherit"] });
  child.stdin.end(stdin);
  const [stdout, [code, signal]] = await Promise.all([buffer(child.stdout), once(child, "close")]);
  return { stdout, code, signal };
}

function textsOf(stdout: Buffer): string[] {
  const lines = stdout.toString("utf8").trim().split("\n");
  return lines.flatMap((line) => JSON.parse(line).event?.delta?.text ?? []);
}
