/** A turn that is cut anywhere in its output must not look like an answer: not by a status, and not by `[DONE]`. */
import { afterAll, expect, test } from "vitest";
import { startScriptedDaemon } from "./openai-clients.ts";

const live = await startScriptedDaemon();
afterAll(() => live[Symbol.asyncDispose]());
const { daemon, claude } = live;

const answer = "Grüße, 世界 👋 and so on, to the very end of it";
/** A tool before the answer, so that cuts fall into every kind of line. */
const prompt = `#tool=Bash ${answer}`;
const seed = Number(process.env.KSI_CUT_SEED ?? Date.now() % 1_000_000_007);
const sampled = 40;
const ends = ["1", "0", "SIGKILL"];

interface Cut {
  /** Bytes of output before it. */
  readonly at: number;
  /** How the agent ends there: an exit code, or a signal. */
  readonly code: string;
}

test("a turn that is cut before the end of its result is never answered as if it were whole", async () => {
  const total = await countOutput();
  const random = createRandom(seed);
  // The result is the last line, and is whole without its line break.
  const edges = [1, total - 2, total - 1, total];
  const positions = [...edges, ...Array.from({ length: sampled }, () => 1 + Math.floor(random() * (total - 2)))];
  const cuts = positions.map((at): Cut => ({ at, code: ends[Math.floor(random() * ends.length)] ?? "1" }));
  console.info(`cuts of ${total} bytes with KSI_CUT_SEED=${seed}: ${positions.join(" ")}`);

  const wrong: object[] = [];
  const queue = cuts.flatMap((cut) => [false, true].map((stream) => ({ cut, stream }))).values();
  const takeTurns = async () => {
    for (const { cut, stream } of queue) {
      const fault = judge(await ask(cut, stream), { stream, isWhole: cut.at >= total - 1 });
      if (fault) wrong.push({ ...cut, stream, fault });
    }
  };
  await Promise.all(Array.from({ length: 4 }, takeTurns));
  expect(wrong).toEqual([]);
});

interface Answer {
  readonly status: number;
  readonly text: string;
}

async function ask(cut: Cut | undefined, stream: boolean): Promise<Answer> {
  const orders = cut ? `#exit-at=${cut.at} #code=${cut.code} ` : "";
  const messages = [{ role: "user", content: orders + prompt }];
  const response = await fetch(`${daemon.url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${daemon.token}` },
    body: JSON.stringify({ model: "sonnet", messages, stream }),
  });
  return { status: response.status, text: await response.text() };
}

async function countOutput(): Promise<number> {
  expect(judge(await ask(undefined, true), { stream: true, isWhole: true })).toBeUndefined();
  const bytes = (await claude.turns()).find(({ event }) => event === "ended")?.stdout_bytes;
  if (bytes === undefined) throw new Error("the agent did not count its output");
  return bytes;
}

/** What is wrong with an answer; undefined for nothing. */
function judge({ status, text }: Answer, { stream, isWhole }: { stream: boolean; isWhole: boolean }) {
  if (status >= 400) {
    if (isWhole) return `a whole turn was answered with ${status}`;
    return typeof JSON.parse(text).error?.message === "string" ? undefined : `no error with ${status}: ${text}`;
  }
  if (!stream) {
    const said = JSON.parse(text).choices[0].message.content;
    return isWhole && said === answer ? undefined : `was answered with ${JSON.stringify(said)}`;
  }
  const frames = text.split("\n\n").filter((frame) => frame.startsWith("data: "));
  const chunks = frames.filter((frame) => frame !== "data: [DONE]").map((frame) => JSON.parse(frame.slice(6)));
  const said = chunks.map(({ choices }) => choices?.[0]?.delta.content ?? "").join("");
  const isDone = frames.includes("data: [DONE]");
  const isFinished = chunks.some(({ choices }) => choices?.[0]?.finish_reason);
  const failed = chunks.findIndex(({ error }) => error);
  if (isWhole) return isDone && failed === -1 && said === answer ? undefined : `a whole turn ended in ${frames.at(-1)}`;
  if (isDone || isFinished) return "was finished";
  if (failed !== chunks.length - 1) return `ended in ${frames.at(-1)}`;
  return answer.startsWith(said) ? undefined : `said what the agent did not: ${said}`;
}

/** mulberry32: numbers from 0 to 1 that depend on the seed alone. */
function createRandom(start: number): () => number {
  let state = start;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
