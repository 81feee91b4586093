import { request } from "node:http";
import { text } from "node:stream/consumers";
import { expect, test } from "vitest";
import { startListener } from "./listener.ts";
import type { Logger } from "./logger.ts";

const ignore = () => undefined;
const logger: Logger = { debug: ignore, info: ignore, warn: ignore, error: ignore };
const anyPort = { host: "127.0.0.1", port: 0, logger };

test("until somebody serves, requests are answered 503", async () => {
  await using listener = await startListener(anyPort);
  expect((await fetch(listener.url)).status).toBe(503);
  listener.serve((_request, response) => response.end("hello"));
  expect(await (await fetch(listener.url)).text()).toBe("hello");
});

test("a port in use is told in one sentence that names it and --port", async () => {
  await using first = await startListener(anyPort);
  const port = Number(new URL(first.url).port);
  const second = startListener({ ...anyPort, port });
  await expect(second).rejects.toMatchObject({ code: "CONFLICT" });
  await expect(second).rejects.toThrow(`Port ${port} on 127.0.0.1 is in use. Choose another with --port.`);
});

test("a host that is not this machine's is refused with advice", async () => {
  await expect(startListener({ ...anyPort, host: "203.0.113.1" })).rejects.toThrow("See --host.");
});

test("only WebSocket is upgraded to: who would like another protocol is served as any other, body and all", async () => {
  await using listener = await startListener(anyPort);
  listener.serve((asked, response) => asked.pipe(response));
  expect(await askForUpgrade(listener.url, "websocket")).toBe("200 hello");
  listener.server.on("upgrade", (_request, socket) => socket.end("HTTP/1.1 418 Upgraded\r\ncontent-length: 0\r\n\r\n"));
  for (const protocol of ["h2c", "TLS/1.0", "h2c, websocket", "websocket/13"]) {
    expect([protocol, await askForUpgrade(listener.url, protocol)]).toEqual([protocol, "200 hello"]);
  }
  expect(await askForUpgrade(listener.url, "WebSocket")).toBe("418 ");
});

test("closing waits for an answer that is under way, and no longer than the grace", async () => {
  await using listener = await startListener(anyPort);
  const { promise: asked, resolve: onAsked } = Promise.withResolvers<() => void>();
  listener.serve((_request, response) => onAsked(() => response.end("late")));
  const answer = fetch(listener.url).then((response) => response.text());
  const finish = await asked;
  const closed = listener.close(10_000);
  finish();
  expect(await answer).toBe("late");
  await closed;
});

test("closing cuts off an answer that takes longer than the grace", async () => {
  await using listener = await startListener(anyPort);
  const { promise: asked, resolve: onAsked } = Promise.withResolvers<void>();
  listener.serve(() => onAsked());
  const answer = fetch(listener.url).catch((error: Error) => error.message);
  await asked;
  await listener.close(10);
  expect(await answer).toBe("fetch failed");
});

async function askForUpgrade(url: string, protocol: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const headers = {
    connection: "Upgrade, HTTP2-Settings",
    upgrade: protocol,
    "http2-settings": "AAMAAABkAAQAoAAAAAIAAAAA",
  };
  const asked = request(url, { method: "POST", headers }).on("error", reject);
  asked.on("response", (response) => {
    text(response).then((body) => resolve(`${response.statusCode} ${body}`), reject);
  });
  asked.end("hello");
  return await promise;
}
