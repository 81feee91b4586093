/** Turns the words of a command line into values. Each refuses with a sentence that commander puts the option's name before. */
import { InvalidArgumentError } from "@commander-js/extra-typings";
import type { JsonObject } from "@ksi/client";

/** `limits.runTimeoutMsMax`, `ttlMsMax` and `requestMsMax` of the contract, whose schemas would make the start of every command slower. */
const timeoutMaxMs = 86_400_000;
const ttlMaxMs = 31_536_000_000;
const waitMaxMs = 600_000;
const unitMs = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** Milliseconds of `90` (seconds), `500ms`, `30s`, `1.5m`, `1h` or `1h30m`, up to a run's longest time limit. */
export function parseTimeout(text: string): number {
  const ms = readDuration(text, /(\d+(?:\.\d+)?)(ms|s|m|h)/g, "500ms, 30s, 5m or 1h30m");
  if (ms > timeoutMaxMs) throw new InvalidArgumentError(`A run can take ${timeoutMaxMs / unitMs.h}h at the most.`);
  return ms;
}

/** The same with days (`7d`, `1d12h`), up to the longest that a key of the shared state or a message can be kept for. */
export function parseTtl(text: string): number {
  const ms = readDuration(text, /(\d+(?:\.\d+)?)(ms|s|m|h|d)/g, "30s, 5m, 1h30m or 7d");
  if (ms > ttlMaxMs) throw new InvalidArgumentError(`The longest is ${ttlMaxMs / unitMs.d}d.`);
  return ms;
}

/** The same as the first, up to the longest wait for an answer. */
export function parseWait(text: string): number {
  const ms = readDuration(text, /(\d+(?:\.\d+)?)(ms|s|m|h)/g, "500ms, 30s or 5m");
  if (ms > waitMaxMs)
    throw new InvalidArgumentError(`An answer can be waited for ${waitMaxMs / unitMs.m}m at the most.`);
  return ms;
}

function readDuration(text: string, pattern: RegExp, samples: string): number {
  const parts = [...text.matchAll(pattern)];
  const isWhole = parts.length > 0 && parts.map(([part]) => part).join("") === text;
  const ms = isWhole
    ? parts.reduce((sum, [, amount, unit]) => sum + Number(amount) * unitMs[unit as keyof typeof unitMs], 0)
    : /^\d+(\.\d+)?$/.test(text)
      ? Number(text) * 1_000
      : Number.NaN;
  if (!Number.isFinite(ms) || Math.round(ms) < 1) {
    throw new InvalidArgumentError(`Give seconds, or a duration such as ${samples}.`);
  }
  return Math.round(ms);
}

/** Makes a parser of whole numbers between `min` and `max`, both included. */
export function parseInteger(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = /^-?\d+$/.test(text) ? Number(text) : Number.NaN;
    if (!(value >= min && value <= max)) {
      throw new InvalidArgumentError(`Give a whole number between ${min} and ${max}.`);
    }
    return value;
  };
}

/** `Read,Grep` and `"Read Grep"`, as one may write lists; repeated options add up. */
export function parseList(text: string, before: readonly string[] = []): string[] {
  return [...before, ...text.split(/[\s,]+/).filter(Boolean)];
}

/** A name as it is; repeated options add up. */
export function parseName(text: string, before: readonly string[] = []): string[] {
  return [...before, text];
}

export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new InvalidArgumentError(
      `This is not JSON (${(error as Error).message}). Quote it for the shell: '{"a":1}'.`,
    );
  }
}

export function parseJsonObject(text: string): JsonObject {
  const value = parseJson(text);
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new InvalidArgumentError(`Give a JSON object, such as '{"a":1}'.`);
  }
  return value as JsonObject;
}

/** An http or https address; a missing scheme means http. Ends without a slash. */
export function parseUrl(text: string): string {
  const url = URL.parse(text.includes("://") ? text : `http://${text}`);
  if (!url || !/^https?:$/.test(url.protocol) || !url.hostname) {
    throw new InvalidArgumentError("Give the daemon's address, such as http://127.0.0.1:8000.");
  }
  return url.origin + url.pathname.replace(/\/+$/, "");
}
