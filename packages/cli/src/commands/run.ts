/** `ksi run`: spawns a run and shows it until it ends. */
import { resolve } from "node:path";
import type { KsiClient, RunHandle, SpawnRequest } from "@ksi/client";
import { KsiError } from "@ksi/contract/errors";
import { type Cli, examples, type Program } from "../cli.ts";
import { connect, type Link } from "../connect.ts";
import { describeError, isFinalEvent } from "../describe-event.ts";
import { exitCodeHelp } from "../exit-codes.ts";
import { listenForInterrupts, onceAborted } from "../interrupts.ts";
import { parseInteger, parseJsonObject, parseList, parseTimeout } from "../parse.ts";
import { RunFailure } from "../run-failure.ts";
import { buildRunRequest } from "../run-request.ts";
import { createJsonView, createRunView, type RunView } from "../run-view.ts";
import { type ConnectionWatch, watchConnection } from "../watch-connection.ts";

/** A daemon that restarts is back within seconds; one that stays away this long has probably ended. */
const awayMaxMs = 30_000;

export function addRunCommand(program: Program, cli: Cli): void {
  program
    .command("run")
    .summary("give an agent a prompt and show its answer as it comes")
    .description(
      "Gives an agent a prompt and shows its answer as it comes.\n\n" +
        "The answer goes to stdout, everything about it to stderr. Ctrl-C cancels the run.",
    )
    .argument("[prompt...]", "the prompt; `-` at its end, or nothing and a pipe, reads stdin")
    .option("-s, --session <id>", "continue this session, or start one under this id (a UUID)")
    .option("-m, --model <name>", "sonnet, opus, haiku, echo … (default: the daemon's)")
    .option("--profile <name>", "a preset to start from, as coder; `ksi profiles` lists them")
    .option("-C, --cwd <folder>", "where the agent works (default: the profile's folder, or here)")
    .option("--tools <names>", "only these of the daemon's tools, as Read,Grep", parseList)
    .option("--no-tools", "no tools at all")
    .option("-t, --timeout <time>", "time limit: seconds, or 500ms, 30s, 5m, 1h30m", parseTimeout)
    .option("--system-prompt <text>", "added to the agent's own system prompt")
    .option("--image <file>", "a picture to look at (PNG, JPEG, GIF, WebP); may be repeated", collect)
    .option("--schema <file>", "a JSON Schema; stdout then holds the JSON that satisfies it")
    .option("--metadata <json>", "a JSON object of yours, kept with the run", parseJsonObject)
    .option("--priority <number>", "0 is served first, 100 last (default: 50)", parseInteger(0, 100))
    .option("--agent-id <id>", "the agent on whose behalf this runs")
    .option("-d, --detach", "print run_id and session_id and leave; the run goes on")
    .option("--json", "print every event as one line of JSON; the last is the final one")
    .addHelpText(
      "after",
      examples(cli, [
        ['ksi run "What is 2+2?"', "ask, and watch the answer come"],
        ['ksi run --session ID "And times 3?"', "go on in the same conversation"],
        ['git diff | ksi run "Review this:" -', "put stdin behind the prompt"],
        ['ksi run -m opus -t 10m --tools Read,Grep "…"', "choose model, time limit and tools"],
        ['ksi run --profile critic "Review README.md"', "start from a preset"],
        ['ksi run --image a.png --image b.png "What changed?"', "show it pictures, in this order"],
        ['ksi run --schema answer.json "…" | jq .', "get JSON of a known shape"],
        ['ksi run --detach "…"', "leave at once; `ksi logs RUN -f` shows it"],
      ]),
    )
    .addHelpText("after", exitCodeHelp)
    .action(async (words, _options, command) => {
      const { url, token, dataDir, ...options } = command.optsWithGlobals();
      const request = await buildRunRequest(words, options, cli);
      using interrupts = listenForInterrupts();
      using view = options.json
        ? createJsonView(cli.terminal)
        : createRunView({
            terminal: cli.terminal,
            isPlain: cli.env.TERM === "dumb",
            isOutputOnly: options.schema !== undefined,
          });
      using watch = watchConnection({
        giveUpAfterMs: awayMaxMs,
        onAway: () => view.note("The connection to the daemon is lost; waiting for it…"),
        onBack: () => view.note("Connected again."),
      });
      await using link = await connect({ url, token, dataDir }, cli, watch);
      const spawning = { ...request, ...(await chooseCwd(options, link, cli)) };
      const run = await spawn(link.ksi, spawning, options.cwd === undefined);
      if (options.detach) return printAccepted(run, options.json === true, cli);
      if (request.session_id !== undefined && (await waitsForOthers(link.ksi, run))) {
        view.note("Waiting for the session's earlier runs…");
      }
      await follow({ run, view, watch, interrupted: interrupts.signal });
    });
}

function collect(value: string, before: string[] = []): string[] {
  return [...before, value];
}

/**
 * The folder the user stands in means something only to a daemon on the same machine, and is not asked for where a
 * profile names one.
 */
async function chooseCwd(
  { cwd: given, profile }: { cwd?: string | undefined; profile?: string | undefined },
  { address, ksi }: Link,
  { cwd }: Cli,
): Promise<{ cwd?: string }> {
  if (given !== undefined) return { cwd: address.isLocal ? resolve(cwd, given) : given };
  if (!address.isLocal) return {};
  const hasOwn = profile !== undefined && (await ksi.profiles.get(profile)).cwd !== undefined;
  return hasOwn ? {} : { cwd };
}

async function spawn(ksi: KsiClient, request: SpawnRequest, isOwnCwd: boolean): Promise<RunHandle> {
  try {
    return await ksi.run(request);
  } catch (thrown) {
    const error = KsiError.from(thrown);
    if (!isOwnCwd || !request.cwd || !isAboutCwd(error)) throw error;
    const advice =
      `You stand in ${request.cwd}: pass --cwd with a folder that the daemon may work in, ` +
      `or start it with \`ksi serve --roots ${request.cwd}\`.`;
    throw new KsiError(error.code, `${error.message} ${advice}`, { details: error.details, cause: error });
  }
}

function isAboutCwd({ code, message, details }: KsiError): boolean {
  return (
    details?.issues?.some(({ path }) => path === "cwd") || (code === "FORBIDDEN" && /\bcwd\b|folder/.test(message))
  );
}

function printAccepted({ run_id, session_id }: RunHandle, isJson: boolean, { terminal }: Cli): void {
  const { out, err } = terminal;
  if (isJson) {
    out.line(JSON.stringify({ status: "accepted", run_id, session_id }));
    return;
  }
  out.line(`run_id      ${run_id}`);
  out.line(`session_id  ${session_id}`);
  if (err.isTty) err.line(err.style("dim", `Follow it with: ksi logs ${run_id} -f`));
}

const countDeadlineMs = 2_000;

/** Whether runs that were there before this one have to end first. */
async function waitsForOthers(ksi: KsiClient, { run_id, session_id }: RunHandle): Promise<boolean> {
  try {
    const { runs } = await ksi.runs.list({ session_id }, { signal: AbortSignal.timeout(countDeadlineMs) });
    const earlier = runs.slice(runs.findIndex((run) => run.run_id === run_id) + 1);
    return earlier.some(({ status }) => status === "queued" || status === "running");
  } catch {
    return false; // a notice is not worth failing for
  }
}

interface FollowedRun {
  run: RunHandle;
  view: RunView;
  watch: ConnectionWatch;
  interrupted: AbortSignal;
}

/** Shows the run to its end; throws the run's own error where it did not complete. */
async function follow({ run, view, watch, interrupted }: FollowedRun): Promise<void> {
  const leaving = new AbortController();
  onceAborted(watch.gaveUp, () => leaving.abort(watch.gaveUp.reason));
  onceAborted(interrupted, () => {
    view.note("Cancelling… (Ctrl-C again leaves at once)");
    run.cancel("interrupted at the command line").catch((error: unknown) => leaving.abort(error));
  });
  for await (const event of run.events({ signal: leaving.signal })) {
    view.show(event);
    if (!isFinalEvent(event)) continue;
    if (event.event_type === "run.completed") return;
    const { code, details } = event.payload.error;
    throw new RunFailure(code, describeError(event.payload.error), { details });
  }
  const { code, message } = KsiError.from(leaving.signal.reason);
  throw new KsiError(code, `${message} \`ksi logs ${run.run_id} -f\` shows what becomes of the run.`);
}
