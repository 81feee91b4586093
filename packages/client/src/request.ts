/** A message that waits for its answer. */
import type { Json, Replied } from "@ksi/contract";
import type { CallOptions } from "./call.ts";
import type { MessageOf } from "./received-message.ts";
import { type Schema, validate } from "./schema.ts";

export interface RequestOptions<Answer = Json> extends CallOptions {
  /**
   * Checks and types the payload of the answer: a zod schema, or another Standard Schema. `OUTPUT_INVALID` where it does
   * not fit.
   */
  schema?: Schema<Answer> | undefined;
}

export interface Answered<Answer = Json> extends Omit<Replied, "reply"> {
  readonly reply: MessageOf<Answer>;
}

export async function readAnswer<Answer>(
  { reply, ...replied }: Replied,
  schema: Schema<Answer> | undefined,
): Promise<Answered<Answer>> {
  // Without a schema the payload is of the type that the message has.
  if (!schema) return { ...replied, reply: reply as MessageOf<Answer> };
  const payload = await validate(schema, reply.payload, {
    code: "OUTPUT_INVALID",
    message: `The answer of ${reply.source} does not fit the schema`,
    details: { message_id: replied.id },
  });
  return { ...replied, reply: { ...reply, payload } };
}
