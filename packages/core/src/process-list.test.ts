import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createTempFolder, until } from "@ksi/testing";
import { expect, test } from "vitest";
import { createProcessList, listWithPs, type ProcessInfo } from "./process-list.ts";

test("a process is listed with its parent, its group and the entry that it was given", async () => {
  await using sleeper = startSleeper("KSI_TEST_LIST", "7.a=b");
  const expected = { pid: sleeper.pid, parent: process.pid, group: sleeper.pid, tag: "7.a=b" };
  const find = (processes: readonly ProcessInfo[]) => processes.find(({ pid }) => pid === sleeper.pid);
  expect(find(await createProcessList("KSI_TEST_LIST").look())).toMatchObject(expected);
  expect(find(await createProcessList("KSI_TEST").look())).toMatchObject({ ...expected, tag: undefined });
});

test.skipIf(process.platform !== "linux")(
  "of a chain of processes, each of which starts the next and ends, one is found by every look",
  async () => {
    await using chain = await startChain("KSI_TEST_LIST", "9.a=b");
    const list = createProcessList("KSI_TEST_LIST");
    const find = (processes: readonly ProcessInfo[]) => processes.filter(({ tag }) => tag === "9.a=b");
    for (let looks = 0; looks < 100; looks++) {
      const found = find(await list.look());
      if (chain.isOver()) break;
      expect(found, `look ${looks}`).not.toEqual([]);
    }
  },
);

test("ps tells the same as /proc, where there is no /proc", async () => {
  await using sleeper = startSleeper("KSI_TEST_LIST", "8.a=b");
  const listed = (await listWithPs({ tagName: "KSI_TEST_LIST" })).find(({ pid }) => pid === sleeper.pid);
  expect(listed).toMatchObject({ parent: process.pid, group: sleeper.pid, tag: "8.a=b" });
});

test("all who ask before a look begins share it, at the widest, and none gets one that began before", async () => {
  const looks: { since: number; end: PromiseWithResolvers<ProcessInfo[]> }[] = [];
  const list = createProcessList("KSI_TEST_LIST", ({ since }) => {
    const end = Promise.withResolvers<ProcessInfo[]>();
    looks.push({ since, end });
    return end.promise;
  });
  const first = [list.look("9"), list.look("7")];
  await Promise.resolve();
  expect(looks).toMatchObject([{ since: 7 }]);
  const later = [list.look("3"), list.look()];
  looks[0]?.end.reject(new Error("not readable"));
  for (const look of first) await expect(look).rejects.toThrow("not readable");
  expect(looks).toMatchObject([{ since: 7 }, { since: 0 }]);
  looks[1]?.end.resolve([]);
  expect(await Promise.all(later)).toEqual([[], []]);
});

/** Links of some milliseconds each, for some seconds at most. */
async function startChain(name: string, value: string) {
  const folder = await createTempFolder();
  const [link, stop] = [join(folder.path, "link"), join(folder.path, "stop")];
  const script = `#!/bin/sh\n[ $1 -gt 5000 ] || [ -e '${stop}' ] && exec touch '${stop}.ped'\nsetsid "$0" $(($1 + 1)) &\n`;
  await writeFile(link, script, { mode: 0o755 });
  const env = { PATH: process.env.PATH, [name]: value };
  const first = spawn(link, ["1"], { detached: true, stdio: "ignore", env });
  await once(first, "exit");
  return {
    isOver: () => existsSync(`${stop}.ped`),
    async [Symbol.asyncDispose]() {
      await writeFile(stop, "");
      await until(() => existsSync(`${stop}.ped`));
      await folder[Symbol.asyncDispose]();
    },
  };
}

function startSleeper(name: string, value: string) {
  const child = spawn("sleep", ["68"], {
    detached: true,
    stdio: "ignore",
    env: { PATH: process.env.PATH, [name]: value },
  });
  const { pid } = child;
  if (pid === undefined) throw new Error("sleep could not be started");
  const gone = new Promise((resolve) => child.once("exit", resolve));
  return {
    pid,
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await gone;
    },
  };
}
