/**
 * Leaves something out of the Lua scripts that a process runs, to see what it costs. The product has no switch for it, and
 * needs none: what is cut is the text of a script on its way to Redis.
 */
import { createHash } from "node:crypto";
import { Redis } from "ioredis";

/** `text` becomes `instead`, wherever it is in a script. */
export interface Cut {
  text: string;
  instead: string;
}

/** From now on, for all connections of this process. Gives the cuts that no script has met yet. */
export function cutScripts(cuts: readonly Cut[]): () => Cut[] {
  const unmet = new Set(cuts);
  /** By the hash of the whole script, that of what is left of it. */
  const hashes = new Map<string, string>();
  const { eval: runText, evalsha: runHash } = Redis.prototype;

  const cut = (whole: string) =>
    cuts.reduce((text, each) => {
      if (text.includes(each.text)) unmet.delete(each);
      return text.replaceAll(each.text, each.instead);
    }, whole);

  Object.assign(Redis.prototype, {
    evalsha(this: Redis, hash: string, ...args: [number, ...string[]]) {
      const left = hashes.get(hash);
      return left === undefined
        ? Promise.reject(new Error("NOSCRIPT, to be told its text"))
        : runHash.call(this, left, ...args);
    },
    eval(this: Redis, whole: string, ...args: [number, ...string[]]) {
      const left = cut(whole);
      hashes.set(hashOf(whole), hashOf(left));
      return runText.call(this, left, ...args);
    },
  });
  return () => [...unmet];
}

function hashOf(text: string): string {
  return createHash("sha1").update(text).digest("hex");
}
