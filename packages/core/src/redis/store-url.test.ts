import { expect, test } from "vitest";
import { parseStoreUrl } from "./store-url.ts";

test.for([
  ["redis://localhost", { host: "localhost", port: 6379 }, "localhost:6379"],
  ["redis://", { host: "127.0.0.1", port: 6379 }, "127.0.0.1:6379"],
  ["redis://:s%40fe@db:7000/3", { host: "db", port: 7000, db: 3, password: "s@fe" }, "db:7000"],
  ["redis://ksi:pa:ss@[::1]:7000", { host: "::1", port: 7000, username: "ksi", password: "pa:ss" }, "::1:7000"],
  ["rediss://db.example", { host: "db.example", port: 6379, tls: {} }, "db.example:6379"],
  ["unix:///run/my%20redis.sock", { path: "/run/my redis.sock" }, "/run/my redis.sock"],
  ["unix://:pw@/run/redis.sock", { path: "/run/redis.sock", password: "pw" }, "/run/redis.sock"],
  [
    "redis+sentinel://:pw@a,b:26380/primary/1",
    {
      sentinels: [
        { host: "a", port: 26379 },
        { host: "b", port: 26380 },
      ],
      name: "primary",
      db: 1,
      password: "pw",
    },
    "primary (by the Sentinels a,b:26380)",
  ],
] as const)("%s is understood", ([url, options, description]) => {
  expect(parseStoreUrl(url)).toEqual({ options, description });
});

test.for([
  ["nonsense", "is not a URL"],
  ["http://:hush@localhost", "has a scheme that KSI does not know"],
  ["redis://:hush@a,b:7000", "Redis Cluster is not supported yet"],
  ["redis://:hush@a:99999", "has a port that is not between 1 and 65535"],
  ["redis://:hush@a/x", "has a database that is not a number"],
  ["redis://:hush%@a", "has a % that begins no escape"],
  ["unix://:hush@relative.sock", "needs an absolute path"],
  ["redis+sentinel://:hush@a,b", "needs the name of the primary"],
] as const)("%s is refused with what is wrong, without its password", ([url, reason]) => {
  expect(() => parseStoreUrl(url)).toThrow(
    expect.objectContaining({ code: "INVALID_INPUT", message: expect.stringContaining(reason) }),
  );
  expect(() => parseStoreUrl(url)).toThrow(expect.objectContaining({ message: expect.not.stringContaining("hush") }));
});
