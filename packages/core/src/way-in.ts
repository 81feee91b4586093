/**
 * One way in for producers that speak only Redis: what they append to a stream is validated and carried out like any call,
 * once.
 *
 * Once, because each entry makes its call with an idempotency key of its own: a server that dies between the call and the
 * removal of the entry leaves it to another one, whose call is then answered with what the first one did. The key is kept
 * for a day, so an entry that nobody has seen to for about as long is refused, and not tried a second time.
 *
 * What is refused for good goes to a stream beside the way, with the reason. What may succeed later is tried again every
 * few seconds, and those behind it go on; while Redis is away, everything waits. The file way-stream.ts has the states of
 * an entry.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { WireError } from "@ksi/contract";
import { type ErrorCode, type Issue, KsiError } from "@ksi/contract/errors";
import type { z } from "zod";
import type { Logger } from "./logger.ts";
import type { Store } from "./redis/store.ts";
import { createRepeatedWarning } from "./repeated-warning.ts";
import { retryWhileAway } from "./retry.ts";
import { startTicker } from "./ticker.ts";
import { readWayEntry, showWayEntry } from "./way-entry.ts";
import { createWayStream, type WayEntry } from "./way-stream.ts";
import { settlesWithin } from "./within.ts";

export interface WayInOptions {
  readonly store: Pick<Store, "commands" | "connect" | "exited">;
  readonly logger: Logger;
  /** Aborted when no more entries are to be taken. */
  readonly draining: AbortSignal;
  /** After so long without a sign of the server that took it, an entry is another's to take. Default 5,000. */
  readonly abandonedMs?: number | undefined;
}

export interface Way<Input> {
  readonly name: string;
  readonly schema: z.ZodType<Input>;
  readonly key: string;
  /** Where refused entries go. */
  readonly refusedKey: string;
  /** Made again with the same idempotency key, it changes nothing. */
  readonly call: (input: Input) => Promise<unknown>;
  /** Calls of one line are made one after the other, in the order of their entries; all others at once. */
  readonly lineOf: (input: Input) => string | undefined;
}

const passing: ReadonlySet<ErrorCode> = new Set(["RATE_LIMITED", "INBOX_FULL", "SHUTTING_DOWN"]);
/** Below the day for which idempotency keys are kept. */
const rememberedMs = 23 * 3_600_000;
const keepEveryMs = 1_000;
const lookEveryMs = 1_000;
const pauseMs = 1_000;
/** For what is in hand at the end. */
const closeMs = 3_000;

/**
 * Takes entries until it is drained or disposed. The one that is being carried out then is finished, as far as Redis
 * answers, and the others in hand are put back for other servers.
 */
export function startWayIn<Input extends { idempotency_key?: string | undefined }>(
  { store, logger, draining, abandonedMs }: WayInOptions,
  { name, schema, key, refusedKey, call, lineOf }: Way<Input>,
): AsyncDisposable {
  const closing = new AbortController();
  const signal = AbortSignal.any([draining, closing.signal, store.exited]);
  const reader = store.connect(`way-${name}`, "commands");
  const stream = createWayStream({ redis: store.commands, reader, key, refusedKey, abandonedMs });
  const warnAway = createRepeatedWarning(logger, "What comes in by Redis could not be read; trying again.");
  const warnRefused = createRepeatedWarning(
    logger,
    "What came in by Redis was refused; the stream of refused ones has it.",
  );
  let hand: readonly WayEntry[] = [];
  const keeper = startTicker({
    intervalMs: keepEveryMs,
    action: () => stream.keep(hand),
    onError: (error) => logger.debug({ err: error, way: name }, "Others may take over what is in hand."),
  });
  // It may be waiting for entries, which nobody would work on.
  signal.addEventListener("abort", () => reader.disconnect(), { once: true });
  const served = serve();
  return {
    async [Symbol.asyncDispose]() {
      closing.abort();
      await settlesWithin(served, closeMs);
      await keeper.stop();
    },
  };

  async function serve(): Promise<void> {
    let isOpen = false;
    let lookAt = 0;
    while (!signal.aborted) {
      try {
        if (!isOpen) await stream.open();
        isOpen = true;
        if (performance.now() >= lookAt) {
          lookAt = performance.now() + lookEveryMs;
          await handle(await stream.takeOver());
        }
        if (!signal.aborted) await handle(await stream.read());
      } catch (thrown) {
        if (signal.aborted) return;
        warnAway(thrown, { way: name });
        isOpen = false;
        await sleep(pauseMs, undefined, { signal, ref: false }).catch(() => undefined);
      }
    }
  }

  async function handle(entries: readonly WayEntry[]): Promise<void> {
    hand = entries;
    try {
      await carryOutAll(entries);
    } finally {
      // What is still in the way then is abandoned in a while.
      hand = [];
    }
  }

  async function carryOutAll(entries: readonly WayEntry[]): Promise<void> {
    const lines = new Map<string, Promise<Outcome>>();
    const outcomes = await Promise.all(
      entries.map((entry) => {
        const input = read(entry);
        const line = input instanceof KsiError ? undefined : lineOf(input);
        if (line === undefined) return carryOut(entry, input);
        const turn = Promise.resolve(lines.get(line)).then(() => carryOut(entry, input));
        lines.set(line, turn);
        return turn;
      }),
    );
    const having = (outcome: Outcome) => entries.filter((_, i) => outcomes[i] === outcome);
    await retryWhileAway(() => stream.done(having("done")), signal);
    // From here on they are not to be kept.
    hand = [];
    await stream.putBack(having("failed"), "later");
    await stream.putBack(having("untried"), "now");
    await stream.putBack(
      having("broken").map((entry) => ({ ...entry, isUntouched: false })),
      "now",
    );
  }

  function read(entry: WayEntry): Input | KsiError {
    if (!entry.isUntouched && entry.abandonedMs > rememberedMs) return tooLate();
    try {
      const input = readWayEntry(entry.flat, schema);
      return { ...input, idempotency_key: input.idempotency_key ?? `way:${name}:${entry.id}` };
    } catch (thrown) {
      return KsiError.from(thrown);
    }
  }

  async function carryOut(entry: WayEntry, input: Input | KsiError): Promise<Outcome> {
    if (signal.aborted) return "untried";
    try {
      if (input instanceof KsiError) throw input;
      await retryWhileAway(() => call(input), signal);
    } catch (thrown) {
      const error = KsiError.from(thrown);
      if (passing.has(error.code)) return "failed";
      if (signal.aborted) return "broken";
      await refuse(entry, error);
    }
    return "done";
  }

  async function refuse(entry: WayEntry, error: KsiError): Promise<void> {
    await retryWhileAway(() => stream.refuse(entry.id, showWayEntry(entry.flat), toWire(error, entry)), signal);
    const fields = { way: name, entry_id: entry.id, code: error.code };
    if (error.code === "INTERNAL")
      logger.error({ ...fields, err: error.cause ?? error }, "What came in by Redis failed.");
    else warnRefused(error, fields);
  }
}

/** `failed` may succeed later, and has had no effect; of `broken` nobody knows. */
type Outcome = "done" | "failed" | "untried" | "broken";

function tooLate(): KsiError {
  return new KsiError(
    "TIMEOUT",
    "A server took this entry and died, and none has seen to it for so long that nobody knows whether it was carried " +
      "out. Look, and append it again if it was not.",
  );
}

/** What an error says of an entry can be as long as the entry. */
const messageChars = 1_000;
const pathChars = 200;
const issuesMost = 20;

function toWire(error: KsiError, { isUntouched }: WayEntry): WireError {
  const { code, message, details } = error;
  const known = {
    ...details,
    ...(details?.issues && { issues: details.issues.slice(0, issuesMost).map(cutIssue) }),
    // Whoever had it before may have carried it out.
    ...(!isUntouched && { outcome: "unknown" as const }),
  };
  const hasDetails = Object.keys(known).length > 0;
  return { code, message: message.slice(0, messageChars), ...(hasDetails && { details: known }) };
}

function cutIssue({ path, message }: Issue): Issue {
  return { path: path.slice(0, pathChars), message: message.slice(0, messageChars) };
}
