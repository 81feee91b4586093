import { TRPCError } from "@trpc/server";
import { expect, test } from "vitest";
import type { OpenApiMethod, Operation } from "./operations.ts";
import { createPathTable } from "./path-table.ts";

function operation(method: OpenApiMethod, path: `/${string}`): Operation {
  return {
    procedure: `${method} ${path}`,
    type: "query",
    method,
    path,
    meta: { method, path },
    pathParameters: [],
    input: undefined,
    schema: undefined,
    isInputOptional: true,
    output: undefined,
  };
}

function tableOf(...places: [OpenApiMethod, `/${string}`][]) {
  const table = createPathTable(places.map(([method, path]) => operation(method, path)));
  return (method: OpenApiMethod, path: string) => {
    const found = table.find(path)?.methods.get(method);
    return found && [found.operation.path, Object.fromEntries(found.parameters)];
  };
}

test("a static segment goes before a parameter, whatever the order they were written in", () => {
  const find = tableOf(["GET", "/{a}/{b}"], ["GET", "/{a}/x"], ["GET", "/x/{b}"], ["GET", "/x/x"]);
  expect(find("GET", "/x/x")).toEqual(["/x/x", {}]);
  expect(find("GET", "/x/y")).toEqual(["/x/{b}", { b: "y" }]);
  expect(find("GET", "/y/x")).toEqual(["/{a}/x", { a: "y" }]);
  expect(find("GET", "/y/z")).toEqual(["/{a}/{b}", { a: "y", b: "z" }]);
});

test("a static path of one method does not hide a parameter of another", () => {
  const find = tableOf(["POST", "/agents/register"], ["GET", "/agents/{id}"]);
  expect(find("POST", "/agents/register")).toEqual(["/agents/register", {}]);
  expect(find("GET", "/agents/register")).toEqual(["/agents/{id}", { id: "register" }]);
  expect(find("POST", "/agents/other")).toBeUndefined();
});

test("all methods of a path are known, for Allow", () => {
  const table = createPathTable([operation("GET", "/a/{b}"), operation("POST", "/a/b"), operation("PUT", "/c")]);
  expect([...(table.find("/a/b")?.methods.keys() ?? [])].sort()).toEqual(["GET", "POST"]);
  expect([...(table.find("/a/c")?.methods.keys() ?? [])]).toEqual(["GET"]);
  expect(table.find("/d")).toBeUndefined();
});

test("each segment is decoded by itself, so that an escaped slash stays inside", () => {
  const find = tableOf(["GET", "/files/{name}"], ["GET", "/files/{folder}/{name}"], ["GET", "/straße"]);
  expect(find("GET", "/files/a%2Fb")).toEqual(["/files/{name}", { name: "a/b" }]);
  expect(find("GET", "/files/a/b")).toEqual(["/files/{folder}/{name}", { folder: "a", name: "b" }]);
  expect(find("GET", "/files/%E2%82%AC%20%2B+")).toEqual(["/files/{name}", { name: "€ ++" }]);
  expect(find("GET", "/files/a%0Ab")).toEqual(["/files/{name}", { name: "a\nb" }]);
  expect(find("GET", "/files/%7Bname%7D")).toEqual(["/files/{name}", { name: "{name}" }]);
  expect(find("GET", "/stra%C3%9Fe")).toEqual(["/straße", {}]);
  expect(find("GET", "/%66iles/a")).toEqual(["/files/{name}", { name: "a" }]);
});

test.each(["/files/%", "/files/%zz", "/files/%FF", "/unknown/%E2%82"])("the escapes of %s are refused", (path) => {
  const table = createPathTable([operation("GET", "/files/{name}")]);
  expect(() => table.find(path)).toThrow(TRPCError);
  expect(() => table.find(path)).toThrow("The path has a percent sign that starts no valid escape.");
});

test("one slash at the end is tolerated, and no empty segment is", () => {
  const find = tableOf(["GET", "/a/{b}"], ["GET", "/"], ["POST", "/c/"]);
  expect(find("GET", "/a/b/")).toEqual(["/a/{b}", { b: "b" }]);
  expect(find("POST", "/c")).toEqual(["/c/", {}]);
  expect(find("GET", "/")).toEqual(["/", {}]);
  for (const path of ["/a/b//", "//a/b", "/a//b", "/a//", "//"]) expect(find("GET", path), path).toBeUndefined();
});

test("paths tell upper from lower case", () => {
  const find = tableOf(["GET", "/Users"]);
  expect(find("GET", "/users")).toBeUndefined();
});

test("a parameter may be a part of its segment, and is then less free than one that is all of it", () => {
  const find = tableOf(["GET", "/{id}"], ["GET", "/{id}.json"], ["GET", "/v{version}"], ["GET", "/run:stop"]);
  expect(find("GET", "/7")).toEqual(["/{id}", { id: "7" }]);
  expect(find("GET", "/7.json")).toEqual(["/{id}.json", { id: "7" }]);
  expect(find("GET", "/.json")).toEqual(["/{id}", { id: ".json" }]);
  expect(find("GET", "/v2")).toEqual(["/v{version}", { version: "2" }]);
  expect(find("GET", "/run:stop")).toEqual(["/run:stop", {}]);
});

test("names such as __proto__ are names like any other", () => {
  const table = createPathTable([operation("GET", "/{__proto__}/{constructor}")]);
  const parameters = table.find("/a/b")?.methods.get("GET")?.parameters;
  expect([...(parameters ?? [])]).toEqual([
    ["__proto__", "a"],
    ["constructor", "b"],
  ]);
});

test("a base path stands before every path", () => {
  const table = createPathTable([operation("GET", "/a"), operation("GET", "/")], "/base/v1");
  expect(table.find("/base/v1/a")?.methods.size).toBe(1);
  expect(table.find("/base/v1")?.methods.size).toBe(1);
  expect(table.find("/base/v1/")?.methods.size).toBe(1);
  expect(table.find("/a")).toBeUndefined();
  expect(table.find("/base/v1a")).toBeUndefined();
  expect(createPathTable([operation("GET", "/a")], "/").find("/a")?.methods.size).toBe(1);
});
