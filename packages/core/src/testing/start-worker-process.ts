import { type ScriptProcess, startScriptProcess } from "./start-script-process.ts";

export type WorkerProcess = ScriptProcess;

const workerScript = new URL("worker-process.ts", import.meta.url);
const wayScript = new URL("way-process.ts", import.meta.url);

/** Serves the models `before`, `after` and `echo`, and with `claude` those of that CLI; resolves when it takes runs. */
export async function startWorkerProcess(url: string, root: string, claude?: string): Promise<WorkerProcess> {
  return await startScriptProcess(workerScript, [url, root, ...(claude ? [claude] : [])]);
}

/** A server that carries out what comes in by Redis, and removes nothing of it; resolves when it takes entries. */
export async function startWayProcess(url: string, root: string): Promise<ScriptProcess> {
  return await startScriptProcess(wayScript, [url, root]);
}
