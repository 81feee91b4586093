/** From a schema to what it takes: the part of JSON Schema that the document uses. */
import fc from "fast-check";
import type { ApiDocument, Schema } from "./api-document.ts";
import { textsOf } from "./texts.ts";

/**
 * Changes what is drawn at a place: at a component (`RunId`), at one of its properties (`SpawnInput.model`), or at a
 * parameter of an operation (`runs_list.after`). What it draws must still fit the schema.
 */
export type Steering = Readonly<Record<string, (usual: fc.Arbitrary<unknown>) => fc.Arbitrary<unknown>>>;

/** Draws values that fit a schema; `place` is for the steering. */
export type Values = (schema: Schema, place: string) => fc.Arbitrary<unknown>;

export function createValues(document: ApiDocument, steering: Steering): Values {
  function valuesOf(schema: Schema, place: string): fc.Arbitrary<unknown> {
    const { schema: target, name } = document.resolve(schema);
    const usual = name === undefined ? plainValuesOf(schema, place) : valuesOf(target, name);
    return steering[place]?.(usual) ?? usual;
  }

  function plainValuesOf(schema: Schema, place: string): fc.Arbitrary<unknown> {
    const { allOf, ...alone } = schema;
    const { oneOf, anyOf = oneOf, type } = alone;
    const fits = (value: unknown) => document.faultsOf(schema, value).length === 0;
    if ("const" in schema) return fc.constant(schema.const);
    if (schema.enum) return fc.constantFrom(...schema.enum);
    if (anyOf) return fc.oneof(...anyOf.map((option) => valuesOf(option, place))).filter(fits);
    if (allOf) return plainValuesOf({ ...alone, ...allOf[0] }, place).filter(fits);
    if (type === undefined) return anyJson;
    if (typeof type !== "string")
      return fc.oneof(...type.map((each) => plainValuesOf({ ...schema, type: each }, place)));
    return ofType(schema, type, place);
  }

  function ofType(schema: Schema, type: string, place: string): fc.Arbitrary<unknown> {
    switch (type) {
      case "string":
        return textsOf(schema);
      case "integer":
        return integersOf(schema);
      case "number":
        return fc.double({ min: schema.minimum ?? -1e9, max: schema.maximum ?? 1e9, noNaN: true });
      case "boolean":
        return fc.boolean();
      case "null":
        return fc.constant(null);
      case "array":
        return arraysOf(schema, place);
      case "object":
        return objectsOf(schema, place);
      default:
        throw new Error(`There are no values for the type ${type} of ${place}.`);
    }
  }

  function arraysOf({ items = {}, minItems = 0, maxItems = 4 }: Schema, place: string): fc.Arbitrary<unknown> {
    const item = valuesOf(items, `${place}[]`);
    const few = fc.array(item, { minLength: minItems, maxLength: Math.min(maxItems, minItems + 4) });
    const most = fc.array(item, { minLength: maxItems, maxLength: maxItems });
    return fc.oneof({ weight: 12, arbitrary: few }, { weight: 1, arbitrary: most });
  }

  function objectsOf(schema: Schema, place: string): fc.Arbitrary<unknown> {
    const { properties = {}, required = [], additionalProperties } = schema;
    const fields = Object.entries(properties).map(([name, property]): [string, fc.Arbitrary<unknown>] => [
      name,
      valuesOf(property, `${place}.${name}`),
    ]);
    // With null as prototype, a field called __proto__ would be lost.
    const named = fc.record(Object.fromEntries(fields), { requiredKeys: [...required], noNullPrototype: true });
    if (additionalProperties === false) return named;
    const more = typeof additionalProperties === "object" ? valuesOf(additionalProperties, `${place}.*`) : anyJson;
    const others = fc.array(
      fc.tuple(
        unknownNames.filter((name) => !Object.hasOwn(properties, name)),
        more,
      ),
      {
        maxLength: 2,
      },
    );
    return fc
      .tuple(named, others)
      .map(([object, entries]) => Object.fromEntries([...entries, ...Object.entries(object)]));
  }

  return valuesOf;
}

/** A field that nobody has named: what is in use elsewhere, what every object inherits, or anything. */
const unknownNames = fc.oneof(
  fc.constantFrom(
    "command",
    "timestamp",
    "__proto__",
    "constructor",
    "prototype",
    "toString",
    "hasOwnProperty",
    "then",
  ),
  fc.string({ unit: "binary", maxLength: 12 }),
);

const anyJson = fc.jsonValue({ maxDepth: 2, stringUnit: "binary" });

function integersOf({ minimum = -1e9, maximum = 1e9 }: Schema): fc.Arbitrary<number> {
  return fc.oneof(fc.integer({ min: minimum, max: maximum }), fc.constantFrom(minimum, maximum));
}
