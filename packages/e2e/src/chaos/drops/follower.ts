/** Who follows a channel and resumes: the typed client, and the official client of tRPC as it comes. */
import type { FollowOptions, KsiClient } from "@ksi/client";
import { type AppRouter, isFinalRunEvent, KsiError, type KsiEvent } from "@ksi/contract";
import type { Random } from "@ksi/testing";
import { createTRPCClient, createWSClient, wsLink } from "@trpc/client";
import superjson from "superjson";
import { type Channel, numberOf } from "./channel.ts";
import { createSequence, type Sequence } from "./sequence.ts";

export interface Follower {
  readonly channel: Channel;
  readonly sequence: Sequence;
  /** Reads so slowly that nobody should wait for it. */
  readonly isSlow: boolean;
  /** How often its subscription was taken up again. */
  readonly resumes: number;
  /** True once it has ended: a run's after the final event, the firehose's with `stop`, any with a failure. */
  readonly hasEnded: boolean;
  stop(): void;
}

interface TypedOptions {
  readonly channel: Channel;
  readonly client: KsiClient;
  /** Makes it a slow one: how long it pauses after each hundred events. */
  readonly pauses?: { readonly random: Random; readonly mostMs: number } | undefined;
}

export function followTyped({ channel, client, pauses }: TypedOptions): Follower {
  const sequence = createSequence(`${pauses ? "slow" : "typed"} follower of ${channel.name}`, channel);
  const stopping = new AbortController();
  let resumes = 0;
  let hasEnded = false;
  const options: FollowOptions = {
    from: "oldest",
    signal: stopping.signal,
    onReconnect: () => {
      resumes += 1;
    },
    onGap: ({ oldest }) => sequence.gap(oldest, channel.ordered),
    ...(pauses && { maxBuffered: 200 }),
  };

  async function read(): Promise<void> {
    const { run_id } = channel;
    const stream =
      run_id === undefined ? client.events.subscribe({}, options) : (await client.runs.attach(run_id)).events(options);
    for await (const event of stream) {
      sequence.take(stream.cursor ?? "", numberOf(event));
      if (pauses && sequence.counts.received % 100 === 0) await sleep(pauses.random.between(0, pauses.mostMs));
    }
  }

  read()
    .catch((error: unknown) => sequence.fail(`ended with ${error}`))
    .finally(() => {
      hasEnded = true;
    });
  return {
    channel,
    sequence,
    isSlow: pauses !== undefined,
    get resumes() {
      return resumes;
    },
    get hasEnded() {
      return hasEnded;
    },
    stop: () => stopping.abort(),
  };
}

interface OfficialOptions {
  readonly channel: Channel;
  /** Of the daemon, or of what stands before it. */
  readonly url: string;
  readonly token: string;
}

/** What tRPC's client does not do by itself, PROTOCOL.md 6.5 and 7.3 ask of it: it follows again after the last cursor. */
export function followOfficial({ channel, url, token }: OfficialOptions): Follower {
  const sequence = createSequence(`official follower of ${channel.name}`, channel);
  const socket = createWSClient({
    url: `${url.replace("http", "ws")}/trpc`,
    connectionParams: { token },
    retryDelayMs: () => 100,
  });
  const trpc = createTRPCClient<AppRouter>({ links: [wsLink({ client: socket, transformer: superjson })] });
  let cursor: string | undefined;
  let isFinal = false;
  let isOver = false;
  let starts = 0;
  let unsubscribe = () => {};

  const handlers = {
    onStarted() {
      starts += 1;
    },
    onData({ id, data }: { id: string; data: KsiEvent }) {
      cursor = id;
      sequence.take(id, numberOf(data));
      if (isFinalRunEvent(data) && channel.run_id !== undefined) isFinal = true;
    },
    onError(thrown: unknown) {
      const { code, details } = KsiError.from(thrown);
      if (code === "HISTORY_TRIMMED") {
        sequence.gap(details?.oldest, channel.ordered);
        cursor = details?.oldest;
      } else if (code !== "STORE_UNAVAILABLE" && code !== "SHUTTING_DOWN") {
        sequence.fail(`ended with ${thrown}`);
        return finish();
      }
      followAgain();
    },
    onComplete: () => (isFinal ? finish() : followAgain()),
  };

  function follow(): void {
    if (isOver) return;
    const start = { lastEventId: cursor, from: "oldest" } as const;
    const { run_id } = channel;
    const subscription =
      run_id === undefined
        ? trpc.events.subscribe.subscribe(start, handlers)
        : trpc.runs.events.subscribe({ run_id, ...start }, handlers);
    unsubscribe = () => subscription.unsubscribe();
  }

  function followAgain(): void {
    setTimeout(follow, 100);
  }

  function finish(): void {
    isOver = true;
    unsubscribe();
    void socket.close();
  }

  follow();
  return {
    channel,
    sequence,
    isSlow: false,
    get resumes() {
      return Math.max(0, starts - 1);
    },
    get hasEnded() {
      return isOver;
    },
    stop: finish,
  };
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
