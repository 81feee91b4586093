import { expect, test } from "vitest";
import { createRequestGuard } from "./request-guard.ts";

const guard = createRequestGuard({
  host: "127.0.0.1",
  allowed_hosts: ["ksi.example.com"],
  allowed_origins: ["http://localhost:5173"],
});

test.each(["127.0.0.1:8000", "localhost:8000", "LOCALHOST", "[::1]:8000", "ksi.example.com"])(
  "Host %s is one of the daemon's",
  (host) => {
    expect(guard.refusal({ host, origin: undefined })).toBeUndefined();
  },
);

test.each([
  undefined,
  "",
  "evil.example",
  "localhost.evil.example",
  "evil.example@localhost",
  "localhost:99999",
  "192.168.0.1",
  "ksi.example.com.",
])("Host %s is refused", (host) => {
  expect(guard.refusal({ host, origin: undefined })).toMatchObject({ code: "FORBIDDEN" });
});

test.each([
  ["127.0.0.1:8000", "http://127.0.0.1:8000"],
  ["ksi.example.com", "https://ksi.example.com"],
  ["127.0.0.1:8000", "http://localhost:5173"],
])("on Host %s a page of %s may call", (host, origin) => {
  expect(guard.refusal({ host, origin })).toBeUndefined();
});

test.each(["http://evil.example", "null", "http://localhost:5174", "http://127.0.0.1", "file://127.0.0.1:8000", ""])(
  "a page of %j may not call",
  (origin) => {
    expect(guard.refusal({ host: "127.0.0.1:8000", origin })).toMatchObject({ code: "FORBIDDEN" });
  },
);

test("a daemon that listens everywhere can be called by any address, and by no unknown name", () => {
  const open = createRequestGuard({ host: "0.0.0.0", allowed_hosts: [], allowed_origins: [] });
  expect(open.refusal({ host: "192.168.0.1:8000", origin: undefined })).toBeUndefined();
  expect(open.refusal({ host: "evil.example", origin: undefined })).toBeDefined();
});
