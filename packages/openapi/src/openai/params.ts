/** Names the field of the chat request that is at fault, as OpenAI writes it: `messages[0].content[1].image_url`. */
import { plainMessage } from "@ksi/contract";
import type { z } from "zod";

type Path = readonly PropertyKey[];

/** The first thing that is wrong, as deep in the body as the schema can tell. */
export function firstIssue(error: z.ZodError): { param: string; path: Path; message: string } {
  const [issue] = error.issues;
  if (!issue) return { param: "", path: [], message: error.message };
  const { path, meant } = deepest(issue);
  return { param: formatPath(path), path, message: plainMessage(meant) };
}

/**
 * The field of the chat request that a field of `runs.spawn` was made from. What is none of those is left as it is, so
 * that it may be applied twice.
 */
export function paramOfField(field: string): string {
  const name = field.split(/[.[]/, 1)[0] ?? "";
  return Object.hasOwn(sources, name) ? (sources[name] ?? field) : field;
}

const sources: Record<string, string> = {
  prompt: "messages",
  images: "messages",
  system_prompt: "messages",
  session_id: "metadata.session_id",
  agent_id: "metadata.agent_id",
  output_schema: "response_format",
  idempotency_key: "Idempotency-Key",
};

/** Of a union's options, the one that got furthest is the one that was meant; where none got anywhere, all are. */
function deepest(issue: z.core.$ZodIssue): { path: Path; meant: z.core.$ZodIssue } {
  const { path } = issue;
  if (issue.code !== "invalid_union") return { path, meant: issue };
  const inner = issue.errors.flatMap(([first]) => (first ? [deepest(first)] : []));
  const [best] = inner.toSorted((a, b) => b.path.length - a.path.length);
  return best?.path.length ? { path: [...path, ...best.path], meant: best.meant } : { path, meant: issue };
}

function formatPath(path: Path): string {
  return path.reduce<string>((text, step) => {
    if (typeof step === "number") return `${text}[${step}]`;
    return text ? `${text}.${String(step)}` : String(step);
  }, "");
}
