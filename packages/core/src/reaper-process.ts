/**
 * The reaper: a process of its own that ends the agents of a daemon that died or stands still.
 *
 * It reads lines from the daemon through a pipe: `+7` (an agent is about to start), `+7 4711` (it runs, as this
 * process), `-7` (nothing of it is left), `~` (a sign of life, while there are agents).
 *
 * - The pipe closes when the daemon closes it or dies, however it dies. With no agent left the reaper is done; else it
 *   ends all that carry the daemon's marker or descend from what was recorded. It outlives the daemon by a second.
 * - A daemon that is silent for too long (silence.ts) may lose its runs to others. The reaper ends the agents that it
 *   has by then, and stays: the daemon may come back. For each it first writes a line `!7`, which tells the daemon why.
 *
 * An agent between fork and exec still holds the daemon's end of the pipe, so the pipe closes only when its marker
 * can be seen: there is no moment at which a started agent can be missed.
 */
import { once } from "node:events";
import { writeSync } from "node:fs";
import { createInterface } from "node:readline";
import { createProcessList } from "./process-list.ts";
import { createProcessTree, type EndStep, endTree } from "./process-tree.ts";
import { createSilence, lookMs } from "./silence.ts";

const [marker] = process.argv.slice(2);
if (marker === undefined) throw new Error("usage: reaper-process MARKER, with records on stdin");

// Ctrl-C and a closed terminal are for the daemon, which then closes the pipe.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => {});

// Long enough for an agent to save its session, short enough that its successor does not meet it.
const steps: readonly EndStep[] = [
  { signal: "SIGTERM", waitMs: 500 },
  { signal: "SIGKILL", waitMs: 5_000 },
];

const agents = new Map<string, number | undefined>();
/** Those of `agents` that a silence has ended. */
const ended = new Set<string>();
const processes = createProcessList(marker.slice(0, marker.indexOf("=")));
// Since the daemon, not since this process, which may have taken the place of one that died.
const tree = createProcessTree(marker, { processes, sincePid: process.ppid });
let watch: { readonly heard: () => void; readonly stop: () => void } | undefined;

const lines = createInterface({ input: process.stdin });
lines.on("line", read);
await once(lines, "close");
watch?.stop();
if (agents.size > 0) await endTree(tree, steps);
// Not `process.exit`, which joins V8's threads: one that compiles may wait for a garbage collection that never comes any
// more, and this process would stay for ever (nodejs/node#54918; the chaos scenario kills found one).
process.kill(process.pid, "SIGKILL");

function read(line: string): void {
  const [, sign, agent, pid] = /^([+-])(\d+)(?: (\d+))?$/.exec(line) ?? [];
  if (agent !== undefined && sign === "+") add(agent, pid === undefined ? undefined : Number(pid));
  else if (agent !== undefined) remove(agent);
  watch?.heard();
}

function add(agent: string, pid: number | undefined): void {
  agents.set(agent, pid);
  if (pid !== undefined) tree.add(pid);
  watch ??= watchSilence();
}

function remove(agent: string): void {
  const pid = agents.get(agent);
  if (pid !== undefined) tree.remove(pid);
  agents.delete(agent);
  ended.delete(agent);
  if (agents.size > 0) return;
  watch?.stop();
  watch = undefined;
}

function watchSilence() {
  const { heard, look } = createSilence();
  const timer = setInterval(() => {
    // What was said while this process itself did not run is read before the next look, and counts.
    if (look(performance.now())) setImmediate(() => look(performance.now()) && endAgents());
  }, lookMs);
  return { heard, stop: () => clearInterval(timer) };
}

/** Each by itself, and not by the daemon's marker: one that starts meanwhile is none of these. */
function endAgents(): void {
  for (const [agent, pid] of agents) {
    if (ended.has(agent)) continue;
    ended.add(agent);
    tell(`!${agent}`);
    const ofAgent = createProcessTree(`${marker}${agent}.`, { processes });
    if (pid !== undefined) ofAgent.add(pid);
    // What cannot be looked up now is looked up by the daemon, or at its end.
    endTree(ofAgent, steps).catch(() => false);
  }
}

function tell(line: string): void {
  try {
    writeSync(1, `${line}\n`);
  } catch {
    // Nobody reads it any more.
  }
}
