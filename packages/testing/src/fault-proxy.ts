/**
 * A way to a server that fails as networks do: it cuts, delays, throttles, refuses, and goes silent.
 *
 * What it does by itself is the plan of its seed (fault-plan.ts). A connection is cut after a number of bytes and not of
 * seconds, so the cut falls where it falls in what is said, however fast the machine is. A test can also do it by hand.
 */
import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { type ConnectionPlan, type Cut, type Faults, planConnection, planSilences } from "./fault-plan.ts";

export interface FaultProxyOptions {
  /** `http://127.0.0.1:8000`, `redis://127.0.0.1:6379` or `unix:///path/to.sock`. */
  readonly target: string;
  /** Where a Unix socket is made. Without it, it is a free port of 127.0.0.1, in front of either kind of target. */
  readonly path?: string;
  /** Default 1. */
  readonly seed?: number;
  /** Default: none. */
  readonly faults?: Faults;
}

export interface FaultProxy extends AsyncDisposable {
  /** `127.0.0.1:41234`, or the path. */
  readonly address: string;
  readonly counts: Readonly<FaultCounts>;
  /** Of connections that are accepted from now on. Silences begin anew. */
  setFaults(faults: Faults): void;
  /** Cuts what is connected now. Whoever connects after that is let through. Default `reset`. */
  cut(how?: Cut): void;
  /** From now on nothing passes, until `release`. */
  hold(): void;
  /** What was held back passes, and whatever comes. */
  release(): void;
  /** While true, connections are reset as soon as they are accepted. */
  isRefusing: boolean;
}

export interface FaultCounts {
  accepted: number;
  refused: number;
  /** By plan or by hand. */
  cuts: number;
  silences: number;
}

const lingerMs = 2_000;

export async function startFaultProxy(options: FaultProxyOptions): Promise<FaultProxy> {
  const { target, path, seed = 1 } = options;
  const counts: FaultCounts = { accepted: 0, refused: 0, cuts: 0, silences: 0 };
  const open = new Set<Connection>();
  const sockets = new Set<Socket>();
  const gate = createGate();
  let faults: Faults = {};
  let isRefusing = false;
  let weather = new AbortController();

  const server = createServer({ allowHalfOpen: true }, (client) => {
    const plan = planConnection(seed, counts.accepted++, faults);
    track(client);
    if (isRefusing || plan.isRefused) {
      counts.refused += 1;
      reset(client);
      return;
    }
    const upstream = connect({ ...addressOf(target), allowHalfOpen: true });
    track(upstream);
    const onCut = () => {
      counts.cuts += 1;
    };
    const connection = serve({ client, upstream, plan, gate, onCut });
    open.add(connection);
    void connection.ended.then(() => open.delete(connection));
  });
  server.listen(path === undefined ? { port: 0, host: "127.0.0.1" } : { path });
  await once(server, "listening");

  const proxy: FaultProxy = {
    address: addressIn(server),
    counts,
    setFaults(next) {
      faults = next;
      weather.abort();
      weather = new AbortController();
      gate.open();
      if (faults.silent) void fallSilent(faults.silent, weather.signal);
    },
    cut(how = "reset") {
      for (const connection of open) connection.cut(how);
    },
    hold: () => gate.close(),
    release: () => gate.open(),
    get isRefusing() {
      return isRefusing;
    },
    set isRefusing(value) {
      isRefusing = value;
    },
    async [Symbol.asyncDispose]() {
      weather.abort();
      gate.open();
      const closed = once(server, "close");
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
  proxy.setFaults(options.faults ?? {});
  return proxy;

  function track(socket: Socket): void {
    sockets.add(socket);
    // What went wrong is for the two sides to find out.
    socket.on("error", () => undefined).on("close", () => sockets.delete(socket));
  }

  async function fallSilent(silent: NonNullable<Faults["silent"]>, signal: AbortSignal): Promise<void> {
    for (const { afterMs, forMs } of planSilences(seed, silent)) {
      await pause(afterMs, signal);
      if (signal.aborted) return;
      counts.silences += 1;
      gate.close();
      await pause(forMs, signal);
      if (signal.aborted) return;
      gate.open();
    }
  }
}

interface Connection {
  cut(how: Cut): void;
  /** Never rejects. */
  readonly ended: Promise<unknown>;
}

interface ConnectionOptions {
  client: Socket;
  upstream: Socket;
  plan: ConnectionPlan;
  gate: Gate;
  onCut: () => void;
}

function serve({ client, upstream, plan, gate, onCut }: ConnectionOptions): Connection {
  const { delayMs = 0, bytesPerSecond = Number.POSITIVE_INFINITY } = plan;
  const ending = new AbortController();
  const { signal } = ending;
  let leftBytes = plan.cut?.afterBytes ?? Number.POSITIVE_INFINITY;

  async function carry(from: Socket, to: Socket, forward: (chunk: Buffer) => Promise<void>): Promise<void> {
    try {
      for await (const chunk of from.iterator({ destroyOnReturn: false })) {
        if (delayMs > 0) await pause(delayMs, signal);
        await gate.passed;
        if (signal.aborted) return;
        await forward(chunk);
      }
      await gate.passed;
      to.end();
    } catch {
      // One side broke off, or we did.
      await gate.passed;
      if (!signal.aborted) breakOff("reset");
    }
  }

  async function toClient(chunk: Buffer): Promise<void> {
    const pieceBytes = Math.max(1, Math.ceil(bytesPerSecond / 10));
    for (let at = 0; at < chunk.length && !signal.aborted; ) {
      const piece = chunk.subarray(at, at + Math.min(pieceBytes, leftBytes));
      at += piece.length;
      leftBytes -= piece.length;
      await write(client, piece, signal);
      if (leftBytes === 0 && plan.cut) return cut(plan.cut.how);
      if (bytesPerSecond < Number.POSITIVE_INFINITY) await pause((piece.length / bytesPerSecond) * 1_000, signal);
    }
  }

  function cut(how: Cut): void {
    if (signal.aborted) return;
    onCut();
    breakOff(how);
  }

  function breakOff(how: Cut): void {
    ending.abort();
    if (how === "end") {
      for (const socket of [client, upstream]) socket.end(() => socket.destroy());
      return;
    }
    reset(client);
    if (how === "reset") reset(upstream);
    else setTimeout(() => reset(upstream), lingerMs).unref();
  }

  const ended = Promise.all([
    carry(client, upstream, (chunk) => write(upstream, chunk, signal)),
    carry(upstream, client, toClient),
  ]);
  return { cut, ended };
}

interface Gate {
  /** Settles when it is open. */
  readonly passed: Promise<void>;
  open(): void;
  close(): void;
}

function createGate(): Gate {
  let barrier = Promise.withResolvers<void>();
  let isClosed = false;
  barrier.resolve();
  return {
    get passed() {
      return barrier.promise;
    },
    open() {
      isClosed = false;
      barrier.resolve();
    },
    close() {
      if (!isClosed) barrier = Promise.withResolvers();
      isClosed = true;
    },
  };
}

async function write(to: Socket, piece: Buffer, signal: AbortSignal): Promise<void> {
  if (!to.write(piece)) await once(to, "drain", { signal });
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal, ref: false }).catch(() => undefined);
}

/** By RST where it is TCP. */
function reset(socket: Socket): void {
  if (socket.remoteAddress === undefined) socket.destroy();
  else socket.resetAndDestroy();
}

function addressOf(target: string): { path: string } | { host: string; port: number } {
  const { protocol, pathname, hostname, port } = new URL(target);
  return protocol === "unix:" ? { path: pathname } : { host: hostname, port: Number(port) };
}

function addressIn(server: Server): string {
  const address = server.address();
  if (address === null) throw new Error("the proxy does not listen");
  return typeof address === "string" ? address : `127.0.0.1:${address.port}`;
}
