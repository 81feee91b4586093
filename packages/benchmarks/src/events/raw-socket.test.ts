import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { until } from "@ksi/testing";
import { expect, test } from "vitest";
import { WebSocketServer } from "ws";
import { createFrameWalker, openRawSocket } from "./raw-socket.ts";

function frame(text: string): Buffer {
  const payload = Buffer.from(text);
  const length = Buffer.alloc(payload.length < 126 ? 0 : payload.length < 65_536 ? 2 : 8);
  if (length.length === 2) length.writeUInt16BE(payload.length);
  if (length.length === 8) length.writeBigUInt64BE(BigInt(payload.length));
  const second = length.length === 0 ? payload.length : length.length === 2 ? 126 : 127;
  return Buffer.concat([Buffer.from([0x81, second]), length, payload]);
}

test("frames of every length are told once each, wherever the bytes are cut", () => {
  const short = ["", "a", "b".repeat(125), "c".repeat(126), "d"];
  const long = ["e".repeat(65_535), "f".repeat(65_536), "g"];
  for (const [texts, size] of [
    [short, 1],
    [short, 3],
    [long, 997],
    [[...short, ...long], 1_000_000],
  ] as const) {
    const bytes = Buffer.concat(texts.map(frame));
    const told: string[] = [];
    const walk = createFrameWalker((opcode, data, start, end) =>
      told.push(`${opcode}${data.toString("utf8", start, end)}`),
    );
    for (let at = 0; at < bytes.length; at += size) walk(bytes.subarray(at, at + size));
    expect(told).toEqual(texts.map((text) => `1${text}`));
  }
});

test("it understands a real server, and the server it", async () => {
  const server = createServer();
  const wss = new WebSocketServer({ server });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const heard: string[] = [];
  let pongs = 0;
  wss.on("connection", (ws, request) => {
    ws.on("message", (text) => heard.push(String(text)));
    ws.on("pong", () => pongs++);
    ws.ping("still there?");
    ws.send(`${request.headers["x-test"]} ${"long ".repeat(1_000)}`);
  });
  const told: string[] = [];
  const { port } = server.address() as AddressInfo;
  const socket = await openRawSocket({
    url: `http://127.0.0.1:${port}/`,
    headers: { "x-test": "hello" },
    onText: (data, start, end) => told.push(data.toString("utf8", start, end)),
  });
  socket.send("short");
  socket.send("long ".repeat(1_000));
  await until(() => heard.length === 2 && told.length === 1 && pongs === 1);
  expect(heard).toEqual(["short", "long ".repeat(1_000)]);
  expect(told[0]).toBe(`hello ${"long ".repeat(1_000)}`);
  for (const ws of wss.clients) ws.close(1001);
  await socket.closed;
  server.close();
  await once(server, "close");
});
