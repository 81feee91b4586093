import { spawn } from "node:child_process";
import { once } from "node:events";
import { ksiBin } from "@ksi/testing";

export interface ServeOptions {
  dataDir: string;
  /** Where it stands, and looks for its ksi.config.yaml first. */
  cwd: string;
  /** Added to the environment, of which `KSI_*` is not inherited. */
  env?: Record<string, string>;
  args?: string[];
  /** Whom it runs as; only root may say so. */
  uid?: number | undefined;
}

/** What came of a `ksi serve` that ends by itself; killed, and `code` null, when it is up after 60 s. */
export async function runServe(options: ServeOptions): Promise<{ code: number | null; output: string }> {
  const { dataDir, cwd, env = {}, args = [], uid } = options;
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith("KSI_"));
  const child = spawn(process.execPath, [ksiBin, "serve", "--port", "0", "--data-dir", dataDir, ...args], {
    cwd,
    env: { ...Object.fromEntries(inherited), ...env },
    stdio: ["ignore", "pipe", "pipe"],
    timeout: 60_000,
    killSignal: "SIGKILL",
    ...(uid !== undefined && { uid, gid: uid }),
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
  }
  const [code] = (await once(child, "close")) as [number | null];
  return { code, output };
}
