/** A program: the daemon, as `ksi serve` starts it. */
import { type Daemon, loadConfig, startDaemon } from "@ksi/server";
import { answerAsServer } from "./server.ts";

const token = "benchmarks-have-no-secrets";
let daemon: Daemon | undefined;

answerAsServer(
  async ({ redisPath, dataDir, port }) => {
    const flags = { port, data_dir: dataDir, redis_url: `unix://${redisPath}`, token, log_level: "warn" };
    const { config } = await loadConfig({ flags, env: {}, cwd: dataDir });
    daemon = await startDaemon(config);
    return { url: daemon.url, headers: { authorization: `Bearer ${token}` } };
  },
  async () => daemon?.close({ deadlineMs: 0 }),
);
