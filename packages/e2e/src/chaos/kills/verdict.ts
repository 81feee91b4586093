/** What must be true when everything has come to rest; each function gives a sentence for each thing that is not. */
import type { KsiClient, KsiEvent, Run } from "@ksi/client";
import { isFinal } from "@ksi/contract";
import type { Store } from "@ksi/core";
import type { StandInTurn } from "@ksi/testing";
import type { AcceptedRun } from "./load.ts";
import type { Notes } from "./notes.ts";

/** A channel as it is in Redis. */
export type Channel = readonly KsiEvent[];

export async function readChannel({ commands, keys }: Store, name: string): Promise<Channel> {
  const entries = await commands.xrange(keys.tenant().channel(name), "-", "+");
  return entries.map(([, [, json = ""]]) => JSON.parse(json) as KsiEvent);
}

export const firehose = "events:broadcast";

export const channelOf = ({ run_id }: AcceptedRun): string => `runs:${run_id}`;

export async function listAll(client: KsiClient): Promise<Run[]> {
  const found: Run[] = [];
  let after: string | undefined;
  do {
    const { runs, next } = await client.runs.list({ limit: 500, ...(after && { after }) });
    found.push(...runs);
    after = next ?? undefined;
  } while (after !== undefined);
  return found;
}

/** No accepted run is lost, and none was started that nobody was told of. */
export function checkAccepted(accepted: readonly AcceptedRun[], listed: readonly Run[]): string[] {
  const ids = new Set(accepted.map(({ run_id }) => run_id));
  const found = new Set(listed.map(({ run_id }) => run_id));
  return [
    ...[...ids].filter((id) => !found.has(id)).map((id) => `run ${id} was accepted and is lost`),
    ...[...found].filter((id) => !ids.has(id)).map((id) => `run ${id} exists beside the one of its idempotency key`),
    ...(ids.size === accepted.length ? [] : ["two spawns were answered with one run"]),
  ];
}

/** One result: final, the same in the log and in the record, and a true one. */
export function checkResult({ plan, run_id }: AcceptedRun, run: Run, channel: Channel): string[] {
  const name = `run ${run_id} (${plan.kind})`;
  if (!isFinal(run.status)) return [`${name} is still ${run.status}`];
  const finals = channel.filter(({ event_type }) => finalTypes.has(event_type));
  if (finals.length !== 1) return [`${name} has ${finals.length} final events`];
  const last = channel.at(-1);
  if (last !== finals[0]) return [`${name} goes on after its final event`];
  if (last?.event_type !== `run.${run.status}`)
    return [`${name} is ${run.status}, and its log says ${last?.event_type}`];
  const code = run.error?.code;
  const isHonest =
    (run.status === "completed" && run.result === plan.answer && plan.kind !== "hangs") ||
    (run.status === "failed" && code === "WORKER_LOST") ||
    (run.status === "timed_out" && plan.kind === "hangs");
  if (!isHonest) return [`${name} ended as ${run.status} ${code ?? ""} ${run.error?.message ?? run.result}`];
  return run.status === "completed" && textOf(channel) !== plan.answer ? [`${name} said something else`] : [];
}

const finalTypes = new Set<string>(["run.completed", "run.failed", "run.cancelled", "run.timed_out"]);

function textOf(channel: Channel): string {
  let text = "";
  for (const { event_type, payload } of channel) {
    // After another attempt the run begins anew; before the prompt was handed over nothing can have been said.
    if (event_type === "run.text" && "text" in payload) text += payload.text;
  }
  return text;
}

export type Endings = Readonly<Record<"completed" | "worker_lost" | "timed_out" | "requeued", number>>;

/** How runs ended, and how often one went back in line. */
export function countEndings(events: Channel): Endings {
  const count = (type: string) => events.filter(({ event_type }) => event_type === type).length;
  return {
    completed: count("run.completed"),
    worker_lost: count("run.failed"),
    timed_out: count("run.timed_out"),
    requeued: count("run.requeued"),
  };
}

/** Runs of a session execute in the order accepted, and the next starts only when the one before is final. */
export function checkOrder(accepted: readonly AcceptedRun[], events: Channel): string[] {
  const wrong: string[] = [];
  const lines = new Map<string, AcceptedRun[]>();
  for (const run of accepted) lines.set(run.session_id, [...(lines.get(run.session_id) ?? []), run]);
  const runs = new Map(accepted.map((run) => [run.run_id, run]));
  for (const event of events) {
    const run = "run_id" in event ? runs.get(event.run_id ?? "") : undefined;
    const line = run && lines.get(run.session_id);
    if (!run || !line) continue;
    if (event.event_type === "run.started" && line[0] !== run) {
      wrong.push(
        `run ${run.plan.number} of session ${run.plan.session} started before ${line[0]?.plan.number} was final`,
      );
    }
    if (finalTypes.has(event.event_type)) line.splice(line.indexOf(run), 1);
  }
  return wrong;
}

/** No two agents of one session at once. */
export function checkPairs(
  accepted: readonly AcceptedRun[],
  pairs: ReadonlyMap<string, Date>,
  events: Channel,
): string[] {
  const sessions = new Map(accepted.map(({ run_id, session_id }) => [run_id, session_id]));
  return [...pairs].flatMap(([pair, seenAt]) => {
    const [a = "", b = ""] = pair.split(" ");
    if (!sessions.has(a) || sessions.get(a) !== sessions.get(b)) return [];
    const story = events.flatMap((event) =>
      "run_id" in event && (event.run_id === a || event.run_id === b) ? [event] : [],
    );
    const told = story
      .map((event) => `${event.timestamp} ${event.event_type} ${event.run_id === a ? a : b}`)
      .join(", ");
    return [`two runs of one session had agents at the same time, ${seenAt.toISOString()}: ${told}`];
  });
}

/** An agent that may have done something is never asked again. */
export function checkPrompts(turns: readonly StandInTurn[]): string[] {
  const seen = new Set<string>();
  return (
    turns
      // One that ended before it was given a prompt has seen none, and its run may be given to another.
      .filter(({ event, prompt }) => event === "started" && prompt !== "")
      .flatMap(({ prompt, args }) => {
        // Where a turn was killed early, the CLI may refuse to join its session in one way, and is asked in the other.
        const way = args.find((arg) => /^--(resume|session-id)=/.test(arg)) ?? "";
        const asked = `${way} ${prompt}`;
        const isRepeat = seen.has(asked);
        seen.add(asked);
        return isRepeat ? [`an agent was given the same prompt twice: ${prompt}`] : [];
      })
  );
}

/** A subscriber has everything, or was told of the gap; nothing twice. */
export function checkNotes(name: string, notes: Notes, channel: Channel): string[] {
  return notes.compare(channel.map(({ id }) => id)).map((what) => `${name} ${what}`);
}
