import { type ScriptProcess, startScriptProcess } from "./start-script-process.ts";

export type WorkerProcess = ScriptProcess;

/** Serves the models `before`, `after` and `echo`, and with `claude` those of that CLI; resolves when it takes runs. */
export async function startWorkerProcess(url: string, root: string, claude?: string): Promise<WorkerProcess> {
  return await startScriptProcess("worker-process.ts", [url, root, ...(claude ? [claude] : [])]);
}
