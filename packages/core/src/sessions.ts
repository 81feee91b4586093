/** What callers do with sessions. A session begins with its first run; there is nothing to create. */
import type { SessionsPort } from "@ksi/contract";
import { KsiError } from "@ksi/contract/errors";
import type { Logger } from "./logger.ts";
import type { RunIndex } from "./run-index.ts";
import type { RunStore } from "./run-store.ts";

export interface SessionsOptions {
  readonly runs: RunStore;
  readonly index: RunIndex;
  readonly logger: Logger;
}

export function createSessions({ runs, index, logger }: SessionsOptions): SessionsPort {
  return {
    list: (input) => index.listSessions(input),
    get,
    async messages(input) {
      await get(input.session_id);
      return await index.listTurns(input);
    },
    async delete(session_id) {
      const outcome = await runs.deleteSession(session_id);
      if (outcome === "unknown") throw unknownSession(session_id);
      if (outcome === "busy") {
        const message = `Session ${session_id} has a run that is queued or still ending. Cancel it, then try again.`;
        throw new KsiError("CONFLICT", message);
      }
      logger.info({ session_id }, "Session deleted.");
      return { status: "deleted", session_id };
    },
  };

  async function get(sessionId: string) {
    const session = await index.getSession(sessionId);
    if (!session) throw unknownSession(sessionId);
    return session;
  }
}

function unknownSession(sessionId: string): KsiError {
  return new KsiError("NOT_FOUND", `There is no session ${sessionId}. It may have been deleted, or have expired.`);
}
