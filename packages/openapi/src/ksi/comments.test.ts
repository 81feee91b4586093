import { expect, test } from "vitest";
import { readComments } from "../../scripts/read-comments.ts";

const read = (...texts: string[]) => readComments(texts.map((text, i) => ({ name: `${i}.ts`, text })));

test("a schema has the text before it, and its fields theirs", () => {
  const text = `
    /** Of the file. */
    import { z } from "zod";

    /**
     * A run, in \`runs:{run_id}\`
     * and elsewhere.
     *
     * For programmers: {@link z}.
     */
    export const run = z.object({
      /** Of the {@link run}. */
      id: z.string(),
      plain: z.string(),
      // Not a doc comment.
      other: z.string(),
      /** Where. */
      place: z.object({ /** Its depth. */ depth: z.number() }).optional(),
    });
  `;
  expect(read(text).run).toEqual({
    description: "A run, in `runs:{run_id}` and elsewhere.",
    properties: {
      id: { description: "Of the run." },
      plain: {},
      other: {},
      place: { description: "Where.", properties: { depth: { description: "Its depth." } } },
    },
  });
});

test("fields that come from elsewhere bring their text along", () => {
  const base = "export const base = z.object({ /** An id. */ id: z.string(), /** A name. */ name: z.string() });";
  const next = `
    const header = { /** When. */ at: z.string() };
    export const extended = base.extend({ /** Another name. */ name: z.string() });
    export const spread = z.object({ ...header, ...base.shape });
    export const same = base;
  `;
  const { extended, spread, same } = read(base, next);
  expect(extended?.properties).toEqual({ id: { description: "An id." }, name: { description: "Another name." } });
  expect(Object.keys(spread?.properties ?? {})).toEqual(["at", "id", "name"]);
  expect(same?.properties?.name).toEqual({ description: "A name." });
});

test("options of a union, words of a list and members of an interface are found by name", () => {
  const comments = read(`
    export const event = z.discriminatedUnion("event_type", [
      z.object({ event_type: z.literal("run.text"), /** What it says. */ payload: z.string() }),
      /** The end. */
      z.object({ event_type: z.literal("run.completed") }),
    ]);
    export const codes = [/** No. */ "NO", "YES"] as const;
    export interface Details { /** When. */ at?: string }
  `);
  expect(comments["event_type=run.text"]?.properties?.payload).toEqual({ description: "What it says." });
  expect(comments["event_type=run.completed"]?.description).toBe("The end.");
  expect(comments.codes?.properties).toEqual({ NO: { description: "No." }, YES: {} });
  expect(comments.Details?.properties).toEqual({ at: { description: "When." } });
});

test("a source that cannot be parsed is named", () => {
  expect(() => read("export const = 1;")).toThrow(/^0\.ts: /);
});
