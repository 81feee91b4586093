import { spawn } from "node:child_process";
import { expect, test } from "vitest";
import { createProcessList, listWithPs, type ProcessInfo } from "./process-list.ts";

test("a process is listed with its parent, its group and the entry that it was given", async () => {
  await using sleeper = startSleeper("KSI_TEST_LIST", "7.a=b");
  const expected = { pid: sleeper.pid, parent: process.pid, group: sleeper.pid, tag: "7.a=b" };
  const find = (processes: readonly ProcessInfo[]) => processes.find(({ pid }) => pid === sleeper.pid);
  expect(find(await createProcessList("KSI_TEST_LIST").look())).toMatchObject(expected);
  expect(find(await createProcessList("KSI_TEST").look())).toMatchObject({ ...expected, tag: undefined });
});

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
