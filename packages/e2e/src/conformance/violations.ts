/** From a value that fits its schema to ones that do not, each wrong in one place. */
import type { ApiDocument, Parameter, Schema } from "./api-document.ts";

export interface Violation {
  /** `priority is "high"`. */
  readonly what: string;
  readonly value: unknown;
}

/** How a value is read by whoever gets it; undefined for what cannot be sent there. */
export type Reading = (value: unknown) => unknown;

/** The violation number `pick` of those that there are, counted round; undefined where there are none. */
export function violate(
  document: ApiDocument,
  schema: Schema,
  value: unknown,
  pick: number,
  read: Reading = (spoiled) => spoiled,
): Violation | undefined {
  const drafts = draftsOf(document, schema, value, []);
  for (let tried = 0; tried < drafts.length; tried++) {
    const draft = drafts[(pick + tried) % drafts.length];
    const spoiled = draft && read(draft.put(draft.make()));
    if (!draft || spoiled === undefined || document.faultsOf(schema, spoiled).length === 0) continue;
    return { what: `${draft.place.join(".") || "it"} ${draft.what}`, value: spoiled };
  }
  return undefined;
}

/** In a URL or header everything is text, and numbers are what looks like one. */
export function readingOfTexts({ name, in: where, schema }: Parameter, document: ApiDocument): Reading {
  const { type } = document.resolve(schema).schema;
  const read = (text: string) => (type === "integer" && /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : text);
  return (value) => {
    const texts = [value].flat().map(String);
    const [only = ""] = texts;
    // These stand for no value where one may be left out.
    if (only === "null" || (only === "" && name === "last_event_id")) return undefined;
    if (texts.length === 0 || (where === "header" && !/^[!-~]([ -~]*[!-~])?$/.test(only))) return undefined;
    // An empty segment and dots make it another path.
    if (where === "path" && /^\.{0,2}$/.test(only)) return undefined;
    if (type === "array") return texts.map(read);
    return texts.length === 1 ? read(only) : undefined;
  };
}

interface Draft {
  readonly place: readonly string[];
  readonly what: string;
  /** Made when it is chosen: some are megabytes. */
  make(): unknown;
  /** Puts what was made into a copy of the whole. */
  put(part: unknown): unknown;
}

/** Some may still fit: another option of a union may take them. */
function draftsOf(document: ApiDocument, given: Schema, value: unknown, place: readonly string[]): Draft[] {
  const { schema } = document.resolve(given);
  const options = [...(schema.anyOf ?? []), ...(schema.oneOf ?? []), ...(schema.allOf ?? [])];
  return [
    ...ownDrafts(schema, value).map(([what, make]): Draft => ({ place, what, make, put: (part) => part })),
    ...options.flatMap((option) => draftsOf(document, option, value, place)),
    ...innerDrafts(document, schema, value, place),
  ];
}

type OwnDraft = readonly [what: string, make: () => unknown];

function ownDrafts(schema: Schema, value: unknown): OwnDraft[] {
  const { maxLength, minimum, maximum, maxItems } = schema;
  const drafts = wrongTypes.map((wrong): OwnDraft => [`is ${JSON.stringify(wrong)}`, () => wrong]);
  if (typeof value === "string") {
    drafts.push(
      ...wrongTexts(value).map((wrong): OwnDraft => [`is ${JSON.stringify(wrong).slice(0, 80)}`, () => wrong]),
    );
  }
  if (maxLength !== undefined) drafts.push([`has ${maxLength + 1} characters`, () => "x".repeat(maxLength + 1)]);
  if (minimum !== undefined) drafts.push([`is ${minimum - 1}`, () => minimum - 1]);
  if (maximum !== undefined) drafts.push([`is ${maximum + 1}`, () => maximum + 1]);
  if (Array.isArray(value) && maxItems !== undefined) {
    drafts.push([`has ${maxItems + 1} items`, () => Array.from({ length: maxItems + 1 }, () => value[0] ?? "x")]);
  }
  return drafts;
}

const wrongTypes = [null, true, "true", 7, "7", 0.5, -1, 1e300, "", "x", [], ["x"], {}, { a: 1 }];

function wrongTexts(value: string): string[] {
  return [
    `${value} `,
    ` ${value}`,
    `${value}\n`,
    `${value}\u0000`,
    `${value}é`,
    value.toUpperCase(),
    `-${value}`,
    "../x",
  ];
}

function innerDrafts(document: ApiDocument, schema: Schema, value: unknown, place: readonly string[]): Draft[] {
  const { properties = {}, required = [], items } = schema;
  if (Array.isArray(value)) {
    if (!items || value.length === 0) return [];
    const inner = draftsOf(document, items, value[0], [...place, "0"]);
    return inner.map((draft) => ({ ...draft, put: (part) => [draft.put(part), ...value.slice(1)] }));
  }
  if (!isFields(value)) return [];
  const without = required.map((name): Draft => {
    const { [name]: _, ...others } = value;
    return { place: [...place, name], what: "is missing", make: () => others, put: (part) => part };
  });
  const spoiled = Object.entries(properties).flatMap(([name, property]) => {
    const inner = draftsOf(document, property, value[name], [...place, name]);
    return inner.map((draft): Draft => ({ ...draft, put: (part) => ({ ...value, [name]: draft.put(part) }) }));
  });
  return [...without, ...spoiled];
}

function isFields(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
