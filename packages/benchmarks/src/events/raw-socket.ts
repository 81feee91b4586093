/**
 * A WebSocket client that does next to nothing, so that on a machine of two cores the servers are what is measured: it
 * walks over the frames of what it reads, tells of each where its text lies, and answers pings.
 */
import { request } from "node:http";
import type { Duplex } from "node:stream";

export interface RawSocket {
  send(text: string): void;
  readonly closed: Promise<void>;
}

export interface RawSocketOptions {
  /** `http://…`, with path and query. */
  readonly url: string;
  readonly headers?: Record<string, string> | undefined;
  /** A text frame's payload is `data` from `start` to `end`, as long as the call lasts. */
  readonly onText: (data: Buffer, start: number, end: number) => void;
}

const upgradeMs = 30_000;
const opcodes = { text: 1, close: 8, ping: 9, pong: 10 };

export async function openRawSocket({ url, headers, onText }: RawSocketOptions): Promise<RawSocket> {
  const { socket, head } = await upgrade(url, headers);
  const walk = createFrameWalker((opcode, data, start, end) => {
    if (opcode === opcodes.text) onText(data, start, end);
    else if (opcode === opcodes.ping) socket.write(encodeFrame(opcodes.pong, data.subarray(start, end)));
    else if (opcode === opcodes.close) socket.end(encodeFrame(opcodes.close, data.subarray(start, end)));
  });
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  // Its end is told by `closed`.
  socket.on("error", () => undefined);
  socket.on("data", walk);
  if (head.length > 0) walk(head);
  return {
    send: (text) => socket.write(encodeFrame(opcodes.text, Buffer.from(text))),
    closed,
  };
}

function upgrade(url: string, headers: Record<string, string> = {}): Promise<{ socket: Duplex; head: Buffer }> {
  return new Promise((resolve, reject) => {
    const asked = request(url, {
      agent: false,
      headers: {
        connection: "Upgrade",
        upgrade: "websocket",
        "sec-websocket-version": "13",
        "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
        ...headers,
      },
    });
    const timer = setTimeout(() => asked.destroy(new Error(`${url} was not upgraded in ${upgradeMs} ms`)), upgradeMs);
    asked.on("upgrade", (_answer, socket, head) => {
      clearTimeout(timer);
      resolve({ socket, head });
    });
    asked.on("response", (answer) => asked.destroy(new Error(`${url} answered ${answer.statusCode}`)));
    asked.on("error", (error) => {
      clearTimeout(timer);
      reject(error);
    });
    asked.end();
  });
}

type OnFrame = (opcode: number, data: Buffer, start: number, end: number) => void;

/** Of a server's frames, which are not masked. What is whole of a chunk is told at once, the rest with the next chunk. */
export function createFrameWalker(onFrame: OnFrame): (chunk: Buffer) => void {
  let rest: Buffer = Buffer.alloc(0);
  return (chunk) => {
    const data = rest.length > 0 ? Buffer.concat([rest, chunk]) : chunk;
    let at = 0;
    for (;;) {
      const frame = readHeader(data, at);
      if (!frame || frame.end > data.length) break;
      onFrame(frame.opcode, data, frame.start, frame.end);
      at = frame.end;
    }
    rest = data.subarray(at);
  };
}

function readHeader(data: Buffer, at: number): { opcode: number; start: number; end: number } | undefined {
  if (data.length < at + 2) return undefined;
  const [first, second] = [data.readUInt8(at), data.readUInt8(at + 1)];
  if ((first & 0x80) === 0 || second > 0x7f) throw new Error("a server sent a fragment, or a masked frame");
  const opcode = first & 0x0f;
  if (second < 126) return { opcode, start: at + 2, end: at + 2 + second };
  const start = second === 126 ? at + 4 : at + 10;
  if (data.length < start) return undefined;
  const length = second === 126 ? data.readUInt16BE(at + 2) : Number(data.readBigUInt64BE(at + 2));
  return { opcode, start, end: start + length };
}

/** With a mask of zeros, which leaves the payload as it is. */
function encodeFrame(opcode: number, payload: Buffer): Buffer {
  const isLong = payload.length > 125;
  if (payload.length > 65_535) throw new RangeError("clients of these benchmarks say nothing that long");
  const header = Buffer.alloc(isLong ? 8 : 6);
  header.writeUInt8(0x80 | opcode, 0);
  header.writeUInt8(0x80 | (isLong ? 126 : payload.length), 1);
  if (isLong) header.writeUInt16BE(payload.length, 2);
  return Buffer.concat([header, payload]);
}
