import { readKsiDocument } from "@ksi/openapi/ksi";
import { expect, test } from "vitest";
import { startTestDoors } from "./testing/test-doors.ts";

test("the OpenAPI document is there for everybody, and is not sent twice to whoever has it", async () => {
  await using doors = await startTestDoors();
  const url = `${doors.url}/openapi.json`;
  const answer = await fetch(url);
  expect([answer.status, answer.headers.get("content-type")]).toEqual([200, "application/json"]);
  expect(await answer.text()).toBe(readKsiDocument());
  const etag = answer.headers.get("etag") ?? "";
  expect(etag).toMatch(/^"[\w-]+"$/);
  for (const tag of [etag, `W/${etag}`, `"other", ${etag}`, "*"]) {
    const unchanged = await fetch(url, { headers: { "if-none-match": tag } });
    expect([unchanged.status, await unchanged.text(), unchanged.headers.get("etag")]).toEqual([304, "", etag]);
  }
  expect((await fetch(url, { headers: { "if-none-match": '"other"' } })).status).toBe(200);
});

test("a person who opens the daemon's address is led to the docs page, and a program told that nothing is there", async () => {
  await using doors = await startTestDoors();
  const browser = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8";
  for (const method of ["GET", "HEAD"]) {
    const led = await fetch(doors.url, { method, headers: { accept: browser }, redirect: "manual" });
    expect([led.status, led.headers.get("location")]).toEqual([302, "/docs"]);
  }
  const page = await fetch(doors.url, { headers: { accept: browser } });
  expect([page.status, page.headers.get("content-type")]).toEqual([200, "text/html; charset=utf-8"]);
  for (const accept of ["*/*", "application/json"]) {
    const answer = await fetch(doors.url, { headers: { accept } });
    expect([answer.status, await answer.json()]).toMatchObject([404, { error: { code: "NOT_FOUND" } }]);
  }
  const headers = { accept: browser, origin: "http://evil.example" };
  expect((await fetch(doors.url, { headers, redirect: "manual" })).status).toBe(403);
  expect((await fetch(doors.url, { method: "POST", headers: { accept: browser } })).status).toBe(404);
});

test("the docs page is there for everybody, and may load what it is made of and nothing else", async () => {
  await using doors = await startTestDoors();
  const page = await fetch(`${doors.url}/docs`);
  expect([page.status, page.headers.get("content-type")]).toEqual([200, expect.stringContaining("text/html")]);
  const policy = page.headers.get("content-security-policy");
  expect(policy).toContain("'self'");
  expect(policy).not.toMatch(/https?:|\*/);
  expect(page.headers.get("x-content-type-options")).toBe("nosniff");
  const html = await page.text();
  const assets = [...html.matchAll(/(?:src|href)="([^"#]+)"/g)].map(([, path = ""]) => new URL(path, page.url));
  expect(assets.length).toBeGreaterThan(1);
  for (const asset of assets) {
    expect(asset.origin).toBe(doors.url);
    expect([asset.pathname, (await fetch(asset)).status]).toEqual([asset.pathname, 200]);
  }
  expect((await fetch(`${doors.url}/docs/nothing.js`)).status).toBe(404);
});
