/**
 * Events as WebSocket text frames. A batch that many sockets are sent is encoded once and kept for as long as the batch
 * itself is: followers of one channel are given the same one.
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

  const tailOf = (entry: Entry<unknown>) => {
    const known = tails.get(entry);
    if (known) return known;
    const tail = Buffer.from(toTail(entry));
    tails.set(entry, tail);
    return tail;
  };
  return (batch, head) => {
    const byHead = kept.get(batch) ?? new Map<string, Buffer>();
    const known = byHead.get(head);
    if (known) return known;
    const frames = encode(batch.map(tailOf), Buffer.from(head));
    if (byHead.size === 0) kept.set(batch, byHead);
    if (byHead.size < maxKeptHeads) byHead.set(head, frames);
    return frames;
  };
}

function encode(tails: readonly Buffer[], head: Buffer): Buffer {
  const parts: Buffer[] = [];
  for (const tail of tails) parts.push(frameHeader(head.length + tail.length), head, tail);
  return Buffer.concat(parts);
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
