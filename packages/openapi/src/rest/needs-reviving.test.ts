import { expect, test } from "vitest";
import { z } from "zod";
import { needsReviving } from "./needs-reviving.ts";

const revived = [z.date(), z.bigint(), z.set(z.string()), z.map(z.string(), z.string())];
const places: [string, (inner: z.ZodType) => z.ZodType][] = [
  ["a field", (inner) => z.object({ a: z.object({ b: inner }) })],
  ["a catchall", (inner) => z.object({}).catchall(inner)],
  ["an item", (inner) => z.array(inner)],
  ["a tuple", (inner) => z.tuple([z.string(), inner])],
  ["the rest of a tuple", (inner) => z.tuple([z.string()], inner)],
  ["a record", (inner) => z.record(z.string(), inner)],
  ["an option", (inner) => z.union([z.string(), inner])],
  ["a side", (inner) => z.intersection(z.unknown(), inner)],
  ["an optional", (inner) => z.catch(z.readonly(z.nullish(inner)), "")],
  ["a pipe", (inner) => inner.transform(String).pipe(z.string())],
  ["a preprocess", (inner) => z.preprocess((value) => value, inner)],
  ["a lazy", (inner) => z.lazy(() => inner)],
];

test.each(places)("%s may hold what JSON cannot", (_name, place) => {
  for (const inner of revived) expect(needsReviving(place(inner))).toBe(true);
  expect(needsReviving(place(z.json()))).toBe(false);
});

test("a schema that refers to itself is searched once", () => {
  const tree: z.ZodType = z.lazy(() => z.object({ kids: z.array(tree) }));
  const dated: z.ZodType = z.lazy(() => z.object({ kids: z.array(dated), at: z.date() }));
  expect(needsReviving(tree)).toBe(false);
  expect(needsReviving(dated)).toBe(true);
});

test("a schema that makes new ones for ever is given up on", () => {
  const make = (): z.ZodType => z.object({ kids: z.array(z.lazy(make)) });
  expect(needsReviving(make())).toBe(true);
});
