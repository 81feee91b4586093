/**
 * Shows a run to people as it happens: the answer on stdout, all about it on stderr.
 *
 * It trades events for text and remembers three things: whether stdout stands in the middle of a line, so that a note
 * never continues the answer's line; whether a tool came between two pieces of text, which are then kept apart; and what
 * of the text on stdout the agent took back. Of that, what is said again in the same words is not written twice. Where the
 * words are others, they begin on a new line, since what a pipe has cannot be taken back.
 */
import type { RunEvent } from "@ksi/client";
import { describeCompletion, describeToolUse } from "./describe-event.ts";
import { formatDuration, shorten } from "./format.ts";
import { createSaidAgain } from "./said-again.ts";
import { createSpinner } from "./spinner.ts";
import type { Terminal } from "./terminal.ts";

export interface RunView extends Disposable {
  show(event: RunEvent): void;
  /** A line of its own on stderr. */
  note(text: string): void;
}

/** Every event as one line of JSON on stdout, as it came; notes stay on stderr. */
export function createJsonView({ out, err }: Terminal): RunView {
  return {
    show: (event) => out.line(JSON.stringify(event)),
    note: (text) => err.line(text),
    [Symbol.dispose]: () => {},
  };
}

export interface RunViewOptions {
  terminal: Terminal;
  /** No spinner, as on terminals that cannot move their cursor. */
  isPlain: boolean;
  /** stdout holds only the JSON that satisfies the output schema. */
  isOutputOnly: boolean;
}

export function createRunView({ terminal, isPlain, isOutputOnly }: RunViewOptions): RunView {
  const { out, err } = terminal;
  const spinner = createSpinner(err, isPlain);
  let isMidLine = false;
  let lastCharacter = "";
  let isSeam = false;
  let runner = "";
  const again = createSaidAgain();

  function say(said: string) {
    const { text, isOther } = again.say(said);
    if (isOther) {
      endLine();
      note(yellow("… the provider broke off: what was said last is void, and the agent says it in other words"));
    }
    write(text);
  }

  function write(text: string) {
    if (text === "") return;
    if (out.isTty) spinner.hide();
    if (isSeam && lastCharacter !== "" && !/\s/.test(lastCharacter) && !/^\s/.test(text)) out.write("\n");
    isSeam = false;
    out.write(out.foreign(text));
    lastCharacter = text.at(-1) ?? "";
    isMidLine = lastCharacter !== "\n";
  }

  function endLine() {
    if (isMidLine) out.write("\n");
    isMidLine = false;
    lastCharacter = "";
  }

  function note(text: string) {
    spinner.hide();
    // A pipe has no cursor: there the answer goes on where it was.
    if (out.isTty) endLine();
    err.line(text);
  }

  const dim = (text: string) => err.style("dim", err.foreign(text));
  const yellow = (text: string) => err.style("yellow", err.foreign(text));

  function show(event: RunEvent) {
    switch (event.event_type) {
      case "run.queued":
        return spinner.show("waiting in line");
      case "run.started":
        runner = event.payload.runner;
        return spinner.show(`${event.payload.model} is thinking`);
      case "run.requeued":
        note(dim(`back in line: ${event.payload.reason}`));
        return spinner.show("waiting in line");
      case "run.thinking":
        return undefined;
      case "run.text":
        if (!isOutputOnly) say(event.payload.text);
        return undefined;
      case "run.retracted":
        if (!isOutputOnly) again.retract(event.payload.chars);
        return undefined;
      case "run.tool_use":
        isSeam = true;
        note(dim(`● ${describeToolUse(event, err.columns ?? 120)}`));
        return spinner.show(`${event.payload.name} is at work`);
      case "run.tool_result":
        if (event.payload.is_error) note(dim(`  ✗ ${shorten(event.payload.content, 200)}`));
        return spinner.show("thinking");
      case "run.retrying": {
        const { attempt, delay_ms, status } = event.payload;
        const reason = status === undefined ? "the provider did not answer" : `the provider answered ${status}`;
        return note(yellow(`… ${reason}; try ${attempt + 1} in ${formatDuration(delay_ms)}`));
      }
      case "run.permission_denied": {
        const { tool_name, reason = "it is not among the tools that this run may use" } = event.payload;
        return note(yellow(`● ${tool_name} was not allowed: ${reason}`));
      }
      case "run.completed": {
        const { result, output } = event.payload;
        if (isOutputOnly) write(JSON.stringify(output ?? null, undefined, out.isTty ? 2 : undefined));
        else if (lastCharacter === "" && !isMidLine) write(result);
        endLine();
        const demo = runner === "echo" ? " · offline demo, no model was asked" : "";
        return note(dim(`${describeCompletion(event)}${demo} · session ${event.session_id}`));
      }
      case "run.failed":
      case "run.cancelled":
      case "run.timed_out":
        spinner.hide();
        return endLine();
      default:
        return event satisfies never;
    }
  }

  return {
    show,
    note,
    [Symbol.dispose]: () => {
      spinner[Symbol.dispose]();
      if (out.isTty) endLine();
    },
  };
}
