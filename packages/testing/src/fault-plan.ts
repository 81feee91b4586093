/** What a fault proxy does to whom: drawn from a seed alone, so that the same seed gives the same plan again. */
import { createRandom } from "./random.ts";

/** Least and most, both possible. */
export type Range = readonly [least: number, most: number];

/** What may happen. All that is left out never does. */
export interface Faults {
  /** Each connection is cut as soon as so many bytes have gone to its client, which is mostly in the middle of a frame. */
  readonly cutAfterBytes?: Range;
  /** Default: all three. */
  readonly cuts?: readonly [Cut, ...Cut[]];
  /** The share of connections that are reset as soon as they are accepted. */
  readonly refused?: number;
  /** The share of connections on which everything, both ways, is late, and by how much. */
  readonly delayed?: { readonly share: number; readonly ms: Range };
  /** The share of connections on which so little reaches the client in a second. */
  readonly throttled?: { readonly share: number; readonly bytesPerSecond: Range };
  /** How often, and for how long, nothing passes on any connection, the end of one neither. */
  readonly silent?: { readonly everyMs: Range; readonly forMs: Range };
}

/**
 * `reset` is RST to both sides and `end` FIN. With `half` the client gets an RST, and the other side hears nothing for two
 * seconds, as behind a router that has forgotten the connection. A Unix socket knows no RST, and is closed instead.
 */
export type Cut = "reset" | "end" | "half";

export interface ConnectionPlan {
  readonly isRefused: boolean;
  readonly cut?: { readonly afterBytes: number; readonly how: Cut };
  readonly delayMs?: number;
  readonly bytesPerSecond?: number;
}

/** The plan of the connection that is accepted as number `index`, counted from 0. */
export function planConnection(seed: number, index: number, faults: Faults): ConnectionPlan {
  const { cutAfterBytes, cuts = ["reset", "end", "half"], refused = 0, delayed, throttled } = faults;
  const random = createRandom(seed, index);
  const isRefused = random.chance(refused);
  const cut = cutAfterBytes && { afterBytes: random.between(...cutAfterBytes), how: random.pick(cuts) };
  const isDelayed = random.chance(delayed?.share ?? 0);
  const isThrottled = random.chance(throttled?.share ?? 0);
  return {
    isRefused,
    ...(cut && { cut }),
    ...(delayed && isDelayed && { delayMs: random.between(...delayed.ms) }),
    ...(throttled && isThrottled && { bytesPerSecond: random.between(...throttled.bytesPerSecond) }),
  };
}

export interface Silence {
  /** Counted from the end of the last one. */
  readonly afterMs: number;
  readonly forMs: number;
}

/** Without end. */
export function* planSilences(seed: number, { everyMs, forMs }: NonNullable<Faults["silent"]>): Generator<Silence> {
  const random = createRandom(seed, -1);
  for (;;) yield { afterMs: random.between(...everyMs), forMs: random.between(...forMs) };
}
