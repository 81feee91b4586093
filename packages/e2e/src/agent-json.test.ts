/** JSON that an agent made, on its whole way to a client: what could not travel must cost neither the run nor a list. */
import { expect, test } from "vitest";
import { startLiveDaemon } from "./live-daemon.ts";

test("an answer with keys that cannot travel is given without them, and one without a floor fails its run", async () => {
  await using live = await startLiveDaemon();
  const { ksi } = live;
  const prompt = '{"__proto__":{"a":1},"constructor":{"a":1},"team":{"prototype":1,"name":"KSI"}}';
  const run = await ksi.run({ prompt, model: "echo", output_schema: {} });
  expect(await run.result()).toMatchObject({ output: { team: { name: "KSI" } }, text: prompt });
  const last = (await Array.fromAsync(run.events())).at(-1);
  expect(last).toMatchObject({ event_type: "run.completed", payload: { output: { team: { name: "KSI" } } } });

  const deep = await ksi.run({ prompt: "[".repeat(50_000) + "]".repeat(50_000), model: "echo", output_schema: {} });
  await expect(deep.result()).rejects.toMatchObject({ code: "OUTPUT_INVALID" });
  expect((await ksi.runs.list()).runs).toHaveLength(2);
});
