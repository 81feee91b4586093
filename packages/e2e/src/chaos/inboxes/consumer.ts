/** A consumer's process, as it is seen from the scenario. */
import { fork } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import type { Part } from "../kills/supervised.ts";

export interface ConsumerOrders {
  /** Of the server that it is connected to. */
  readonly url: string;
  readonly token: string;
  readonly agent_id: string;
  readonly mode: "each" | "shared";
  /** The file in which it writes down what it is given. */
  readonly journal: string;
  readonly seed: number;
}

export async function startConsumer(orders: ConsumerOrders): Promise<Part> {
  const script = fileURLToPath(new URL("consumer-process.ts", import.meta.url));
  const child = fork(script, [JSON.stringify(orders)], { stdio: ["ignore", "inherit", "inherit", "ipc"] });
  const exited = once(child, "exit");
  await Promise.race([once(child, "message"), exited]);
  return {
    pid: child.pid ?? 0,
    exited,
    async end() {
      child.kill("SIGKILL");
      await exited;
    },
  };
}

export interface JournalLine {
  readonly id: string;
  readonly source: string;
  readonly number: number;
}

/** Empty where it was given nothing. A last line that was cut off by the kill was not acknowledged, and counts not. */
export async function readJournal(path: string): Promise<JournalLine[]> {
  const text = await readFile(path, "utf8").catch(() => "");
  return text
    .split("\n")
    .slice(0, -1)
    .map((line) => {
      const [id = "", source = "", number] = line.split(" ");
      return { id, source, number: Number(number) };
    });
}
