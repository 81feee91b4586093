import { PassThrough, type Writable } from "node:stream";
import fc from "fast-check";
import { expect, test } from "vitest";
import * as ws from "ws";
import { createFramer } from "./event-frames.ts";

const entry = (n: number, text: string) => ({ cursor: `1.${n}`, event: {}, json: JSON.stringify({ text }) });

test("frames are the texts, of whatever length and in whatever script", async () => {
  const framer = createFramer(({ cursor, json }) => `${cursor} ${json}`);
  const lengths = [0, 1, 108, 109, 110, 65_518, 65_519, 65_520, 70_000];
  const texts = [...lengths.map((length) => "a".repeat(length)), "π and 🦊", "\u2028 \ud800"];
  const batch = texts.map((text, n) => entry(n, text));
  expect(await read(framer(batch, "head "))).toEqual(batch.map(({ cursor, json }) => `head ${cursor} ${json}`));
  await fc.assert(
    fc.asyncProperty(fc.array(fc.string({ unit: "grapheme" })), fc.string({ unit: "grapheme" }), async (some, head) => {
      const entries = some.map((text, n) => entry(n, text));
      expect(await read(framer(entries, head))).toEqual(entries.map(({ cursor, json }) => `${head}${cursor} ${json}`));
    }),
    { seed: 20_261_121, numRuns: 50 },
  );
});

test("a batch is encoded once for all who begin alike, and its entries once for everybody", () => {
  let encoded = 0;
  const framer = createFramer(({ json }) => {
    encoded += 1;
    return json;
  });
  const batch = [entry(1, "a"), entry(2, "b"), entry(3, "c")];
  const frames = framer(batch, "1");
  expect(framer(batch, "1")).toBe(frames);
  framer(batch, "2");
  framer(batch.slice(1), "1");
  expect(encoded).toBe(3);
});

test("of one batch only so many kinds of frames are kept", () => {
  const framer = createFramer(({ json }) => json);
  const batch = [entry(1, "a")];
  const made = Array.from({ length: 100 }, (_, head) => framer(batch, String(head)));
  const again = made.filter((frames, head) => framer(batch, String(head)) === frames);
  expect(again).toHaveLength(64);
});

/** The parser of `ws`, which its types leave out. */
const { Receiver } = ws as unknown as { Receiver: new (options: { isServer: boolean }) => Writable };

/** What a client reads. */
async function read(frames: Buffer): Promise<string[]> {
  const texts: string[] = [];
  const receiver = new Receiver({ isServer: false });
  receiver.on("message", (data: Buffer) => texts.push(data.toString()));
  new PassThrough().end(frames).pipe(receiver);
  await new Promise((resolve, reject) => receiver.on("finish", resolve).on("error", reject));
  return texts;
}
