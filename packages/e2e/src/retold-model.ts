/** The scripted model, with other numbers and reasons than it gives by itself. */
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { type ScriptedModel, startScriptedModel } from "@ksi/testing";

type Answer = Parameters<typeof startScriptedModel>[0];

/** Stands before the model and passes each frame of an answer on as it comes, changed by `retell`. */
export async function startRetoldModel(answer: Answer, retell: (frame: string) => string): Promise<ScriptedModel> {
  await using stack = new AsyncDisposableStack();
  const model = stack.use(await startScriptedModel(answer));

  async function pass(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = Buffer.concat(await request.toArray());
    const { method = "POST", url = "/" } = request;
    const told = await fetch(model.url + url, { method, body });
    response.writeHead(told.status, { "content-type": told.headers.get("content-type") ?? "application/json" });
    const decoder = new TextDecoder();
    let rest = "";
    for await (const bytes of told.body ?? []) {
      const frames = (rest + decoder.decode(bytes, { stream: true })).split("\n\n");
      rest = frames.pop() ?? "";
      for (const frame of frames) response.write(`${retell(frame)}\n\n`);
    }
    response.end(rest);
  }

  /** What breaks there breaks here, behind all that was said. */
  function breakOff(response: ServerResponse): void {
    response.socket?.end();
  }

  const server = createServer((request, response) => {
    pass(request, response).catch(() => breakOff(response));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  stack.defer(async () => {
    const closed = once(server, "close");
    server.close();
    server.closeAllConnections();
    await closed;
  });
  const owned = stack.move();
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests: model.requests,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
