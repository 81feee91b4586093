/**
 * A steady load: each session spawns one run after the other through either server, with an idempotency key, and again
 * with the same key until it is accepted; each run is followed to its end through a server of its own choice.
 */
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { EventStream, KsiClient, RunEvent, RunHandle } from "@ksi/client";
import { isFinalRunEvent } from "@ksi/contract";
import { createRandom, type Random } from "@ksi/testing";
import { insist } from "../insist.ts";
import { createNotes, type Notes } from "./notes.ts";
import { type PlannedRun, planRun } from "./plan.ts";

export interface AcceptedRun {
  readonly plan: PlannedRun;
  readonly run_id: string;
  readonly session_id: string;
  /** What its follower was given. */
  readonly notes: Notes;
  isOver: boolean;
}

export interface Load {
  /** In each session in the order accepted. */
  readonly accepted: readonly AcceptedRun[];
  /** Spawns that were made again with the same key. */
  readonly repeats: number;
  /** Spawns nothing more. */
  stop(): void;
  /** Every accepted run was followed to its end. */
  readonly isDone: boolean;
}

export interface LoadOptions {
  readonly seed: number;
  readonly sessions: number;
  readonly clients: readonly [KsiClient, ...KsiClient[]];
  readonly onFailure: (what: string) => void;
}

/** How many runs of a session may be on their way. */
const mostWaiting = 3;
/** Of the runs that were accepted. */
const repeatShare = 0.2;

export function startLoad({ seed, sessions, clients, onFailure }: LoadOptions): Load {
  const accepted: AcceptedRun[] = [];
  let talking = sessions;
  let repeats = 0;
  let isStopped = false;

  const onRepeat = () => {
    repeats += 1;
  };

  async function converse(session: number): Promise<void> {
    const random = createRandom(seed, session + 1);
    const session_id = randomUUID();
    const waiting: Promise<void>[] = [];
    for (let number = 0; !isStopped; number++) {
      const plan = planRun(random, session, number);
      const handle = await accept(plan, session_id, random);
      const run = { plan, run_id: handle.run_id, session_id, notes: createNotes(), isOver: false };
      accepted.push(run);
      waiting.push(follow(run, random.pick(clients)));
      if (waiting.length >= random.between(1, mostWaiting)) await waiting.shift();
      await sleep(random.between(0, 300));
    }
    await Promise.all(waiting);
  }

  async function accept(plan: PlannedRun, session_id: string, random: Random): Promise<RunHandle> {
    const { prompt, model, timeout_ms } = plan;
    const idempotency_key = randomUUID();
    const request = { prompt, model, session_id, idempotency_key, ...(timeout_ms !== undefined && { timeout_ms }) };
    const handle = await insist(() => random.pick(clients).run(request), onRepeat);
    if (!random.chance(repeatShare)) return handle;
    // As a caller does whose answer was lost: through another server, perhaps when the run is over.
    const again = await insist(() => random.pick(clients).run(request), onRepeat);
    if (again.run_id !== handle.run_id) onFailure(`one key made the runs ${handle.run_id} and ${again.run_id}`);
    return again;
  }

  async function follow(run: AcceptedRun, client: KsiClient): Promise<void> {
    const { notes, run_id } = run;
    const handle = await insist(() => client.runs.attach(run_id), onRepeat);
    const stream: EventStream<RunEvent> = handle.events({ onGap: notes.gap, onReconnect: notes.resumed });
    for await (const event of stream) {
      notes.take(event.id);
      run.isOver = isFinalRunEvent(event);
    }
  }

  for (let session = 0; session < sessions; session++) {
    converse(session)
      .catch((error: unknown) => onFailure(`session ${session} broke off: ${error}`))
      .finally(() => {
        talking -= 1;
      });
  }
  return {
    accepted,
    get repeats() {
      return repeats;
    },
    stop() {
      isStopped = true;
    },
    get isDone() {
      return talking === 0;
    },
  };
}
