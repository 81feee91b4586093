/**
 * The doc comments of schemas, where TypeScript users see them on hover, as texts for the document: so that nothing is
 * written twice. Reads the source, since a comment is not there any more when the schema is loaded.
 */

import type { Expression, Node, ObjectExpression, Statement } from "@oxc-project/types";
import { parseSync } from "oxc-parser";
import type { SchemaTexts } from "../src/document/schema-texts.ts";

/** By the name of a constant or interface; of an option of a discriminated union, by `event_type=run.text`. */
export type Comments = Record<string, SchemaTexts>;

export interface Source {
  readonly name: string;
  readonly text: string;
}

/**
 * Follows `z.object({ … })`, `.extend({ … })`, `...other.shape` and `...fields` over all `sources`, which are in the order
 * in which they import each other. Of an array of strings each string is a property. Only the first paragraph of a
 * comment is taken: the others speak to programmers.
 */
export function readComments(sources: readonly Source[]): Comments {
  const comments: Comments = {};
  for (const source of sources) {
    const { program, comments: found, errors } = parseSync(source.name, source.text);
    const [error] = errors;
    if (error) throw new Error(`${source.name}: ${error.message}`);
    const blocks = new Map(found.filter(isDocComment).map(({ value, end }) => [end, toText(value)]));
    const reader = new Reader(comments, (node) => commentBefore(node, source.text, blocks));
    for (const statement of program.body) reader.readStatement(statement);
  }
  return comments;
}

class Reader {
  readonly #known: Comments;
  readonly #commentOf: (node: Node) => string | undefined;

  constructor(known: Comments, commentOf: (node: Node) => string | undefined) {
    this.#known = known;
    this.#commentOf = commentOf;
  }

  readStatement(statement: Statement): void {
    const declaration = statement.type === "ExportNamedDeclaration" ? statement.declaration : statement;
    const comment = this.#commentOf(statement);
    if (declaration?.type === "VariableDeclaration") {
      for (const { id, init } of declaration.declarations) {
        if (id.type === "Identifier" && init) this.#known[id.name] = { ...this.#read(init), ...describe(comment) };
      }
    }
    if (declaration?.type === "TSInterfaceDeclaration") {
      const members = declaration.body.body.flatMap((member): [string, SchemaTexts][] =>
        member.type === "TSPropertySignature" && member.key.type === "Identifier"
          ? [[member.key.name, describe(this.#commentOf(member))]]
          : [],
      );
      this.#known[declaration.id.name] = { ...describe(comment), properties: Object.fromEntries(members) };
    }
  }

  #read(expression: Node): SchemaTexts {
    switch (expression.type) {
      case "Identifier":
        return this.#known[expression.name] ?? {};
      case "ObjectExpression":
        return { properties: this.#readFields(expression) };
      case "ArrayExpression":
        return { properties: this.#readWords(expression.elements) };
      case "TSAsExpression":
      case "TSSatisfiesExpression":
        return this.#read(expression.expression);
      case "MemberExpression":
        return this.#read(expression.object);
      case "CallExpression":
        return this.#readCall(expression.callee, expression.arguments);
      default:
        return {};
    }
  }

  /** What wraps a schema (`.optional()`) says the same; `z.array(…)` and the like say nothing of their own. */
  #readCall(callee: Expression, args: readonly Node[]): SchemaTexts {
    if (callee.type !== "MemberExpression" || callee.property.type !== "Identifier") return {};
    const [first, second] = args;
    const method = callee.property.name;
    if (isZod(callee.object)) {
      if (method === "discriminatedUnion") this.#readOptions(first, second);
      return /^(object|looseObject|strictObject)$/.test(method) && first ? this.#read(first) : {};
    }
    const base = this.#read(callee.object);
    if (method !== "extend" || !first) return base;
    return { properties: { ...base.properties, ...this.#read(first).properties } };
  }

  #readFields({ properties }: ObjectExpression): Record<string, SchemaTexts> {
    const fields: Record<string, SchemaTexts> = {};
    for (const property of properties) {
      if (property.type === "SpreadElement") {
        Object.assign(fields, this.#read(property.argument).properties);
      } else if (property.key.type === "Identifier") {
        // Of a schema with a name the document has a component, which says the rest.
        const { properties: inner } = property.value.type === "Identifier" ? {} : this.#read(property.value);
        const texts = { ...describe(this.#commentOf(property)), ...(inner && { properties: inner }) };
        fields[property.key.name] = texts;
      }
    }
    return fields;
  }

  #readWords(elements: readonly (Node | null)[]): Record<string, SchemaTexts> {
    const words = elements.flatMap((element): [string, SchemaTexts][] =>
      element?.type === "Literal" && typeof element.value === "string"
        ? [[element.value, describe(this.#commentOf(element))]]
        : [],
    );
    return Object.fromEntries(words);
  }

  #readOptions(discriminator: Node | undefined, options: Node | undefined): void {
    if (discriminator?.type !== "Literal" || options?.type !== "ArrayExpression") return;
    for (const option of options.elements) {
      const fields = option?.type === "CallExpression" ? option.arguments[0] : undefined;
      if (!option || fields?.type !== "ObjectExpression") continue;
      const literal = literalOf(fields, String(discriminator.value));
      const texts = { ...this.#read(option), ...describe(this.#commentOf(option)) };
      if (literal !== undefined) this.#known[`${discriminator.value}=${literal}`] = texts;
    }
  }
}

/** The `"a"` of `{ type: z.literal("a") }`. */
function literalOf({ properties }: ObjectExpression, key: string): string | undefined {
  for (const property of properties) {
    if (property.type !== "Property" || property.key.type !== "Identifier" || property.key.name !== key) continue;
    const [literal] = property.value.type === "CallExpression" ? property.value.arguments : [];
    return literal?.type === "Literal" ? String(literal.value) : undefined;
  }
  return undefined;
}

function isZod(node: Node): boolean {
  return node.type === "Identifier" && node.name === "z";
}

function describe(description: string | undefined): SchemaTexts {
  return description === undefined ? {} : { description };
}

function isDocComment({ type, value }: { type: string; value: string }): boolean {
  return type === "Block" && value.startsWith("*");
}

/** The doc comment that ends directly before the node. */
function commentBefore({ start }: Node, source: string, blocks: ReadonlyMap<number, string>): string | undefined {
  return blocks.get(source.slice(0, start).trimEnd().length);
}

function toText(comment: string): string {
  const lines = comment
    .slice(1)
    .split("\n")
    .map((line) => line.replace(/^\s*\*? ?/, "").trimEnd());
  const [first = ""] = lines.join("\n").trim().split("\n\n");
  return first.replaceAll("\n", " ").replace(/\{@link (\w+)\}/g, "$1");
}
