import type { RunEvent } from "@ksi/client";
import { expect, test } from "vitest";
import { createJsonView, createRunView } from "./run-view.ts";
import { createRecordedTerminal } from "./testing/recorded-terminal.ts";

const sessionId = "3f2b8c1e-9a4d-4e6f-8b7a-1c2d3e4f5a6b";

type Said = { [T in RunEvent["event_type"]]: Pick<Extract<RunEvent, { event_type: T }>, "event_type" | "payload"> };

function event(said: Said[keyof Said]): RunEvent {
  const header = { id: "e", source: "ksi", timestamp: "2026-01-10T12:00:00.000Z", run_id: "r", session_id: sessionId };
  return { ...header, ...said } as RunEvent;
}

const text = (words: string) => event({ event_type: "run.text", payload: { text: words } });
const tool = event({
  event_type: "run.tool_use",
  payload: { tool_use_id: "t", name: "Bash", input: { command: "ls\n-la", timeout: 5 } },
});
const started = (runner: string) =>
  event({ event_type: "run.started", payload: { model: "sonnet", runner, worker_id: "w", attempt: 1 } });
const completed = event({
  event_type: "run.completed",
  payload: {
    result: "It is 4.",
    output: { answer: 4 },
    model: "claude-sonnet",
    usage: { input_tokens: 12, output_tokens: 5 },
    cost_usd: 0.0123,
    duration_ms: 3_210,
  },
});

function show(events: readonly RunEvent[], options: { isTty?: boolean; isOutputOnly?: boolean } = {}) {
  const { isTty = false, isOutputOnly = false } = options;
  const terminal = createRecordedTerminal({ out: isTty, err: isTty });
  using view = createRunView({ terminal, isPlain: true, isOutputOnly });
  for (const shown of events) view.show(shown);
  return terminal.text;
}

test("stdout holds the answer and ends in a line break; stderr ends in model, time, tokens and cost", () => {
  const { out, err } = show([text("It "), text("is 4."), completed]);
  expect(out).toBe("It is 4.\n");
  expect(err).toBe(`claude-sonnet · 3.2 s · 12 in, 5 out tokens · $0.0123 · session ${sessionId}\n`);
});

test("an answer that did not come in pieces is shown when the run completes", () => {
  expect(show([completed]).out).toBe("It is 4.\n");
});

test("an answer that ends in a line break gets no second one", () => {
  expect(show([text("It is 4.\n"), completed]).out).toBe("It is 4.\n");
});

test("in a pipe a tool leaves no trace but the break between two texts that would run together", () => {
  expect(show([text("Let me look."), tool, text("It is 4."), completed]).out).toBe("Let me look.\nIt is 4.\n");
  expect(show([text("It "), tool, text("is 4."), completed]).out).toBe("It is 4.\n");
});

test("on a terminal a note about a tool begins on a line of its own", () => {
  const { screen } = show([text("Let me look."), tool, text("It is 4."), completed], { isTty: true });
  expect(screen).toBe(
    `Let me look.\n● Bash  ls -la\nIt is 4.\nclaude-sonnet · 3.2 s · 12 in, 5 out tokens · $0.0123 · session ${sessionId}\n`,
  );
});

const retracted = (chars: number) => event({ event_type: "run.retracted", payload: { chars } });

test("what the agent takes back and says again in the same words is on stdout once", () => {
  const again = [text("It is"), retracted(5), text("It"), retracted(2), text("It "), text("is 4."), completed];
  expect(show(again).out).toBe("It is 4.\n");
  expect(show(again).err).not.toContain("void");
});

test("what the agent takes back and says in other words begins on a new line, with a note", () => {
  const events = [text("Hm. It was"), retracted(6), text("It "), text("is 4."), completed];
  expect(show(events).out).toBe("Hm. It was\nIt is 4.\n");
  expect(show(events, { isTty: true }).screen).toContain("Hm. It was\n… the provider broke off");
});

test("with an output schema stdout holds only the JSON", () => {
  expect(show([text("Here it is:"), completed], { isOutputOnly: true }).out).toBe('{"answer":4}\n');
});

test("the echo runner is called a demo", () => {
  expect(show([started("echo"), completed]).err).toContain("offline demo, no model was asked");
  expect(show([started("claude"), completed]).err).not.toContain("demo");
});

test("control characters of an agent reach a pipe, and no terminal", () => {
  expect(show([text("\u001b[2Jhi"), completed]).out).toBe("\u001b[2Jhi\n");
  expect(show([text("\u001b[2Jhi"), completed], { isTty: true }).out).toBe("[2Jhi\n");
});

test("a run that fails in the middle of a line ends the line", () => {
  const error = { code: "RUNNER_CRASHED" as const, message: "The agent ended." };
  expect(show([text("It"), event({ event_type: "run.failed", payload: { error } })]).out).toBe("It\n");
});

test("as JSON every event is one line of stdout, unchanged", () => {
  const terminal = createRecordedTerminal();
  using view = createJsonView(terminal);
  for (const shown of [text("a\nb"), completed]) view.show(shown);
  expect(
    terminal.text.out
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line)),
  ).toEqual([text("a\nb"), completed]);
});
