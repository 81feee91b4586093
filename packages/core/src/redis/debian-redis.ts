import { execFile } from "node:child_process";
import { chmod, mkdir, readdir, rm, stat, writeFile } from "node:fs/promises";
import { arch, platform } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { installFolder } from "./install-folder.ts";
import type { Installer, InstallOptions } from "./installer.ts";

/**
 * Debian's and Ubuntu's own redis-server, checked by apt's signatures, unpacked beside the libraries that the system
 * lacks. Needs no root: apt works on private state and cache folders, and nothing is installed.
 */
export const unpackDebianRedis: Installer = {
  plan: "getting the distribution's package (a few seconds, once).",

  async obstacle(findOnPath) {
    if (platform() !== "linux") return "The distribution is not Debian or Ubuntu.";
    for (const tool of ["apt-get", "dpkg", "dpkg-deb"]) {
      if (!(await findOnPath(tool))) return `The distribution is not Debian or Ubuntu (no ${tool} on PATH).`;
    }
    return undefined;
  },

  async install(options) {
    const folder = await installFolder(options.cache, (unfinished) => fill(unfinished, options));
    return join(folder, "redis-server");
  },
};

async function fill(folder: string, { env, signal }: InstallOptions): Promise<string> {
  const run = (file: string, args: string[]) =>
    promisify(execFile)(file, args, { env: { ...env, LC_ALL: "C" }, signal });
  const apt = join(folder, "apt");
  await mkdir(join(apt, "state", "lists", "partial"), { recursive: true });
  await mkdir(join(apt, "cache", "archives", "partial"), { recursive: true });
  const privately = [
    `Dir::State=${join(apt, "state")}`,
    // What is installed is still read from the system, so that only what it lacks is downloaded.
    "Dir::State::status=/var/lib/dpkg/status",
    `Dir::Cache=${join(apt, "cache")}`,
    "Debug::NoLocking=true",
    // As root, apt would download as a user who cannot write to our folder.
    "APT::Sandbox::User=root",
    "Acquire::Retries=2",
    "Acquire::http::Timeout=20",
    "Acquire::https::Timeout=20",
  ].flatMap((setting) => ["-o", setting]);
  await run("apt-get", [...privately, "-qq", "update"]);
  const download = ["install", "--download-only", "--reinstall", "--no-install-recommends", "--yes"];
  await run("apt-get", [...privately, "-qq", ...download, "redis-server", "redis-tools"]);

  const archives = join(apt, "cache", "archives");
  const packages = (await readdir(archives)).filter((name) => name.endsWith(".deb"));
  for (const name of packages) await run("dpkg", ["-x", join(archives, name), join(folder, "root")]);
  await rm(apt, { recursive: true, force: true });
  await writeLauncher(folder);
  return `redis-${readVersion(packages)}-${platform()}-${arch()}`;
}

/** A launcher that finds its libraries beside itself, so that the folder can be moved. `exec` keeps the pid. */
async function writeLauncher(folder: string): Promise<void> {
  const libraries = ["usr/lib", "lib"];
  for (const base of ["usr/lib", "lib"]) {
    const entries = await readdir(join(folder, "root", base)).catch(() => []);
    libraries.unshift(...entries.filter((name) => name.includes("-linux-")).map((name) => `${base}/${name}`));
  }
  const path = libraries.map((library) => `$here/root/${library}`).join(":");
  const launcher = `#!/bin/sh
here=$(cd "$(dirname "$0")" && pwd) || exit 1
LD_LIBRARY_PATH="${path}" exec "$here/root/usr/bin/redis-server" "$@"
`;
  await stat(join(folder, "root", "usr", "bin", "redis-server"));
  await writeFile(join(folder, "redis-server"), launcher);
  await chmod(join(folder, "redis-server"), 0o755);
}

/** `redis-server_5%3a7.0.15-1~deb12u5_amd64.deb` → `7.0.15`. */
function readVersion(packages: readonly string[]): string {
  const name = packages.find((file) => file.startsWith("redis-server_")) ?? "";
  return /_(?:\d+%3a)?(\d+(?:\.\d+)+)/.exec(name)?.[1] ?? "unknown";
}
