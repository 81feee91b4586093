import { execFile } from "node:child_process";
import { readFile, readlink } from "node:fs/promises";
import { hostname } from "node:os";
import { promisify } from "node:util";

/** One process, told apart from a later one with the same pid, and from those that other machines number. */
export interface ProcessIdentity {
  pid: number;
  /** When it started, in whatever unit the system counts. Only compared. */
  started: string;
  /** Machine, boot and (on Linux) pid namespace: pids of another scope say nothing here. */
  scope: string;
}

/** Undefined when no such process runs; one that is dead but not reaped yet does not run. */
export async function identifyProcess(pid: number): Promise<ProcessIdentity | undefined> {
  const started = process.platform === "linux" ? await readLinuxStart(pid) : await askPsForStart(pid);
  return started === undefined ? undefined : { pid, started, scope: await readScope() };
}

async function readScope(): Promise<string> {
  if (process.platform !== "linux") return hostname();
  const [boot, namespace] = await Promise.all([
    readFile("/proc/sys/kernel/random/boot_id", "utf8"),
    readlink("/proc/self/ns/pid"),
  ]);
  return `${boot.trim()} ${namespace}`;
}

async function readLinuxStart(pid: number): Promise<string | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => undefined);
  // The second field is the program's name in brackets, which may hold spaces and brackets itself.
  const [state, ...fields] = stat?.slice(stat.lastIndexOf(")") + 2).split(" ") ?? [];
  return state === undefined || state === "Z" || state === "X" ? undefined : fields[18];
}

async function askPsForStart(pid: number): Promise<string | undefined> {
  const answer = await promisify(execFile)("ps", ["-o", "stat=,lstart=", "-p", String(pid)]).catch(() => undefined);
  const [, state, started] = /^\s*(\S+)\s+(.+?)\s*$/.exec(answer?.stdout ?? "") ?? [];
  return state?.startsWith("Z") ? undefined : started;
}
