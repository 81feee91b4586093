/**
 * Writes frames that are already encoded to a socket, beside `ws`, which frames and sends all else on it.
 *
 * Whole frames are given to the socket in one go, as `ws` does without compression, so the two never mix. The first of one
 * turn of the event loop go to the network at once, and what else that turn writes, by either of them, is one more write. `ws` buffers without
 * limit what a client does not read; here it is told when to wait.
 */
import type { Duplex } from "node:stream";
import type { WebSocket } from "ws";

export interface SocketWriter {
  /** Whole frames. Once the socket is closing they are dropped. */
  write(frames: Buffer): void;
  /** To be called before `ws` sends a frame that can wait for the end of the turn. */
  makeRoom(): void;
  /** Resolves when more may be sent, or the socket has closed; undefined where that is now. */
  whenWritable(): Promise<void> | undefined;
}

interface SocketWriterOptions {
  ws: WebSocket;
  /** What is below it. */
  socket: Duplex;
  /** More than this may not wait unsent. */
  maxUnsentBytes: number;
  turns: Turns;
}

/** Counts the turns of the event loop in which it is asked. */
export interface Turns {
  readonly current: number;
}

export function createTurns(): Turns {
  let number = 0;
  let isCounted = false;
  return {
    get current() {
      if (isCounted) return number;
      isCounted = true;
      number += 1;
      setImmediate(() => {
        isCounted = false;
      });
      return number;
    },
  };
}

export function createSocketWriter({ ws, socket, maxUnsentBytes, turns }: SocketWriterOptions): SocketWriter {
  let drained: Promise<void> | undefined;
  let isCorked = false;
  let writtenIn = 0;

  function cork(): void {
    if (isCorked) return;
    isCorked = true;
    socket.cork();
    setImmediate(() => {
      isCorked = false;
      socket.uncork();
    });
  }

  function makeRoom(): void {
    if (writtenIn === turns.current) cork();
    writtenIn = turns.current;
  }

  return {
    write(frames) {
      if (ws.readyState !== ws.OPEN) return;
      makeRoom();
      socket.write(frames);
    },
    makeRoom,
    whenWritable() {
      if (ws.readyState !== ws.OPEN || ws.bufferedAmount <= maxUnsentBytes) return undefined;
      // All that wait share one pair of listeners.
      drained ??= new Promise((resolve) => {
        const done = () => {
          socket.off("drain", done);
          socket.off("close", done);
          drained = undefined;
          resolve();
        };
        socket.on("drain", done);
        socket.on("close", done);
      });
      return drained;
    },
  };
}
