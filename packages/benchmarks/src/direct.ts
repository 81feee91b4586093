import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { now } from "./stats.ts";

export const agentBin = fileURLToPath(new URL("../agent/claude.mjs", import.meta.url));

export interface AgentTimes {
  first_byte_at: number;
  result_at: number;
}

/** The scripted agent started by hand, with the command line that KSI gives it: what there is without KSI. */
export async function runDirectly(prompt: string): Promise<AgentTimes & { asked_at: number; answered_at: number }> {
  const askedAt = now();
  const child = spawn(
    agentBin,
    ["--model", "sonnet", "--print", "--output-format", "stream-json", "--verbose", "--session-id", randomUUID()],
    { stdio: ["pipe", "pipe", "inherit"] },
  );
  child.stdin.end(prompt);
  for await (const line of createInterface({ input: child.stdout })) {
    const message = JSON.parse(line) as { type: string; result: string };
    if (message.type !== "result") continue;
    return { ...(JSON.parse(message.result) as AgentTimes), asked_at: askedAt, answered_at: now() };
  }
  throw new Error("the agent ended without a result");
}
