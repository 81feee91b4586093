/** What can be set about the OpenAI routes. */
import { type KsiError, limits } from "@ksi/contract";

export interface OpenAiOptions {
  /** Bytes of a body; beyond that 413. Default: 8 MiB, as of every door. */
  readonly maxBodyBytes?: number;
  /**
   * How long the head of a stream waits for the first sign of an answer, so that early failures have their true status.
   * Default 5,000.
   */
  readonly openingMs?: number;
  /** Between comments on a stream that has nothing to say. Default 15,000. */
  readonly keepAliveMs?: number;
  /**
   * How long a client waits for the end of its run at most (`TIMEOUT`). The run is cancelled then, unless it was asked to
   * go on or another client waits for it. Default 600,000.
   */
  readonly maxWaitMs?: number;
  /** How long a run with an `Idempotency-Key` goes on without its client, so that a repeat can attach. Default 30,000. */
  readonly reattachMs?: number;
  /** The `x-request-id` of the answer. Default: none is sent. */
  readonly requestId?: (request: Request) => string | undefined;
  /**
   * Told of every failure, for the log: what the caller is not told is in its `cause`. `CANCELLED` is a client that went
   * away. A run that failed after its stream had begun is not among them: the worker has logged it.
   */
  readonly onError?: (failure: { error: KsiError; request: Request }) => void;
}

export type OpenAiSettings = Required<Omit<OpenAiOptions, "requestId" | "onError">>;

export function withDefaults(options: OpenAiOptions): OpenAiSettings {
  return {
    maxBodyBytes: options.maxBodyBytes ?? limits.bodyBytes,
    openingMs: options.openingMs ?? 5_000,
    keepAliveMs: options.keepAliveMs ?? 15_000,
    maxWaitMs: options.maxWaitMs ?? 600_000,
    reattachMs: options.reattachMs ?? 30_000,
  };
}
