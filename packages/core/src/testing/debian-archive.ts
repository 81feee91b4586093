/** An archive of Debian packages on loopback, for the real apt-get and dpkg of this machine. */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { chmod, mkdir, readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { createTempFolder } from "@ksi/testing";

export interface DebianPackage {
  readonly name: string;
  readonly version: string;
  /** Names of others in the archive. */
  readonly depends?: readonly string[];
  /** Text by path; all are executable. */
  readonly files: Readonly<Record<string, string>>;
}

export interface DebianArchive extends AsyncDisposable {
  /** Has apt know this archive alone. */
  readonly env: { readonly APT_CONFIG: string };
}

export async function startDebianArchive(packages: readonly DebianPackage[]): Promise<DebianArchive> {
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(await createTempFolder("ksi-archive-"));
  const files = new Map<string, string | Buffer>();
  const index: string[] = [];
  for (const each of packages) {
    const { name, entry, bytes } = await build(folder.path, each);
    files.set(`/${name}`, bytes);
    index.push(entry);
  }
  files.set("/Packages", index.join("\n"));

  const server = createServer(({ url }, response) => {
    const file = files.get(url?.replace("/./", "/") ?? "");
    response.writeHead(file === undefined ? 404 : 200).end(file);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  stack.defer(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, "close");
  });

  const list = join(folder.path, "sources.list");
  const config = join(folder.path, "apt.conf");
  // It is trusted as it is: whom apt trusts is apt's own.
  await writeFile(list, `deb [trusted=yes] http://127.0.0.1:${(server.address() as AddressInfo).port} ./\n`);
  // Of this machine's settings, such as a proxy, none count: this file is read before them, and says where they are.
  const parts = join(folder.path, "apt.conf.d");
  await mkdir(parts);
  const settings = {
    "Dir::Etc::Parts": parts,
    "Dir::Etc::Main": "/dev/null",
    "Dir::Etc::SourceList": list,
    "Dir::Etc::SourceParts": "-",
    "Acquire::http::Proxy": "DIRECT",
  };
  const lines = Object.entries(settings).map(([name, value]) => `${name} "${value}";\n`);
  await writeFile(config, lines.join(""));
  const owned = stack.move();
  return { env: { APT_CONFIG: config }, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

interface Built {
  readonly name: string;
  readonly bytes: Buffer;
  /** Of the index. */
  readonly entry: string;
}

async function build(folder: string, { name, version, depends = [], files }: DebianPackage): Promise<Built> {
  const root = join(folder, name);
  const control = [
    `Package: ${name}`,
    `Version: ${version}`,
    "Architecture: all",
    "Maintainer: nobody <nobody@example.org>",
    ...(depends.length > 0 ? [`Depends: ${depends.join(", ")}`] : []),
    "Description: made for a test",
  ].join("\n");
  for (const [path, text] of Object.entries({ ...files, "DEBIAN/control": `${control}\n` })) {
    const file = join(root, path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, text);
    await chmod(file, 0o755);
  }
  const deb = `${name}.deb`;
  await promisify(execFile)("dpkg-deb", ["--build", "--root-owner-group", root, join(folder, deb)]);
  const bytes = await readFile(join(folder, deb));
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  return { name: deb, bytes, entry: `${control}\nFilename: ./${deb}\nSize: ${bytes.length}\nSHA256: ${sha256}\n` };
}
