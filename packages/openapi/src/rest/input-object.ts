/** The fields that a schema takes, where what it takes is an object. */
import { z } from "zod";

export interface InputObject {
  readonly object: z.ZodObject;
  /** Whether `undefined` will do instead. */
  readonly isOptional: boolean;
}

/**
 * Looks through optionals, defaults, pipes, preprocesses and the like, and puts the sides of an intersection or the options
 * of a union into one object. `undefined` where the schema takes something else than an object.
 */
export function inputObject(schema: z.core.$ZodType): InputObject | undefined {
  if (schema instanceof z.core.$ZodObject) return { object: classic(schema), isOptional: false };
  if (schema instanceof z.core.$ZodIntersection) return joined([schema._zod.def.left, schema._zod.def.right], bothOf);
  if (schema instanceof z.core.$ZodUnion) return joined(schema._zod.def.options, eitherOf);
  if (schema instanceof z.core.$ZodLazy) return inputObject(schema._zod.innerType);
  if (schema instanceof z.core.$ZodPipe) {
    const { in: from, out } = schema._zod.def;
    // The first step of a preprocess is a function, which does not say what it takes.
    return inputObject(from instanceof z.core.$ZodTransform ? out : from);
  }
  for (const [wrapper, isOptional] of wrappers) {
    if (!(schema instanceof wrapper)) continue;
    const inner = inputObject(schema._zod.def.innerType);
    return inner && { ...inner, isOptional: isOptional ?? inner.isOptional };
  }
  return undefined;
}

/** With what each says about `undefined`, where it says anything. */
const wrappers = [
  [z.core.$ZodOptional, true],
  [z.core.$ZodDefault, true],
  [z.core.$ZodPrefault, true],
  [z.core.$ZodNonOptional, false],
  [z.core.$ZodNullable, undefined],
  [z.core.$ZodReadonly, undefined],
  [z.core.$ZodCatch, undefined],
] as const;

/** zod mini has objects without methods. */
function classic(schema: z.core.$ZodObject): z.ZodObject {
  if (schema instanceof z.ZodObject) return schema;
  const { shape, catchall } = schema._zod.def;
  return catchall ? z.object(shape).catchall(catchall) : z.object(shape);
}

type Combine = (fields: z.core.$ZodType[], isEverywhere: boolean) => z.core.$ZodType;

function joined(schemas: readonly z.core.$ZodType[], combine: Combine): InputObject | undefined {
  const parts = schemas.map(inputObject).filter((part) => part !== undefined);
  if (parts.length < schemas.length) return undefined;
  const shapes = parts.map(({ object }) => object.shape);
  const names = new Set(shapes.flatMap((shape) => Object.keys(shape)));
  const fields = [...names].map((name) => {
    const found = shapes.flatMap((shape) => (Object.hasOwn(shape, name) ? (shape[name] ?? []) : []));
    return [name, combine([...new Set(found)], found.length === shapes.length)];
  });
  const object: z.ZodObject = z.object(Object.fromEntries(fields));
  const isStrict = parts.every((part) => part.object.def.catchall instanceof z.core.$ZodNever);
  return { object: isStrict ? object.strict() : object, isOptional: parts.every((part) => part.isOptional) };
}

function bothOf(fields: z.core.$ZodType[]): z.core.$ZodType {
  return fields.reduce((left, right) => z.intersection(left, right));
}

function eitherOf(fields: z.core.$ZodType[], isEverywhere: boolean): z.core.$ZodType {
  const [only, ...others] = fields;
  const either = only && others.length === 0 ? only : z.union(fields);
  return isEverywhere ? either : z.optional(either);
}
