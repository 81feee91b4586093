import { createKsiClient, type KsiClient } from "@ksi/client";
import { type DaemonProcess, startDaemonProcess } from "@ksi/testing";
import { agentBin } from "./direct.ts";

export interface BenchDaemon extends DaemonProcess {
  readonly client: KsiClient;
}

/** The daemon in a process of its own, with the scripted agent in the place of `claude`. */
export async function startBenchDaemon(dataDir: string, env: NodeJS.ProcessEnv = {}): Promise<BenchDaemon> {
  const common = { KSI_CLAUDE_BIN: agentBin, KSI_LOG_LEVEL: "warn" };
  const daemon = await startDaemonProcess({ dataDir, env: { ...common, ...env } });
  const client = createKsiClient(daemon);
  return {
    ...daemon,
    client,
    [Symbol.asyncDispose]: async () => {
      await client.close();
      await daemon[Symbol.asyncDispose]();
    },
  };
}
