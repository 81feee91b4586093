/**
 * zod schemas as JSON Schema, with those that have a name as components.
 *
 * While operations are being written, a reference says which flavour it means (`#/$named/input/Run`), since what a
 * caller may leave out because of a default is always there in an answer. `finish` compares the flavours of each name
 * that the document uses: where they are the same there is one component, else `Run` for the output and `RunInput`.
 */
import type { z } from "zod";
import type { JsonSchema } from "./openapi.ts";
import { toPlainJsonSchema } from "./plain-json-schema.ts";
import { mapRefs, refsOf } from "./refs.ts";
import { createSchemaNaming } from "./schema-naming.ts";
import { applyTexts, type SchemaTexts } from "./schema-texts.ts";

/** What a caller sends, or what it gets. */
export type Flavour = "input" | "output";

export interface SchemaWriter {
  /** A schema without a name that refers to itself becomes a component too, called after `hint`. */
  write(schema: z.core.$ZodType, flavour: Flavour, hint: string): JsonSchema;
  /** What a reference of `write` leads to; anything else is given back as it is. */
  resolve(schema: JsonSchema): JsonSchema;
  /** Settles all references of `document`, and gives the components that it needs, by name. */
  finish<Document>(document: Document): { document: Document; schemas: Record<string, JsonSchema> };
}

export interface SchemaNames {
  readonly schemas: Readonly<Record<string, z.core.$ZodType>>;
  readonly texts: Readonly<Record<string, SchemaTexts>>;
}

export function createSchemaWriter({ schemas, texts }: SchemaNames): SchemaWriter {
  const naming = createSchemaNaming(schemas);
  const definitions: Definitions = new Map();

  function write(schema: z.core.$ZodType, flavour: Flavour, hint: string): JsonSchema {
    const { $defs = {}, ...root } = toPlainJsonSchema(schema, flavour, naming);
    const nameOf = (id: string) => (id.startsWith("__schema") ? id.replace("__schema", `${hint}Part`) : id);
    const place = (json: JsonSchema) =>
      mapRefs(json, (ref) => toPlaceholder(flavour, ref === "#" ? hint : nameOf(ref.slice("#/$defs/".length))));

    for (const [id, definition] of Object.entries($defs)) {
      const name = nameOf(id);
      if (!/^[\w.-]+$/.test(name)) throw new Error(`A component cannot be called ${name}.`);
      definitions.set(toPlaceholder(flavour, name), applyTexts(place(definition), texts[name]));
    }
    if (!refsOf([root, $defs]).has("#")) return place(root);
    definitions.set(toPlaceholder(flavour, hint), place(root));
    return { $ref: toPlaceholder(flavour, hint) };
  }

  return {
    write,
    resolve: (schema) => definitions.get(schema.$ref ?? "") ?? schema,
    finish(document) {
      const used = reachable(document, definitions);
      const names = nameFlavours(used, definitions);
      const settle = <T>(json: T): T =>
        mapRefs(json, (ref) => (names.has(ref) ? `#/components/schemas/${names.get(ref)}` : ref));
      const entries = [...names].map(([ref, name]) => [name, settle(definitions.get(ref) ?? {})] as const);
      return { document: settle(document), schemas: Object.fromEntries(entries.sort(byName)) };
    },
  };
}

/** By placeholder. */
type Definitions = Map<string, JsonSchema>;

const prefix = "#/$named/";
const toPlaceholder = (flavour: Flavour, name: string) => `${prefix}${flavour}/${name}`;
const nameIn = (placeholder: string) => placeholder.slice(placeholder.lastIndexOf("/") + 1);
const isInput = (placeholder: string) => placeholder.startsWith(`${prefix}input/`);
const byName = ([a]: readonly [string, unknown], [b]: readonly [string, unknown]) => (a < b ? -1 : 1);

function reachable(document: unknown, definitions: Definitions): Set<string> {
  const found = new Set<string>();
  const waiting = [...refsOf(document)];
  for (let ref = waiting.pop(); ref !== undefined; ref = waiting.pop()) {
    if (found.has(ref) || !definitions.has(ref)) continue;
    found.add(ref);
    waiting.push(...refsOf(definitions.get(ref)));
  }
  return found;
}

function nameFlavours(used: ReadonlySet<string>, definitions: Definitions): Map<string, string> {
  const taken = new Set([...used].map(nameIn));
  const split = findSplit(used, definitions);
  const named = new Map<string, string>();
  for (const ref of used) {
    const name = nameIn(ref);
    if (!isInput(ref) || !split.has(name)) {
      named.set(ref, name);
      continue;
    }
    if (taken.has(`${name}Input`)) {
      throw new Error(`${name} differs as input and output, and ${name}Input is another schema. Rename one of them.`);
    }
    named.set(ref, `${name}Input`);
  }
  return named;
}

/** The names whose flavours are both used and differ, in themselves or in what they refer to. */
function findSplit(used: ReadonlySet<string>, definitions: Definitions): Set<string> {
  const both = [...used].filter((ref) => isInput(ref) && used.has(toPlaceholder("output", nameIn(ref)))).map(nameIn);
  const split = new Set<string>();
  const said = (flavour: Flavour, name: string) =>
    JSON.stringify(
      mapRefs(definitions.get(toPlaceholder(flavour, name)), (ref) => (split.has(nameIn(ref)) ? ref : nameIn(ref))),
    );
  for (let size = -1; size !== split.size; ) {
    size = split.size;
    for (const name of both) if (said("input", name) !== said("output", name)) split.add(name);
  }
  return split;
}
