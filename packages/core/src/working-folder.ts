/** Where an agent may work: inside the configured roots, and nowhere that a link leads to outside them. */
import { realpath, stat } from "node:fs/promises";
import { isAbsolute, relative, resolve, sep } from "node:path";
import { KsiError } from "@ksi/contract/errors";

export interface WorkingFolders {
  /**
   * The folder as it really is, links followed. A relative one is taken from the first root, which is also the default.
   *
   * `INVALID_INPUT` when it is not a folder, `FORBIDDEN` when it lies outside every root. A folder outside is told from
   * one that does not exist only by whoever names a path inside the roots.
   */
  resolve(cwd: string | undefined): Promise<string>;
}

/** For how long the default, where most runs work, is not looked at again: six calls of the file system for each run. */
const defaultMs = 1_000;

export function createWorkingFolders(roots: readonly string[]): WorkingFolders {
  let known: { path: string; until: number } | undefined;
  return {
    async resolve(cwd) {
      const now = performance.now();
      if (known && now < known.until && (cwd === undefined || cwd === known.path)) return known.path;
      const { path, isDefault } = await resolveFolder(cwd, roots);
      // Only the default: inside of it, agents can put a link where a folder was.
      if (isDefault) known = { path, until: now + defaultMs };
      return path;
    },
  };
}

interface Resolved {
  readonly path: string;
  readonly isDefault: boolean;
}

async function resolveFolder(cwd: string | undefined, roots: readonly string[]): Promise<Resolved> {
  const [first] = roots;
  if (first === undefined) throw new KsiError("FORBIDDEN", "No root is configured, so no agent may work anywhere.");
  const wanted = resolve(first, cwd ?? ".");
  const realRoots = await Promise.all(roots.map(async (root) => (await realpathOf(root)) ?? resolve(root)));
  const real = await realpathOf(wanted);
  const isInside = [...roots.map((root) => resolve(root)), ...realRoots].some((root) => contains(root, wanted));

  if (real !== undefined ? !realRoots.some((root) => contains(root, real)) : !isInside) {
    throw new KsiError("FORBIDDEN", `cwd: ${wanted} is outside the folders that agents may use. Add it to the roots.`);
  }
  if (real === undefined || !(await stat(real)).isDirectory()) {
    const message = `is not an existing folder: ${wanted}`;
    throw new KsiError("INVALID_INPUT", `cwd: ${message}`, { details: { issues: [{ path: "cwd", message }] } });
  }
  return { path: real, isDefault: real === realRoots[0] };
}

/** Whether the path is the root or lies below it, by their names alone. */
export function contains(root: string, path: string): boolean {
  const way = relative(root, path);
  return way === "" || !(way === ".." || way.startsWith(`..${sep}`) || isAbsolute(way));
}

async function realpathOf(path: string): Promise<string | undefined> {
  try {
    return await realpath(path);
  } catch {
    // Missing, or not ours to see: for the caller both are "not there".
    return undefined;
  }
}
