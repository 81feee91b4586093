/** A program: the daemon, as `ksi serve` starts it. */
import { type Daemon, loadConfig, startDaemon } from "@ksi/server";
import { type Cut, cutScripts } from "./cut-scripts.ts";
import { answerAsServer, type ServerCalls } from "./server.ts";

export interface OurServerCalls extends ServerCalls {
  /** What it was to leave out of its scripts and did not find in one. */
  unmetCuts(): Cut[];
}

const token = "benchmarks-have-no-secrets";
let daemon: Daemon | undefined;
let unmetCuts: OurServerCalls["unmetCuts"] = () => [];

answerAsServer(
  async ({ redisPath, dataDir, port, settings, cuts }) => {
    if (cuts) unmetCuts = cutScripts(cuts);
    const flags = { port, data_dir: dataDir, redis_url: `unix://${redisPath}`, token, log_level: "warn", ...settings };
    const { config } = await loadConfig({ flags, env: {}, cwd: dataDir });
    daemon = await startDaemon(config);
    return { url: daemon.url, headers: { authorization: `Bearer ${token}` } };
  },
  async () => daemon?.close({ deadlineMs: 0 }),
  { unmetCuts: () => unmetCuts() },
);
