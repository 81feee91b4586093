import { execFile } from "node:child_process";
import { copyFile, mkdir, rm } from "node:fs/promises";
import { arch, platform } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { installFolder } from "./install-folder.ts";
import type { Installer } from "./installer.ts";

/** The last line of Redis under the BSD licence that still gets fixes. */
const version = "7.2.11";

/**
 * redis-memory-server's download and compilation of Redis's source, for systems without a package.
 *
 * In a process of its own: it reads its settings from every package.json above the working directory when it is
 * loaded, prints its progress, and checks TLS certificates only when an npm setting in the environment says so.
 */
export const compileRedis: Installer = {
  plan: `downloading and compiling Redis ${version} (a few minutes, once).`,

  async obstacle(findOnPath) {
    if (platform() === "win32") return "Redis cannot be compiled on Windows.";
    if (!(await findOnPath("make"))) return "Redis cannot be compiled: no make on PATH.";
    const hasCompiler = (await findOnPath("cc")) ?? (await findOnPath("gcc")) ?? (await findOnPath("clang"));
    return hasCompiler ? undefined : "Redis cannot be compiled: no C compiler on PATH.";
  },

  async install({ cache, env, signal }) {
    const folder = await installFolder(cache, async (unfinished) => {
      const work = join(unfinished, "work");
      await mkdir(work);
      const args = ["--input-type=commonjs", "--eval", program, fileURLToPath(library), work];
      const { stdout } = await promisify(execFile)(process.execPath, args, {
        cwd: unfinished,
        env: { ...env, npm_config_strict_ssl: "true" },
        signal,
      });
      await copyFile(stdout.trim().split("\n").at(-1) ?? "", join(unfinished, "redis-server"));
      await rm(work, { recursive: true, force: true });
      return `redis-${version}-${platform()}-${arch()}-compiled`;
    });
    return join(folder, "redis-server");
  },
};

const library = import.meta.resolve("redis-memory-server");
const program = `
const [, library, downloadDir] = process.argv;
require(library)
  .RedisBinary.getPath({ downloadDir, version: ${JSON.stringify(version)}, systemBinary: "" })
  .then((path) => console.log(path), (error) => { console.error(error); process.exitCode = 1; });
`;
