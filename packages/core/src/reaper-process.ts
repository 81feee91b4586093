/**
 * The reaper: a process of its own that outlives the daemon by a second, to end the agents that it left.
 *
 * It reads lines from the daemon through a pipe: `+7` (an agent is about to start), `+7 4711` (it runs, as this
 * process), `-7` (nothing of it is left). The pipe closes when the daemon closes it or dies, however it dies. With no
 * agent left the reaper is done; else it ends all that carry the daemon's marker or descend from what was recorded.
 *
 * An agent between fork and exec still holds the daemon's end of the pipe, so the pipe closes only when its marker
 * can be seen: there is no moment at which a started agent can be missed.
 */
import { createInterface } from "node:readline";
import { createProcessTree, endTree } from "./process-tree.ts";

const [marker] = process.argv.slice(2);
if (marker === undefined) throw new Error("usage: reaper-process MARKER, with records on stdin");

// Ctrl-C and a closed terminal are for the daemon, which then closes the pipe.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => {});

const agents = new Map<string, number | undefined>();
const tree = createProcessTree(marker, { sincePid: process.pid });

for await (const line of createInterface({ input: process.stdin })) {
  const [, sign, agent, pid] = /^([+-])(\d+)(?: (\d+))?$/.exec(line) ?? [];
  if (agent === undefined) continue;
  if (sign === "+") {
    agents.set(agent, pid === undefined ? undefined : Number(pid));
    if (pid !== undefined) tree.add(Number(pid));
  } else {
    const ended = agents.get(agent);
    if (ended !== undefined) tree.remove(ended);
    agents.delete(agent);
  }
}

if (agents.size > 0) {
  await endTree(tree, [
    // Long enough for an agent to save its session, short enough that a new daemon does not meet the old one's.
    { signal: "SIGTERM", waitMs: 500 },
    { signal: "SIGKILL", waitMs: 5_000 },
  ]);
}
process.exit(0);
