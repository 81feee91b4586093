/** A page that Vite builds or serves, each by the npm script that people run, on an origin that is not the daemon's. */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join } from "node:path";
import { promisify, stripVTControlCharacters } from "node:util";
import { createTempFolder, until } from "@ksi/testing";

export interface Site extends AsyncDisposable {
  readonly origin: string;
}

/** Of the tests it would inherit `test`, for which React builds itself with its warnings. */
const env = { ...process.env, NODE_ENV: undefined };

/** What `npm run build` makes of it, in a folder of the test's own. */
export async function buildSite(cwd: string): Promise<Site> {
  await using stack = new AsyncDisposableStack();
  const { path } = stack.use(await createTempFolder("ksi-site-"));
  await promisify(execFile)("npm", ["run", "build", "--", "--outDir", path, "--emptyOutDir"], { cwd, env });
  const { origin } = stack.use(await serve(path));
  const owned = stack.move();
  return { origin, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** `npm run dev`, on a free port. */
export async function startDevSite(cwd: string): Promise<Site> {
  const npm = spawn("npm", ["run", "dev", "--", "--host", "127.0.0.1", "--port", "0"], {
    cwd,
    env,
    detached: true, // a group of its own, since npm does not end what it started
    stdio: ["ignore", "pipe", "inherit"],
  });
  const closed = once(npm, "close");
  let output = "";
  npm.stdout.setEncoding("utf8").on("data", (text: string) => {
    output += stripVTControlCharacters(text);
  });
  const stop = async () => {
    if (npm.pid && npm.exitCode === null) process.kill(-npm.pid, "SIGTERM");
    await closed;
  };
  try {
    const origin = await until(() => /http:\/\/127\.0\.0\.1:\d+/.exec(output)?.[0], {
      message: "Vite says its address",
    });
    return { origin, [Symbol.asyncDispose]: stop };
  } catch (error) {
    await stop();
    throw new Error(`Vite did not start: ${output}`, { cause: error });
  }
}

const types: Record<string, string> = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css" };

/** The files of a folder. */
async function serve(folder: string): Promise<Site> {
  const server = createServer(({ url = "/" }, response) => {
    const { pathname } = new URL(url, "http://site"); // resolves every `..`
    const path = pathname === "/" ? "/index.html" : pathname;
    readFile(join(folder, path)).then(
      (content) => response.setHeader("content-type", types[extname(path)] ?? "application/octet-stream").end(content),
      () => response.writeHead(404).end(),
    );
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}
