/**
 * What is published, to everybody in this process who wants it, over one Redis connection and one subscription a
 * channel however many members it has. A message is parsed once and its entries are shared.
 *
 * The hub promises only to tell when it may have missed something; holes are the follower's to fill from the stream.
 * A channel is *joined* with its first member (SUBSCRIBE) and *left* with its last (UNSUBSCRIBE). The connection is
 * opened with the first join. It is *live*, or *down*: then members hear nothing until it is back and every channel is
 * subscribed again, which they are told (`onRestored`), or until `downMs` have passed, when they are dismissed with
 * STORE_UNAVAILABLE.
 */
import { setImmediate } from "node:timers/promises";
import { KsiError } from "@ksi/contract/errors";
import type { Redis } from "ioredis";
import { StoredEntry } from "./event-log-entry.ts";

export interface Member {
  /** The entries of one message, in order, and the length of their JSON. Must not throw. */
  onEntries(entries: readonly StoredEntry[], size: number): void;
  /** The subscription was away and is back: what was published meanwhile is only in the stream. */
  onRestored(): void;
  /** The hub has dismissed this member, and will not call it again. */
  onDismissed(reason: KsiError): void;
}

export interface Membership {
  /** Settles when everything published from now on will be heard, or the member has been dismissed. Never rejects. */
  readonly joined: Promise<void>;
  /** Safe to repeat. */
  leave(): void;
}

export interface ChannelHub {
  /** `channel` is the full key. */
  join(channel: string, member: Member): Membership;
  /** Resolves when everything published before the call has been delivered. Rejects when Redis is away. */
  settle(): Promise<void>;
  /** Dismisses all members with SHUTTING_DOWN, and closes the connection. */
  close(): void;
}

export interface ChannelHubOptions {
  /** Opens the connection, which is then the hub's own. */
  connect: () => Redis;
  /** How long the connection may be down. Default 10,000. */
  downMs?: number | undefined;
}

interface Room {
  readonly channel: string;
  readonly members: Set<Member>;
  readonly joined: PromiseWithResolvers<void>;
  isJoined: boolean;
}

export function createChannelHub({ connect, downMs = 10_000 }: ChannelHubOptions): ChannelHub {
  const rooms = new Map<string, Room>();
  let connection: Redis | undefined;
  let downTimer: NodeJS.Timeout | undefined;
  let isClosed = false;
  const onReady = () => void restore();

  return {
    join(channel, member) {
      if (isClosed) {
        member.onDismissed(shuttingDown());
        return { joined: Promise.resolve(), leave: () => undefined };
      }
      const room = rooms.get(channel) ?? openRoom(channel);
      room.members.add(member);
      return { joined: room.joined.promise, leave: () => leave(channel, member) };
    },
    async settle() {
      // Answered behind all that was published before, on the same connection.
      if (rooms.size > 0) await connection?.ping();
      // What is delivered travels on in promises; a turn of the event loop lets all of them settle.
      await setImmediate();
    },
    close() {
      isClosed = true;
      dismissAll(shuttingDown());
      clearTimeout(downTimer);
      connection?.off("message", deliver).off("ready", onReady).off("close", startDownTimer).disconnect();
    },
  };

  function openRoom(channel: string): Room {
    const room = { channel, members: new Set<Member>(), joined: Promise.withResolvers<void>(), isJoined: false };
    rooms.set(channel, room);
    connection ??= open();
    if (connection.status === "ready") void subscribe(connection, [room]);
    else startDownTimer();
    return room;
  }

  function open(): Redis {
    const redis = connect();
    // `restore` does it, for the channels that still have members.
    redis.options.autoResubscribe = false;
    return redis.on("message", deliver).on("ready", onReady).on("close", startDownTimer);
  }

  function leave(channel: string, member: Member): void {
    const room = rooms.get(channel);
    if (!room?.members.delete(member) || room.members.size > 0) return;
    rooms.delete(channel);
    // Nobody subscribes for it any more; who left still waits for an answer.
    room.joined.resolve();
    // Lost together with a connection that breaks, as is the subscription.
    if (connection?.status === "ready") connection.unsubscribe(channel).catch(() => undefined);
  }

  /**
   * Commands of one connection are carried out in order, so a channel that is left and joined again ends joined. The
   * answer is for these rooms only: the same channel may have been left, and have a new room whose turn is to come.
   */
  async function subscribe(redis: Redis, wanted: readonly Room[]): Promise<boolean> {
    try {
      await redis.subscribe(...wanted.map(({ channel }) => channel));
    } catch (thrown) {
      // Broken off: `restore` subscribes again. Refused or never answered: a new connection knows where it stands.
      if (redis.status === "ready") {
        dismissAll(unavailable("Redis does not carry out the subscription", thrown));
        redis.disconnect(true);
      }
      return false;
    }
    for (const room of wanted) {
      room.isJoined = true;
      room.joined.resolve();
    }
    return true;
  }

  async function restore(): Promise<void> {
    clearTimeout(downTimer);
    downTimer = undefined;
    const wanted = [...rooms.values()];
    if (!connection || wanted.length === 0) return;
    // Those who still wait to have joined have missed nothing.
    const interrupted = wanted.filter(({ isJoined }) => isJoined);
    if (!(await subscribe(connection, wanted))) return;
    for (const { members } of interrupted) {
      for (const member of members) member.onRestored();
    }
  }

  function startDownTimer(): void {
    if (isClosed || rooms.size === 0) return;
    downTimer ??= setTimeout(() => {
      downTimer = undefined;
      dismissAll(unavailable(`Redis has been away for ${downMs} ms`));
    }, downMs);
  }

  function dismissAll(reason: KsiError): void {
    const dismissed = [...rooms.values()];
    rooms.clear();
    for (const { members, joined } of dismissed) {
      for (const member of members) member.onDismissed(reason);
      members.clear();
      joined.resolve();
    }
  }

  function deliver(channel: string, message: string): void {
    const room = rooms.get(channel);
    if (!room) return;
    const entries = parseMessage(message);
    for (const member of room.members) {
      if (entries) member.onEntries(entries, message.length);
      else member.onRestored();
    }
  }
}

/** Lines of `cursor SP json`, as `ksi_publish` writes them; `undefined` for what others published here. */
function parseMessage(message: string): StoredEntry[] | undefined {
  try {
    return message.split("\n").map((line) => {
      const space = line.indexOf(" ");
      return new StoredEntry(line.slice(0, space), line.slice(space + 1));
    });
  } catch (thrown) {
    if (thrown instanceof SyntaxError || thrown instanceof TypeError) return undefined;
    throw thrown;
  }
}

function unavailable(what: string, cause?: unknown): KsiError {
  return new KsiError("STORE_UNAVAILABLE", `${what}. Follow again after the last cursor you have; nothing is lost.`, {
    cause,
  });
}

function shuttingDown(): KsiError {
  return new KsiError("SHUTTING_DOWN", "The daemon is stopping. Follow again after the last cursor you have.");
}
