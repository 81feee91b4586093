import { connect, type Socket } from "node:net";
import { until } from "@ksi/testing";
import { expect, test } from "vitest";
import { startTestDoors, type TestDoors } from "./testing/test-doors.ts";

const paths = ["/api/v1/spawn", "/v1/chat/completions", "/trpc/runs.spawn"];
/** What test doors take at most is half of it. */
const part = "x".repeat(200_000);

test("who goes on sending a body that was refused has the answer first, and then the end of the connection", async () => {
  await using doors = await startTestDoors();
  for (const path of paths) {
    for (const length of ["transfer-encoding: chunked", `content-length: ${part.length * 21}`]) {
      const client = send(doors, path, length);
      const isChunked = length.startsWith("transfer");
      const chunk = isChunked ? `${part.length.toString(16)}\r\n${part}\r\n` : part;
      client.socket.write(chunk);
      await until(() => client.answer().includes("}"), { message: "the answer is there" });
      expect(client.answer()).toMatch(/^HTTP\/1.1 413 /);
      expect(client.answer()).toContain("\r\nconnection: close\r\n");
      await write(client.socket, chunk.repeat(20) + (isChunked ? "0\r\n\r\n" : ""));
      expect(await client.closed).toBeUndefined();
    }
  }
});

test("who never ends a body that was refused is cut off after a while", async () => {
  await using doors = await startTestDoors({ lingerMs: 50 });
  for (const path of paths) {
    const { closed, answer } = send(doors, path, "content-length: 1000000");
    expect(await closed).toBeUndefined();
    expect(answer()).toMatch(/^HTTP\/1.1 413 /);
  }
});

test("a connection is kept after a body that was read", async () => {
  await using doors = await startTestDoors();
  for (const path of paths) {
    const client = send(doors, path, "content-length: 2");
    client.socket.write("{}");
    await until(() => client.answer().includes("}"), { message: "the answer is there" });
    expect(client.answer()).toMatch(/^HTTP\/1.1 4/);
    expect(client.answer()).toContain("\r\nConnection: keep-alive\r\n");
    client.socket.destroy();
  }
});

interface Client {
  readonly socket: Socket;
  /** All that came. */
  readonly answer: () => string;
  /** With what broke the connection, if it did not end in peace. */
  readonly closed: Promise<Error | undefined>;
}

function send(doors: TestDoors, path: string, length: string): Client {
  const { host, hostname, port } = new URL(doors.url);
  const socket = connect(Number(port), hostname);
  let text = "";
  let broken: Error | undefined;
  socket.setEncoding("utf8").on("data", (data: string) => {
    text += data;
  });
  socket.on("error", (error) => {
    broken = error;
  });
  const closed = new Promise<Error | undefined>((resolve) => socket.on("close", () => resolve(broken)));
  const head = `host: ${host}\r\nauthorization: Bearer ${doors.token}\r\ncontent-type: application/json\r\n${length}`;
  socket.write(`POST ${path} HTTP/1.1\r\n${head}\r\n\r\n`);
  return { socket, answer: () => text, closed };
}

/** Rejects where the connection does not take it any more. */
function write(socket: Socket, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.write(text, (error) => (error ? reject(error) : resolve()));
  });
}
