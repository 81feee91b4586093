/**
 * Events as WebSocket text frames. A batch that many sockets are sent is encoded once and kept for as long as the batch
 * itself is: followers of one channel are given the same one.
 *
 * What is kept has memory of its own. Node cuts small buffers out of a common piece, which stays for as long as any of them
 * does: a log that remembers pages of some hundred bytes would hold a hundred times as much.
 */
import type { Entry } from "@ksi/contract";

type Batch = readonly Entry<unknown>[];

/** The frames of a batch, one for each entry, as the bytes that go over the wire. `head` is what each text begins with. */
export type Framer = (batch: Batch, head: string) => Buffer;

/** Beyond that many beginnings (clients that number their requests differently) frames are made and not kept. */
const maxKeptHeads = 64;

/** `toTail` gives the rest of an entry's text after the head. */
export function createFramer(toTail: (entry: Entry<unknown>) => string): Framer {
  const kept = new WeakMap<Batch, Map<string, Buffer>>();
  const tails = new WeakMap<Entry<unknown>, Buffer>();

  const tailsOf = (batch: Batch) => {
    const missing = batch.filter((entry) => !tails.has(entry));
    const encoded = encodeTogether(missing.map(toTail));
    for (const [i, entry] of missing.entries()) tails.set(entry, encoded[i] ?? empty);
    return batch.map((entry) => tails.get(entry) ?? empty);
  };
  return (batch, head) => {
    const byHead = kept.get(batch) ?? new Map<string, Buffer>();
    const known = byHead.get(head);
    if (known) return known;
    const frames = encode(tailsOf(batch), Buffer.from(head));
    if (byHead.size === 0) kept.set(batch, byHead);
    if (byHead.size < maxKeptHeads) byHead.set(head, frames);
    return frames;
  };
}

const empty = Buffer.alloc(0);

/** Each text's bytes, one after the other in one memory. */
function encodeTogether(texts: readonly string[]): Buffer[] {
  const memory = Buffer.allocUnsafeSlow(texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0));
  let at = 0;
  return texts.map((text) => {
    const start = at;
    at += memory.write(text, start);
    return memory.subarray(start, at);
  });
}

function encode(tails: readonly Buffer[], head: Buffer): Buffer {
  const parts = tails.flatMap((tail) => [frameHeader(head.length + tail.length), head, tail]);
  const frames = Buffer.allocUnsafeSlow(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) at += part.copy(frames, at);
  return frames;
}

const finalText = 0x81;

/** RFC 6455, section 5.2: a whole text message, not masked, as a server sends it. */
function frameHeader(bytes: number): Buffer {
  if (bytes < 126) return Buffer.from([finalText, bytes]);
  if (bytes < 65_536) return Buffer.from([finalText, 126, bytes >> 8, bytes & 0xff]);
  const header = Buffer.alloc(10);
  header.set([finalText, 127]);
  header.writeBigUInt64BE(BigInt(bytes), 2);
  return header;
}
