import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { finalEvent, startFakeDaemon, texts } from "./testing/fake-daemon.ts";

test("the blocks of the README are, one after the other, a program that works", async () => {
  const readme = await readFile(new URL("../README.md", import.meta.url), "utf8");
  const blocks = [...readme.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, block]) => block);
  expect(blocks).toHaveLength(6);

  await using daemon = await startFakeDaemon();
  daemon.log.append(...texts(4, 1), finalEvent);
  daemon.completeSpawned({ result: "4", output: { answer: 4 } });
  const program = blocks.join("\n").replace("http://127.0.0.1:8000", daemon.url);
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ["--input-type=module-typescript", "--eval", program],
    {
      cwd: new URL("..", import.meta.url),
      env: { ...process.env, KSI_TOKEN: daemon.token, NODE_NO_WARNINGS: "1" },
      timeout: 60_000,
    },
  );
  expect(stdout).toBe("45\nalice { text: 'hi' }\nalice sent x.greeting\n5\n");
});
