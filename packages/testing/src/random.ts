/** Random numbers that come again: the same seed gives the same ones in the same order, on any machine. */
export interface Random {
  /** From 0, to below 1. */
  next(): number;
  /** A whole number from `least` to `most`, both possible. */
  between(least: number, most: number): number;
  /** True in so many of one case. */
  chance(share: number): boolean;
  /** One of them. */
  pick<T>(items: readonly [T, ...T[]]): T;
}

/** `parts` set apart what shares a seed, such as the number of a connection. */
export function createRandom(seed: number, ...parts: readonly number[]): Random {
  let state = [seed, ...parts].reduce((mixed, part) => scramble(mixed + part), 0);
  const next = () => {
    // A step of mulberry32.
    state = (state + 0x6d2b79f5) >>> 0;
    return scramble(state) / 2 ** 32;
  };
  const between = (least: number, most: number) => least + Math.floor(next() * (most - least + 1));
  return {
    next,
    between,
    chance: (share) => next() < share,
    pick: (items) => items[between(0, items.length - 1)] ?? items[0],
  };
}

/** The same items, in an order of its own. */
export function shuffle<T>(items: readonly T[], random: Random): T[] {
  const left = [...items];
  return items.flatMap(() => left.splice(random.between(0, left.length - 1), 1));
}

function scramble(value: number): number {
  let mixed = Math.imul(value ^ (value >>> 15), value | 1);
  mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
  return (mixed ^ (mixed >>> 14)) >>> 0;
}
