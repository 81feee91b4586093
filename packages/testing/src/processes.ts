/** Whether processes run, for tests that say none is left. Linux only where /proc is needed. */
import { existsSync, readdirSync, readFileSync } from "node:fs";

/** Zombies count as gone: all that is left of them is a number that their parent has not asked for. */
export function isAlive(pid: number): boolean {
  if (pid <= 0) throw new RangeError("0 and below name groups, not a process");
  try {
    process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
  return !isZombie(pid);
}

/** The processes whose environment holds `entry` (`KSI_RUN_TAG=`, or more of it). Empty on systems without /proc. */
export function findByMarker(entry: string): number[] {
  if (!existsSync("/proc/self/environ")) return [];
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => `\0${readIfThere(`/proc/${pid}/environ`)}`.includes(`\0${entry}`) && !isZombie(pid));
}

function isZombie(pid: number): boolean {
  const stat = readIfThere(`/proc/${pid}/stat`);
  return stat.slice(stat.lastIndexOf(")") + 2).startsWith("Z");
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    // It ended meanwhile, or belongs to another user.
    return "";
  }
}
