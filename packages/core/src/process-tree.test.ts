import { spawn } from "node:child_process";
import { isAlive, until } from "@ksi/testing";
import { expect, test } from "vitest";
import { createProcessTree, endTree } from "./process-tree.ts";

test("a tree holds children, grandchildren in other sessions, and those that lost their parent", async () => {
  await using root = startShell("setsid sleep 61 & (setsid sh -c 'sleep 62 & exit 0' &) ; sleep 63");
  const tree = createProcessTree(root.marker);
  tree.add(root.pid);
  const pids = await until(async () => {
    const found = await tree.find();
    return found.length >= 4 && found;
  });
  expect(pids[0]).toBe(root.pid);
  expect(await endTree(tree, [{ signal: "SIGKILL", waitMs: 5_000 }])).toBe(true);
  expect(pids.filter(isAlive)).toEqual([]);
});

test("a descendant that dropped the marker is still known after its parent is gone", async () => {
  await using root = startShell("env -i setsid sleep 64 & read line");
  const tree = createProcessTree(root.marker);
  tree.add(root.pid);
  const [, sleeper] = await until(async () => {
    const found = await tree.find();
    return found.length === 2 && found;
  });
  root.release();
  await until(() => !isAlive(root.pid));
  expect(await tree.find()).toEqual([sleeper]);
  expect(await endTree(tree, [{ signal: "SIGTERM", waitMs: 5_000 }])).toBe(true);
});

test("a harder signal follows only for whoever ignores the one before", async () => {
  await using root = startShell("trap '' INT; sleep 65 & trap '' TERM; while :; do wait; done");
  const tree = createProcessTree(root.marker);
  tree.add(root.pid);
  await until(async () => (await tree.find()).length === 2);
  const soft = [
    { signal: "SIGINT", waitMs: 50 },
    { signal: "SIGTERM", waitMs: 50 },
  ] as const;
  expect(await endTree(tree, soft)).toBe(false);
  expect(await endTree(tree, [{ signal: "SIGKILL", waitMs: 5_000 }])).toBe(true);
});

test("somebody else's processes are no part of a tree", async () => {
  await using root = startShell("sleep 66");
  await using other = startShell("sleep 67");
  const tree = createProcessTree(root.marker);
  tree.add(root.pid);
  const found = await tree.find();
  expect(found).toContain(root.pid);
  expect(found).not.toContain(other.pid);
  expect(found).not.toContain(process.pid);
});

let shells = 0;

function startShell(script: string) {
  const marker = `KSI_TEST_TREE=${process.pid}.${++shells}.`;
  const [name = "", value] = marker.split("=");
  const child = spawn("sh", ["-c", script], {
    detached: true,
    stdio: ["pipe", "ignore", "ignore"],
    env: { PATH: process.env.PATH, [name]: value },
  });
  const { pid } = child;
  if (pid === undefined) throw new Error("sh could not be started");
  return {
    pid,
    marker,
    release: () => void child.stdin.end("\n"),
    async [Symbol.asyncDispose]() {
      const tree = createProcessTree(marker);
      tree.add(pid);
      await endTree(tree, [{ signal: "SIGKILL", waitMs: 5_000 }]);
    },
  };
}
