/**
 * The files of `{data_dir}/profiles`. Nothing watches them: each call looks at the folder, and reads again what changed.
 * A file that is no profile is told of, with its name, and is fatal for nobody.
 */
import { constants } from "node:fs";
import { lstat, open, readdir, realpath, stat } from "node:fs/promises";
import { extname, join } from "node:path";
import { buffer } from "node:stream/consumers";
import { KsiError } from "@ksi/contract/errors";
import { faultOfName, type ProfileFields } from "./profiles-fields.ts";
import { ProfileProblem, parseProfile } from "./profiles-parse.ts";
import { contains } from "./working-folder.ts";

/** A file of the folder: a profile, or what is wrong with it. */
export type ProfileFile = { readonly file: string; readonly name: string } & (
  | { readonly fields: ProfileFields; readonly problem?: undefined }
  | { readonly problem: string; readonly fields?: undefined }
);

export interface ProfilesFolder {
  /**
   * In order of file name; with a name only the files of that profile. A folder that is not there holds none.
   * `INVALID_INPUT` when it cannot be read.
   */
  read(name?: string): Promise<ProfileFile[]>;
}

const formats: Readonly<Record<string, "json" | "yaml">> = { ".json": "json", ".yaml": "yaml", ".yml": "yaml" };

const maxFiles = 1_000;
const maxBytes = 256_000;

/**
 * A file that was written a moment ago is not remembered: written once more within one tick of the file system's
 * clock, it would look the same.
 */
const settledMs = 1_000;

interface Remembered {
  readonly version: string;
  readonly found: ProfileFile;
}

export function createProfilesFolder(dir: string | undefined): ProfilesFolder {
  const known = new Map<string, Remembered>();
  return {
    async read(only) {
      if (dir === undefined) return [];
      const files = await listFiles(dir);
      const there = new Set(files);
      for (const file of known.keys()) if (!there.has(file)) known.delete(file);
      const found: ProfileFile[] = [];
      for (const [place, file] of files.entries()) {
        // Of those beyond the limit the first stands for all, unless one of them is asked for.
        if (only === undefined ? place > maxFiles : nameOf(file) !== only) continue;
        const one = place < maxFiles ? await look(join(dir, file), file) : tooMany(file, files.length);
        if (one) found.push(refuseTwin(one, there));
      }
      return found;
    },
  };

  /** Undefined when the file has gone meanwhile. */
  async function look(path: string, file: string): Promise<ProfileFile | undefined> {
    const name = nameOf(file);
    try {
      const fault = faultOfName(name);
      if (fault) throw new ProfileProblem(`its name ${fault}`);
      const { real, version, changedMs } = await inspect(path);
      const remembered = known.get(file);
      if (remembered?.version === version) return remembered.found;
      const found = await readOne(real, file);
      if (Date.now() - changedMs > settledMs) known.set(file, { version, found });
      return found;
    } catch (thrown) {
      if (codeOf(thrown) === "ENOENT") return undefined;
      return { file, name, problem: problemOf(thrown) };
    }
  }
}

async function listFiles(dir: string): Promise<string[]> {
  try {
    const names = await readdir(dir);
    return names.filter((name) => !name.startsWith(".") && extname(name) in formats).sort();
  } catch (thrown) {
    const code = codeOf(thrown);
    if (code === "ENOENT") return [];
    throw new KsiError("INVALID_INPUT", `The folder of profiles, ${dir}, cannot be read (${code}).`, { cause: thrown });
  }
}

function nameOf(file: string): string {
  return file.slice(0, -extname(file).length);
}

interface Inspected {
  /** Links followed. */
  readonly real: string;
  readonly version: string;
  readonly changedMs: number;
}

async function inspect(path: string): Promise<Inspected> {
  const isLink = (await lstat(path)).isSymbolicLink();
  const real = isLink ? await followLink(path) : path;
  const about = await stat(real, { bigint: true });
  if (!about.isFile()) throw new ProfileProblem("is not a file");
  const { dev, ino, size, mtimeNs, mtimeMs } = about;
  return { real, version: [dev, ino, size, mtimeNs].join(" "), changedMs: Number(mtimeMs) };
}

async function followLink(path: string): Promise<string> {
  const [folder, real] = await Promise.all([
    realpath(join(path, "..")),
    realpath(path).catch(() => {
      throw new ProfileProblem("is a link that leads nowhere");
    }),
  ]);
  if (!contains(folder, real)) throw new ProfileProblem("is a link that leads out of the folder");
  return real;
}

async function readOne(path: string, file: string): Promise<ProfileFile> {
  const name = nameOf(file);
  // Neither a link nor a pipe that took the file's place since it was looked at.
  await using handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  const bytes = await buffer(handle.createReadStream({ end: maxBytes, autoClose: false }));
  try {
    if (bytes.length > maxBytes) throw new ProfileProblem(`is larger than ${maxBytes / 1_000} kB`);
    return { file, name, fields: await parseProfile(bytes, name, formats[extname(file)] ?? "yaml") };
  } catch (thrown) {
    return { file, name, problem: problemOf(thrown) };
  }
}

/** Which of two files of one name is meant nobody can know, so neither counts. */
function refuseTwin(found: ProfileFile, files: ReadonlySet<string>): ProfileFile {
  const { file, name } = found;
  const twin = Object.keys(formats)
    .map((ending) => name + ending)
    .find((other) => other !== file && files.has(other));
  if (twin === undefined) return found;
  return { file, name, problem: `has the same name as ${twin}: keep one of them` };
}

function tooMany(file: string, count: number): ProfileFile {
  const problem = `is not read: the folder holds ${count} profiles, and ${maxFiles} are read at most, in order of name`;
  return { file, name: nameOf(file), problem };
}

function problemOf(thrown: unknown): string {
  if (thrown instanceof ProfileProblem) return thrown.message;
  const code = codeOf(thrown);
  if (code === undefined) throw thrown;
  return `cannot be read (${code})`;
}

function codeOf(thrown: unknown): string | undefined {
  return thrown instanceof Error && "code" in thrown && typeof thrown.code === "string" ? thrown.code : undefined;
}
