/** The promise behind "never lost": what happens to accepted runs when the daemon is killed in the middle of them. */

import { createKsiClient } from "@ksi/client";
import { isFinal, type Run } from "@ksi/contract";
import { createClaudeStandIn, createTempFolder, isAlive, startDaemonProcess, until } from "@ksi/testing";
import { expect, test } from "vitest";
import { startLiveDaemon } from "./live-daemon.ts";

const runCount = 30;
const sessionCount = 10;

test("after a kill -9 in the middle of thirty runs each gets a final state and no process is left", async () => {
  await using claude = await createClaudeStandIn();
  await using folder = await createTempFolder();
  // Agents that ignore polite signals, and leave grandchildren in other groups and sessions that do as well.
  await claude.order({ hang: "", fork: "group,session,background", ignore: "SIGINT,SIGTERM" });
  const env = { KSI_CLAUDE_BIN: claude.bin, KSI_MAX_CONCURRENT_RUNS: "6" };

  await using killed = await startDaemonProcess({ dataDir: folder.path, env });
  const accepted: string[] = [];
  {
    await using ksi = createKsiClient(killed);
    const sessions: (string | undefined)[] = Array.from({ length: sessionCount });
    for (let i = 0; i < runCount; i++) {
      const session_id = sessions[i % sessionCount];
      const run = await ksi.run({ prompt: `run ${i}`, model: "sonnet", ...(session_id && { session_id }) });
      sessions[i % sessionCount] = run.session_id;
      accepted.push(run.run_id);
    }
    await until(async () => (await claude.children()).length >= 6 * 3, {
      deadlineMs: 30_000,
      message: "agents have forked",
    });
  }

  const begun = await claude.turns();
  const pids = [...begun.map(({ pid }) => pid), ...(await claude.children()).map(({ pid }) => pid)];
  expect(pids.filter(isAlive).length).toBeGreaterThanOrEqual(6 * 4);
  await killed.stop("SIGKILL");
  await until(() => pids.every((pid) => !isAlive(pid)), {
    deadlineMs: 5_000,
    message: "no process of the dead daemon",
  });

  // From here on agents answer; the ones that had been given their prompt must not be asked again.
  await claude.order({});
  await using live = await startLiveDaemon({ dataDir: folder.path, env });
  const finals = await until(
    async () => {
      const runs = await Promise.all(accepted.map((run_id) => live.ksi.runs.get(run_id)));
      return runs.every(({ status }) => isFinal(status)) && runs;
    },
    { deadlineMs: 60_000, message: "every run is final" },
  );

  expect(finals).toHaveLength(runCount);
  const { runs } = await live.ksi.runs.list({ limit: 500 });
  expect(runs.map(({ run_id }) => run_id).sort()).toEqual([...accepted].sort());
  const handed = new Set(begun.map(({ prompt }) => prompt));
  const lost = finals.filter(({ error }) => error?.code === "WORKER_LOST");
  expect(lost).toHaveLength(handed.size);
  expect(finals.filter(isCompleted)).toHaveLength(runCount - handed.size);
  const prompts = (await claude.turns()).filter(({ event }) => event === "started").map(({ prompt }) => prompt);
  expect(prompts).toHaveLength(new Set(prompts).size);
});

function isCompleted({ status, result }: Run): boolean {
  return status === "completed" && result !== undefined;
}
