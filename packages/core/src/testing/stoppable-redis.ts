import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createTempFolder, until } from "@ksi/testing";
import { findRedisBinary } from "../redis/binary.ts";
import { askRedis } from "../redis/inline-command.ts";
import { silentLogger } from "./fresh-redis.ts";

export interface StoppableRedis extends AsyncDisposable {
  readonly url: string;
  signal(signal: NodeJS.Signals): void;
  /** Resolves when its process has ended. */
  readonly ended: Promise<unknown>;
}

/** A Redis of somebody else; killed when disposed. On the same folder the next has the same URL. */
export async function startStoppableRedis(
  sharedFolder?: string,
  settings: readonly string[] = [],
): Promise<StoppableRedis> {
  const own = sharedFolder === undefined ? await createTempFolder() : undefined;
  const folder = sharedFolder ?? own?.path ?? "";
  const path = join(folder, "s");
  const binary = await findRedisBinary({ logger: silentLogger });
  const child = spawn(binary, ["--port", "0", "--unixsocket", path, "--dir", folder, "--save", "", ...settings], {
    stdio: "ignore",
  });
  const ended = once(child, "exit");
  await until(async () => (await askRedis(path, "PING")) === "+PONG", { message: "Redis answers" });
  return {
    url: `unix://${path}`,
    signal: (signal) => child.kill(signal),
    ended,
    [Symbol.asyncDispose]: async () => {
      child.kill("SIGKILL");
      await ended;
      await own?.[Symbol.asyncDispose]();
    },
  };
}
