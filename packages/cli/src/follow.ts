/** Following a channel at the command line: to its end, until Ctrl-C, or until all that is kept has been read. */
import type { EventStream, FollowOptions } from "@ksi/client";
import type { Cli, ConnectionOptions } from "./cli.ts";
import { connect, type Link } from "./connect.ts";
import { listenForInterrupts, onceAborted } from "./interrupts.ts";
import { watchConnection } from "./watch-connection.ts";

export interface FollowRequest<E> {
  connection: ConnectionOptions;
  /** Goes on with what comes; without it the command ends when all that is kept was read. */
  isEndless: boolean;
  open: (link: Link, options: FollowOptions) => Promise<EventStream<E>> | EventStream<E>;
  show: (event: E) => void;
  /** Awaited when the last event was shown, while the daemon can still be called. */
  afterwards?: () => Promise<void> | undefined;
}

/**
 * The wire does not say where the past ends and the present begins. What is kept comes in one go, so this much silence
 * is taken for its end.
 */
const silenceMs = 500;

/** Ends in order at the first Ctrl-C: whoever follows for ever has no other way to say "enough". */
export async function follow<E>(request: FollowRequest<E>, cli: Cli): Promise<void> {
  const { connection, isEndless, open, show, afterwards } = request;
  const { err } = cli.terminal;
  using interrupts = listenForInterrupts();
  using watch = watchConnection({
    onAway: () => err.line(err.style("dim", "The connection to the daemon is lost; waiting for it…")),
    onBack: () => err.line(err.style("dim", "Connected again.")),
  });
  await using link = await connect(connection, cli, watch);

  const done = new AbortController();
  const finish = () => done.abort();
  onceAborted(interrupts.signal, finish);
  let silence: NodeJS.Timeout | undefined;
  if (!isEndless) {
    void watch.opened.then(() => {
      silence = setTimeout(finish, silenceMs);
    });
  }

  const events = await open(link, {
    signal: done.signal,
    onGap: () => err.line(err.style("yellow", "Some events in between are no longer kept.")),
  });
  try {
    for await (const event of events) {
      silence?.refresh();
      show(event);
    }
    await afterwards?.();
  } finally {
    clearTimeout(silence);
  }
}
