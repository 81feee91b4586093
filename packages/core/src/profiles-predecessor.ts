/**
 * The JSON profiles of KSI's predecessor, as they are.
 *
 * There, an agent's prompt was made of a profile and a task: `system_prompt` stood before it; `prompt_template` held
 * the places `{task}`, `{context}` and `{agents}`, and `system_instructions` stood behind. Here the task is the run's
 * prompt, so all of this is system prompt, and its places refer to the prompt. `role` becomes the description.
 * `allowed_tools`, which the predecessor kept and did not heed, is taken at its word. A `composition` named a set of
 * prompt fragments that KSI does not have; the description says so where it was not the usual one.
 */
import { nearNames } from "@ksi/contract/near-names";
import { z } from "zod";
import { fieldShape, type ProfileFields, unknownFields, withoutNulls } from "./profiles-fields.ts";

const ownShape = {
  role: z.string().max(500).optional(),
  prompt_template: fieldShape.system_prompt,
  system_instructions: fieldShape.system_prompt,
  composition: z.string().max(300).optional(),
  allowed_tools: fieldShape.tools,
};

/** What every agent had that asked for nothing else. */
const usualComposition = "claude_agent_default";

/** Whether it is one of them: it has a field that only they have. */
export function isPredecessors(value: object): boolean {
  return Object.keys(ownShape).some((key) => key in value);
}

const known = [...Object.keys(fieldShape), ...Object.keys(ownShape)];

/**
 * Other fields are ignored, as the predecessor ignored them (its programs wrote `metadata` of their own), except for
 * one that is nearly one of these.
 */
export const predecessorFields = z
  .preprocess(withoutNulls, z.looseObject({ ...fieldShape, ...ownShape }))
  .superRefine((fields, context) => {
    const slips = Object.keys(fields).filter((key) => !known.includes(key) && nearNames(key, known).length > 0);
    if (slips.length > 0) context.addIssue({ code: "custom", path: [], message: unknownFields(slips, known) });
  })
  .transform(({ name, description, model, tools, enable_tools, cwd, timeout_ms, capabilities, ...own }) => {
    const fields: ProfileFields = {
      name,
      description: description ?? describe(own),
      model,
      system_prompt: systemPromptOf(own),
      tools: tools ?? own.allowed_tools,
      enable_tools,
      cwd,
      timeout_ms,
      capabilities,
    };
    return fields;
  });

function describe({ role, composition }: { role?: string | undefined; composition?: string | undefined }) {
  const missing = composition !== undefined && composition !== usualComposition;
  const parts = [role, missing ? `(without its composition ${composition}, which KSI does not have)` : undefined];
  return parts.filter(Boolean).join(" ") || undefined;
}

interface Prompts {
  system_prompt?: string | undefined;
  prompt_template?: string | undefined;
  system_instructions?: string | undefined;
}

function systemPromptOf({ system_prompt, prompt_template, system_instructions }: Prompts): string | undefined {
  const parts = [
    system_prompt,
    prompt_template === undefined ? undefined : fillTemplate(prompt_template),
    system_instructions === undefined ? undefined : `System Instructions:\n${system_instructions}`,
  ];
  return parts.filter(Boolean).join("\n\n") || undefined;
}

/** As Python's `str.format` reads it: doubled braces are braces. Places of other names stay as they are. */
function fillTemplate(template: string): string {
  return template.replace(/\{\{|\}\}|\{(task|context|agents)\}/g, (found, place: string | undefined) =>
    place === undefined ? found.slice(1) : `the ${place} in the prompt`,
  );
}
