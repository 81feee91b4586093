import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { expect, test } from "vitest";
import { type Faults, planConnection, planSilences } from "./fault-plan.ts";
import { type FaultProxy, startFaultProxy } from "./fault-proxy.ts";
import { createTempFolder } from "./temp-folder.ts";
import { until } from "./until.ts";

const everything: Faults = {
  cutAfterBytes: [100, 100_000],
  refused: 0.2,
  delayed: { share: 0.3, ms: [1, 50] },
  throttled: { share: 0.3, bytesPerSecond: [1_000, 100_000] },
};

test("the same seed gives the same plan, and another one another", () => {
  const draw = (seed: number) => Array.from({ length: 200 }, (_, index) => planConnection(seed, index, everything));
  expect(draw(7)).toEqual(draw(7));
  expect(draw(7)).not.toEqual(draw(8));
  const silences = (seed: number) =>
    planSilences(seed, { everyMs: [1, 1_000], forMs: [1, 1_000] })
      .take(50)
      .toArray();
  expect(silences(7)).toEqual(silences(7));
  expect(silences(7)).not.toEqual(silences(8));
});

test("a plan has each fault as often as it was asked for, and within its range", () => {
  const plans = Array.from({ length: 10_000 }, (_, index) => planConnection(1, index, everything));
  const share = (is: (plan: (typeof plans)[number]) => boolean) => plans.filter(is).length / plans.length;
  expect(share(({ isRefused }) => isRefused)).toBeCloseTo(0.2, 1);
  expect(share(({ delayMs }) => delayMs !== undefined)).toBeCloseTo(0.3, 1);
  expect(share(({ bytesPerSecond }) => bytesPerSecond !== undefined)).toBeCloseTo(0.3, 1);
  for (const how of ["reset", "end", "half"]) expect(share(({ cut }) => cut?.how === how)).toBeCloseTo(1 / 3, 1);
  for (const { cut } of plans) expect(cut?.afterBytes).toSatisfy((bytes: number) => bytes >= 100 && bytes <= 100_000);
});

test.for(["tcp", "unix"])(
  "without faults everything passes both ways, and each end on its own, over %s",
  async (kind) => {
    await using folder = await createTempFolder();
    await using echo = await startEcho(kind === "unix" ? join(folder.path, "echo.sock") : undefined);
    const path = kind === "unix" ? { path: join(folder.path, "proxy.sock") } : {};
    await using proxy = await startFaultProxy({ target: echo.url, ...path });
    const client = dial(proxy);
    const sent = Buffer.alloc(3_000_000, "0123456789");
    client.socket.end(sent);
    expect(await client.closed).toBe("end");
    expect(client.received().equals(sent)).toBe(true);
    expect(proxy.counts).toEqual({ accepted: 1, refused: 0, cuts: 0, silences: 0 });
  },
);

test.for([
  { how: "reset", client: "ECONNRESET", server: "ECONNRESET" },
  { how: "end", client: "end", server: "end" },
] as const)("a cut by $how comes after the planned byte, to both sides", async ({ how, client, server }) => {
  await using echo = await startEcho();
  const faults: Faults = { cutAfterBytes: [1_000, 60_000], cuts: [how] };
  await using proxy = await startFaultProxy({ target: echo.url, seed: 5, faults });
  const planned = Array.from({ length: 5 }, (_, index) => planConnection(5, index, faults).cut?.afterBytes);
  const got: number[] = [];
  for (const bytes of planned) {
    const { socket, closed, received } = dial(proxy);
    const sent = Buffer.alloc(100_000, "abcdefg");
    socket.write(sent);
    expect(await closed).toBe(client);
    // What an RST overtakes is lost.
    expect(received().length).toBeLessThanOrEqual(bytes ?? 0);
    expect(received().equals(sent.subarray(0, received().length))).toBe(true);
    got.push(received().length);
  }
  if (how === "end") expect(got).toEqual(planned);
  await until(() => echo.ends.length === 5);
  expect(new Set(echo.ends)).toEqual(new Set([server]));
  expect(proxy.counts.cuts).toBe(5);
});

test("half a cut is heard by the client at once, and by the server later", async () => {
  await using echo = await startEcho();
  await using proxy = await startFaultProxy({ target: echo.url });
  const { socket, closed, received } = dial(proxy);
  socket.write("hello");
  await until(() => received().length === 5);
  proxy.cut("half");
  expect(await closed).toBe("ECONNRESET");
  expect(echo.ends).toEqual([]);
  await until(() => echo.ends.length === 1);
});

test("while it is silent nothing passes, not even an end, and then all of it does", async () => {
  await using echo = await startEcho();
  await using proxy = await startFaultProxy({ target: echo.url });
  const first = dial(proxy);
  first.socket.write("one ");
  await until(() => first.received().toString() === "one ");
  proxy.hold();
  first.socket.end("two");
  const second = dial(proxy);
  second.socket.end("new");
  // Long enough for what is not held to have come back many times over.
  for (let turn = 0; turn < 10; turn++) await echoOnce(echo);
  expect([first.received().toString(), second.received().toString()]).toEqual(["one ", ""]);
  proxy.release();
  expect(await Promise.all([first.closed, second.closed])).toEqual(["end", "end"]);
  expect([first.received().toString(), second.received().toString()]).toEqual(["one two", "new"]);
});

test("it falls silent by itself as planned", async () => {
  await using echo = await startEcho();
  const silent = { everyMs: [1, 5], forMs: [1, 5] } as const;
  await using proxy = await startFaultProxy({ target: echo.url, faults: { silent } });
  await until(() => proxy.counts.silences >= 3);
  const { socket, closed, received } = dial(proxy);
  socket.end("through");
  expect(await closed).toBe("end");
  expect(received().toString()).toBe("through");
});

test("what is refused is reset before the server hears of it", async () => {
  await using echo = await startEcho();
  await using proxy = await startFaultProxy({ target: echo.url, faults: { refused: 1 } });
  expect(await dial(proxy).closed).toBe("ECONNRESET");
  proxy.setFaults({});
  proxy.isRefusing = true;
  expect(await dial(proxy).closed).toBe("ECONNRESET");
  proxy.isRefusing = false;
  const admitted = dial(proxy);
  admitted.socket.end();
  expect(await admitted.closed).toBe("end");
  expect(echo.ends).toEqual(["end"]);
  expect(proxy.counts).toMatchObject({ accepted: 3, refused: 2 });
});

test("a connection that is late or throttled takes as long as planned", async () => {
  await using echo = await startEcho();
  await using proxy = await startFaultProxy({ target: echo.url });
  const timed = async (faults: Faults) => {
    proxy.setFaults(faults);
    const startedAt = performance.now();
    const { socket, closed, received } = dial(proxy);
    socket.end(Buffer.alloc(20_000));
    await closed;
    expect(received().length).toBe(20_000);
    return performance.now() - startedAt;
  };
  expect(await timed({ delayed: { share: 1, ms: [60, 60] } })).toBeGreaterThan(115);
  expect(await timed({ throttled: { share: 1, bytesPerSecond: [100_000, 100_000] } })).toBeGreaterThan(190);
});

interface Echo extends AsyncDisposable {
  readonly url: string;
  /** How its connections ended: `end`, or the error's code. */
  readonly ends: string[];
}

async function startEcho(path?: string): Promise<Echo> {
  const ends: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on("end", () => ends.push("end"));
    socket.on("error", (error: NodeJS.ErrnoException) => ends.push(error.code ?? ""));
    socket.pipe(socket);
  });
  server.listen(path === undefined ? { port: 0, host: "127.0.0.1" } : { path });
  await once(server, "listening");
  const address = server.address();
  const isTcp = typeof address === "object" && address !== null;
  return {
    url: isTcp ? `tcp://127.0.0.1:${address.port}` : `unix://${address}`,
    ends,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

interface Dialled {
  readonly socket: Socket;
  received(): Buffer;
  /** `end`, or the error's code. */
  readonly closed: Promise<string>;
}

function dial({ address }: Pick<FaultProxy, "address">): Dialled {
  const [host = "", port] = address.split(":");
  const socket = port === undefined ? connect(address) : connect(Number(port), host);
  const chunks: Buffer[] = [];
  let outcome = "end";
  socket.on("data", (chunk) => chunks.push(chunk));
  socket.on("error", (error: NodeJS.ErrnoException) => {
    outcome = error.code ?? error.message;
  });
  const closed = new Promise<string>((resolve) => socket.on("close", () => resolve(outcome)));
  return { socket, received: () => Buffer.concat(chunks), closed };
}

async function echoOnce({ url }: Echo): Promise<void> {
  const { socket, closed } = dial({ address: new URL(url).host });
  socket.end("past the proxy");
  await closed;
}
