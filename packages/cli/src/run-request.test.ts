import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { createTempFolder } from "@ksi/testing";
import { expect, test } from "vitest";
import type { Cli } from "./cli.ts";
import { buildRunRequest } from "./run-request.ts";
import { createRecordedTerminal } from "./testing/recorded-terminal.ts";

function cliWith(stdin: string | undefined, cwd = "/"): Cli {
  const stream = Object.assign(Readable.from(stdin === undefined ? [] : [stdin]), { isTTY: stdin === undefined });
  return { terminal: createRecordedTerminal(), stdin: stream as never, env: {}, cwd, version: "0.0.0" };
}

test("words make one prompt, and stdin is left alone", async () => {
  expect(await buildRunRequest(["What", "is 2+2?"], {}, cliWith("unread"))).toEqual({ prompt: "What is 2+2?" });
});

test("without words a pipe is the prompt; a dash puts it behind the words", async () => {
  expect(await buildRunRequest([], {}, cliWith("from a pipe\n"))).toEqual({ prompt: "from a pipe" });
  expect(await buildRunRequest(["-"], {}, cliWith("from a pipe\n"))).toEqual({ prompt: "from a pipe" });
  expect(await buildRunRequest(["Review:", "-"], {}, cliWith("diff"))).toEqual({ prompt: "Review:\n\ndiff" });
});

test("no prompt at all is a mistake of usage that shows how it is done", async () => {
  const expected = { code: "INVALID_INPUT", message: expect.stringContaining('ksi run "What is 2+2?"') };
  await expect(buildRunRequest([], {}, cliWith(undefined))).rejects.toMatchObject(expected);
  await expect(buildRunRequest([], {}, cliWith(" \n"))).rejects.toMatchObject(expected);
});

test("options become the fields of the wire", async () => {
  const options = { session: "s", model: "opus", tools: ["Read"], timeout: 500, priority: 0, agentId: "a" };
  expect(await buildRunRequest(["x"], { ...options, systemPrompt: "p", metadata: { a: 1 } }, cliWith(""))).toEqual({
    prompt: "x",
    session_id: "s",
    model: "opus",
    tools: ["Read"],
    timeout_ms: 500,
    priority: 0,
    agent_id: "a",
    system_prompt: "p",
    metadata: { a: 1 },
  });
  expect(await buildRunRequest(["x"], { profile: "coder" }, cliWith(""))).toEqual({
    prompt: "x",
    agent_profile: "coder",
  });
  expect(await buildRunRequest(["x"], { tools: false }, cliWith(""))).toEqual({ prompt: "x", enable_tools: false });
});

test("pictures are read from their files, in order", async () => {
  await using folder = await createTempFolder();
  await writeFile(join(folder.path, "a.gif"), "GIF89a");
  await writeFile(join(folder.path, "b.gif"), "GIF87a");
  const image = ["b.gif", join(folder.path, "a.gif")];
  expect(await buildRunRequest(["x"], { image }, cliWith("", folder.path))).toEqual({
    prompt: "x",
    images: [
      { media_type: "image/gif", data: "R0lGODdh" },
      { media_type: "image/gif", data: "R0lGODlh" },
    ],
  });
});

test("a schema is read from its file; a file that is missing or no object is named", async () => {
  await using folder = await createTempFolder();
  await writeFile(join(folder.path, "good.json"), '{"type":"object"}');
  await writeFile(join(folder.path, "bad.json"), "[]");
  const build = (schema: string) => buildRunRequest(["x"], { schema }, cliWith("", folder.path));
  expect(await build("good.json")).toEqual({ prompt: "x", output_schema: { type: "object" } });
  await expect(build("bad.json")).rejects.toThrow("bad.json must hold a JSON Schema");
  await expect(build("none.json")).rejects.toThrow("none.json cannot be read (ENOENT)");
});
