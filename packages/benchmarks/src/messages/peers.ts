/** Who carries messages from a sender to agents. */
import { openOurReceivers, openOurSender } from "./ours.ts";
import type { Peer } from "./peer.ts";
import { openSocketIoReceivers, openSocketIoSender } from "./socket-io.ts";
import { openStreamReceivers, openStreamSender } from "./streams.ts";

export const peerNames = ["ours", "socket.io", "streams"] as const;
export type PeerName = (typeof peerNames)[number];

/** For the table. */
export const peerTitles: Record<Exclude<PeerName, "ours">, string> = {
  "socket.io": "socket.io 4.8.4, redis-streams-adapter 0.3.1",
  streams: "bare Redis Streams, consumer groups, ioredis 6.0.0",
};

export const peers: Record<PeerName, Peer> = {
  ours: { openSender: openOurSender, openReceivers: openOurReceivers },
  "socket.io": { openSender: openSocketIoSender, openReceivers: openSocketIoReceivers },
  streams: { openSender: openStreamSender, openReceivers: openStreamReceivers },
};
