import { readFile } from "node:fs/promises";
import fc from "fast-check";
import { expect, test } from "vitest";
import { parseProfile } from "./profiles-parse.ts";
import { shippedProfiles } from "./profiles-shipped.ts";

const parse = (text: string, format: "json" | "yaml" = "yaml") => parseProfile(Buffer.from(text), "mine", format);
const problem = (text: string, format?: "json" | "yaml") =>
  parse(text, format).then(
    (fields) => JSON.stringify(fields),
    ({ message }: Error) => message,
  );

const full = {
  name: "mine",
  description: "Looks, and writes nothing.",
  model: "sonnet",
  system_prompt: "Look first.\nThen speak.",
  tools: ["Read", "mcp__files__read"],
  enable_tools: true,
  cwd: "src",
  timeout_ms: 60_000,
  capabilities: ["looking"],
};

test("YAML and JSON can say all fields, and what is null is not said", async () => {
  expect(await parse(JSON.stringify(full), "json")).toEqual(full);
  const yaml = [
    "\uFEFFdescription: Looks, and writes nothing.",
    "model: sonnet",
    "system_prompt: |-",
    "  Look first.",
    "  Then speak.",
    "tools: [Read, mcp__files__read]",
    "enable_tools: true",
    "cwd: src",
    "timeout_ms: 60000",
    "capabilities:",
    "  - looking",
  ];
  const { name: _, ...unnamed } = full;
  expect(await parse(yaml.join("\n"))).toEqual(unnamed);
  expect(await parse("model:\ncwd: ~\ntools: []")).toEqual({ tools: [] });
  expect(await parse('{"model": null}', "json")).toEqual({});
});

test.each([
  ["model: sonnet\ntools: [Read\n", "line 3: is not valid YAML: Flow sequence"],
  ["model: a: b", "line 1: is not valid YAML: Nested mappings"],
  ["model: x\ncwd: a\nmodel: y", "line 3: is not valid YAML: Map keys must be unique"],
  ["model: x\n\tcwd: a", "line 2: is not valid YAML: Tabs are not allowed"],
  ["model: x\n---\nmodel: y", "line 2: is not valid YAML: Source contains multiple documents"],
  ["model: *nobody", "is not valid YAML: Unresolved alias"],
  ["", "must hold fields and values"],
  ["- model", "must hold fields and values"],
])("the YAML %j is refused: %s", async (text, message) => {
  expect(await problem(text)).toMatch(new RegExp(`^${message}`));
});

test.each([
  ["", "line 1: is not valid JSON: Unexpected end of JSON input"],
  ['{\n"model": "x",\n', "line 3: is not valid JSON: Expected double-quoted property name"],
  ['{\n"model": }', "line 2: is not valid JSON: Unexpected token '}'"],
  ['{\n"tools": [\n"Read",\n],\n"cwd": "a"\n}', "line 4: is not valid JSON: Unexpected token ']'"],
  ['{\n"cwd": "a"\n"model": "x"}', "line 3: is not valid JSON: Expected ',' or '}' after property value"],
  ['{\n"cwd": "a",\n\n"model": x}', "line 4: is not valid JSON: Unexpected token 'x'"],
  ["{}\nmore", "line 2: is not valid JSON: Unexpected non-whitespace character after JSON"],
  ["[]", 'must hold fields and values, such as "model: sonnet"'],
])("the JSON %j is refused: %s", async (text, message) => {
  expect(await problem(text, "json")).toBe(message);
});

test("the line of broken JSON is that of the first token that cannot stand there", async () => {
  const value = fc.record({ tools: fc.array(fc.string()), cwd: fc.string(), more: fc.json() });
  await fc.assert(
    fc.asyncProperty(value, fc.nat(), async (fields, at) => {
      const lines = JSON.stringify(fields, null, 1).split("\n");
      const line = at % lines.length;
      // A colon never begins a line, so this is where reading must stop.
      lines[line] = `:${lines[line]}`;
      expect(await problem(lines.join("\n"), "json")).toMatch(new RegExp(`^line ${line + 1}: `));
    }),
    { numRuns: 200 },
  );
});

test.each([
  ["tols: [Read]", "no field of a profile: tols (did you mean tools?). The fields are name, description,"],
  ["tool: [Read]", "no field of a profile: tool (did you mean tools?)."],
  ["whim: 1", "no field of a profile: whim. The fields are"],
  ["role: coder", "no field of a profile: role. The fields are"],
  ["name: yours", "name: must be mine, or be left out, since the file is called so"],
  ["name: -x", "name: must be 1 to 128 letters"],
  ["model: -x", "model: is not a model name"],
  ["model: 4", "model: must be a string"],
  ["system_prompt: ''", "system_prompt: must not be empty"],
  ["tools: Read", "tools: must be an array"],
  ["tools: [Read, '--flag']", "tools.1: is not a tool name"],
  ["enable_tools: no", "enable_tools: must be true or false"],
  ["timeout_ms: 0", "timeout_ms: must be at least 1"],
  ["timeout_ms: 0.5", "timeout_ms: must be a whole number"],
  ["capabilities: [1]", "capabilities.0: must be a string"],
  ["tools: 1\ncwd: 2", "tools: must be an array; cwd: must be a string"],
])("the profile %j is refused: %s", async (text, message) => {
  expect(await problem(text)).toContain(message);
});

test("however much is wrong, it is told in a thousand characters", async () => {
  const many = Object.fromEntries(Array.from({ length: 5_000 }, (_, i) => [`whim${i}`, i]));
  const told = await problem(JSON.stringify(many), "json");
  expect([told.length, told.slice(0, 28), told.at(-1)]).toEqual([1_000, "no field of a profile: whim0", "…"]);
});

test("text that is not UTF-8 is refused", async () => {
  await expect(parseProfile(Uint8Array.of(0x61, 0x3a, 0xff), "mine", "yaml")).rejects.toThrow("is not UTF-8 text");
});

test("aliases do not grow without end", async () => {
  const ten = (of: string) => `[${Array.from({ length: 10 }, () => of).join(", ")}]`;
  const text = ["a: &a [x]", `b: &b ${ten("*a")}`, `c: &c ${ten("*b")}`, `d: &d ${ten("*c")}`, `e: ${ten("*d")}`];
  expect(await problem(text.join("\n"))).toMatch(/^is not valid YAML: Excessive alias count/);
});

/** Every shape that its profiles had, in other words. */
const predecessors = {
  "a prompt and the tools it names": [
    {
      model: "sonnet",
      role: "helper",
      capabilities: ["teamwork"],
      system_prompt: "Help.",
      allowed_tools: ["WebSearch"],
    },
    {
      model: "sonnet",
      description: "helper",
      capabilities: ["teamwork"],
      system_prompt: "Help.",
      tools: ["WebSearch"],
    },
  ],
  "no tools": [
    { model: "opus", role: "talker", system_prompt: "Talk.", allowed_tools: [] },
    { model: "opus", description: "talker", system_prompt: "Talk.", tools: [] },
  ],
  "a template with instructions": [
    {
      name: "mine",
      role: "Analyst",
      model: "sonnet",
      enable_tools: false,
      capabilities: ["reasoning"],
      composition: "claude_agent_default",
      prompt_template: "You analyse.\n\nTask: {task}\nFrom {agents}: {context}\n\nAnswer as {{json}}, {like} this.",
      system_instructions: "Be {brief}.",
    },
    {
      name: "mine",
      description: "Analyst",
      model: "sonnet",
      enable_tools: false,
      capabilities: ["reasoning"],
      system_prompt:
        "You analyse.\n\nTask: the task in the prompt\nFrom the agents in the prompt: the context in the prompt\n\n" +
        "Answer as {json}, {like} this.\n\nSystem Instructions:\nBe {brief}.",
    },
  ],
  "instructions and a composition": [
    {
      role: "Developer",
      model: "sonnet",
      composition: "of_a_project",
      enable_tools: true,
      system_instructions: "Test.",
    },
    {
      description: "Developer (without its composition of_a_project, which KSI does not have)",
      model: "sonnet",
      enable_tools: true,
      system_prompt: "System Instructions:\nTest.",
    },
  ],
  "a composition alone": [
    { model: "sonnet", role: "initiator", composition: "hello" },
    { model: "sonnet", description: "initiator (without its composition hello, which KSI does not have)" },
  ],
  "notes of its programs, and nothing for a prompt": [
    { model: "sonnet", role: "debater", system_prompt: null, metadata: { topic: "x" } },
    { model: "sonnet", description: "debater" },
  ],
} as const;

test.each(Object.entries(predecessors))(
  "a profile of the predecessor with %s loads as it is",
  async (_, [old, fields]) => {
    expect(await parse(JSON.stringify(old), "json")).toEqual(fields);
  },
);

test("a profile of the predecessor is held to the types of its fields, and to no slips in their names", async () => {
  expect(await problem('{"role": "x", "allowed_tools": "Read"}', "json")).toBe("allowed_tools: must be an array");
  expect(await problem('{"role": "x", "allowed_tols": []}', "json")).toMatch(
    /allowed_tols \(did you mean allowed_tools\?\)/,
  );
  expect(await problem('{"role": "x", "name": "yours"}', "json")).toMatch(/^name: must be mine/);
});

test("the profile in the README is one", async () => {
  const readme = await readFile(new URL("../../../README.md", import.meta.url), "utf8");
  const [, block = ""] = /```yaml\n([^`]+)```/.exec(readme) ?? [];
  expect(await parse(block)).toMatchObject({ model: "opus", tools: ["Read", "Grep", "Glob"], timeout_ms: 600_000 });
});

test("what ships is made as a file would be", async () => {
  expect(Object.keys(shippedProfiles)).toEqual(["assistant", "researcher", "coder", "critic", "teacher", "student"]);
  for (const [name, fields] of Object.entries(shippedProfiles)) {
    expect(await parseProfile(Buffer.from(JSON.stringify(fields)), name, "json")).toEqual(fields);
  }
});
