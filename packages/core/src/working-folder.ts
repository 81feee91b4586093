/** Where an agent may work: inside the configured roots, and nowhere that a link leads to outside them. */
import { realpath, stat } from "node:fs/promises";
import { isAbsolute, relative, resolve, sep } from "node:path";
import { KsiError } from "@ksi/contract/errors";

/**
 * The folder as it really is, links followed. A relative one is taken from the first root, which is also the default.
 *
 * `INVALID_INPUT` when it is not a folder, `FORBIDDEN` when it lies outside every root. A folder outside is told from one
 * that does not exist only by whoever names a path inside the roots.
 */
export async function resolveWorkingFolder(cwd: string | undefined, roots: readonly string[]): Promise<string> {
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
  return real;
}

function contains(root: string, path: string): boolean {
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
