import { KsiError, type WireError } from "@ksi/contract/errors";

/** Why a turn is ended whose run somebody cancelled, and how patient that is with its agent. */
export class RunCancelled extends KsiError {
  /** How long the agent may take to leave by itself, in ms and in all. Without it, the runner's own patience. */
  readonly graceMs: number | undefined;

  constructor({ reason, grace_ms }: Cancel = {}) {
    super("RUN_CANCELLED", cancelledError(reason).message);
    this.graceMs = grace_ms;
  }
}

/** What a caller says of a cancel, as it travels to the worker that has the run. */
export interface Cancel {
  readonly reason?: string | undefined;
  readonly grace_ms?: number | undefined;
}

/** Why a run that somebody cancelled has no result. */
export function cancelledError(reason?: string): WireError {
  return { code: "RUN_CANCELLED", message: reason ? `The run was cancelled: ${reason}` : "The run was cancelled." };
}

/** The patience with which a turn is ended; only a cancel can set it. */
export function graceOf({ reason }: AbortSignal): number | undefined {
  return reason instanceof RunCancelled ? reason.graceMs : undefined;
}
