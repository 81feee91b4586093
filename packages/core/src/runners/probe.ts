/** What runners say of themselves, asked all at once. */
import type { RunnerStatus } from "@ksi/contract";
import { settlesWithin } from "../within.ts";
import type { Runner } from "./runner.ts";

/** A probe may start a program; who asks must not wait for one that hangs. */
const probeMs = 3_000;

export function probeRunners(runners: readonly Runner[]): Promise<RunnerStatus[]> {
  return Promise.all(runners.map(probe));
}

/** For advice: the models that would run now, with commas between them; empty where there is none. */
export async function listReadyModels(runners: readonly Runner[]): Promise<string> {
  const ready = (await probeRunners(runners)).filter(({ available }) => available);
  return [...new Set(ready.flatMap(({ models }) => models))].join(", ");
}

async function probe(runner: Runner): Promise<RunnerStatus> {
  const probing = runner.probe();
  if (await settlesWithin(probing, probeMs)) return await probing;
  const { name, models } = runner;
  return { name, models: [...models], available: false, advice: `It did not answer within ${probeMs} ms.` };
}
