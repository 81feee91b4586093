/** The built `ksi` as a user has it: real processes, a real daemon, a real Redis. Built by `npm run build`. */
import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import { createServer as createHttpServer } from "node:http";
import { createServer } from "node:net";
import { join } from "node:path";
import { createTempFolder, until } from "@ksi/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type KsiProcess, runKsi as ksi, startKsi as start, type Where } from "./testing/ksi-process.ts";

/** A daemon that offers only the echo runner, so that a claude on this machine changes nothing. */
async function serve(where: Where, flags: string[] = []): Promise<KsiProcess> {
  const argv = [
    "serve",
    "--port",
    "0",
    "--default-model",
    "echo",
    "--roots",
    where.cwd,
    "--log-level",
    "warn",
    ...flags,
  ];
  const started = start(argv, where);
  await until(() => started.text.stdout.includes("Ctrl-C stops it") || started.child.exitCode !== null, {
    deadlineMs: 30_000,
    message: "the daemon's banner",
  });
  if (started.child.exitCode !== null) throw new Error(`the daemon ended: ${started.text.stderr}`);
  return started;
}

const lines = (text: string) => text.trimEnd().split("\n");
const slowly = (delayMs: number) => ["--metadata", JSON.stringify({ echo: { delay_ms: delayMs } })];

describe("with a running daemon", () => {
  let folder: Awaited<ReturnType<typeof createTempFolder>>;
  let daemon: KsiProcess;
  let here: Where;

  beforeAll(async () => {
    folder = await createTempFolder();
    here = { cwd: folder.path, dataDir: join(folder.path, "data") };
    daemon = await serve(here);
  });

  afterAll(async () => {
    daemon?.child.kill("SIGTERM");
    await daemon?.finished;
    await folder?.[Symbol.asyncDispose]();
  });

  test("the banner names the URL, the token's file, the demo, and a command to paste", () => {
    expect(daemon.text.stdout).toMatch(/URL +http:\/\/127\.0\.0\.1:\d+/);
    expect(daemon.text.stdout).toContain(`${here.dataDir}/token`);
    expect(daemon.text.stdout).toContain("offline demo");
    expect(daemon.text.stdout).toContain(`npx ksi --data-dir ${here.dataDir} run "What is 2+2?"`);
  });

  test("run prints the answer alone on stdout, and model, time and the demo on stderr", async () => {
    const { code, stdout, stderr } = await ksi(["run", "What is", "2+2?"], here);
    expect({ code, stdout }).toEqual({ code: 0, stdout: "What is 2+2?\n" });
    expect(lines(stderr).at(-1)).toMatch(/echo.* · [\d.]+ m?s .*offline demo.* · session [0-9a-f-]{36}$/);
  });

  test("run shows the answer as it comes", async () => {
    await using run = start(["run", "one two three four", ...slowly(1_500)], here);
    await until(() => run.text.stdout.includes("one"));
    expect(run.text.stdout).not.toContain("four");
    run.child.kill("SIGINT");
    await run.finished;
  });

  test("run takes its prompt from a pipe", async () => {
    expect(await ksi(["run"], here, "from a pipe\n")).toMatchObject({ code: 0, stdout: "from a pipe\n" });
  });

  test("run --json prints events as lines, the last of which is the final one", async () => {
    const { code, stdout } = await ksi(["run", "--json", "hello there"], here);
    const events = lines(stdout).map((line) => JSON.parse(line));
    expect(code).toBe(0);
    expect(events[0]).toMatchObject({ event_type: "run.queued" });
    expect(events.at(-1)).toMatchObject({ event_type: "run.completed", payload: { result: "hello there" } });
  });

  test("run --detach gives the ids, under which runs, logs and sessions know it; --session goes on", async () => {
    const accepted = await ksi(["run", "--detach", "--json", "first"], here);
    expect(accepted.code).toBe(0);
    const { run_id, session_id, status } = JSON.parse(accepted.stdout);
    expect(status).toBe("accepted");

    const logs = await ksi(["logs", run_id.slice(0, -4), "-f"], here);
    expect(logs).toMatchObject({ code: 0 });
    expect(logs.stdout).toMatch(/started.*first\n.*completed/s);

    const second = await ksi(["run", "--session", session_id, "--detach", "second"], here);
    expect(second.stdout).toContain(session_id);
    await ksi(["logs", lines(second.stdout)[0]?.split(/ +/)[1] ?? "", "-f"], here);

    const runs = await ksi(["runs", "--session", session_id], here);
    expect(lines(runs.stdout)).toHaveLength(2);
    expect(lines(runs.stdout)[1]).toMatch(new RegExp(`^${run_id} +${session_id} +completed `));
    const shown = await ksi(["sessions", "show", session_id, "--json"], here);
    expect(lines(shown.stdout).map((line) => JSON.parse(line).content)).toEqual(["first", "first", "second", "second"]);
  });

  test("logs without -f stops at the present of a run that goes on", async () => {
    const detached = await ksi(["run", "--detach", "--json", "one two three", ...slowly(60_000)], here);
    const { run_id } = JSON.parse(detached.stdout);
    const { code, stdout } = await ksi(["logs", run_id, "--json"], here);
    expect(code).toBe(0);
    expect(JSON.parse(lines(stdout)[0] ?? "")).toMatchObject({ event_type: "run.queued", run_id });
    expect(await ksi(["cancel", run_id], here)).toMatchObject({ code: 0 });
    expect((await ksi(["logs", run_id, "-f"], here)).stdout).toContain("cancelled");
  });

  test("Ctrl-C cancels the run, and says so in exit code 130", async () => {
    await using run = start(["run", "--json", "one two three", ...slowly(60_000)], here);
    await until(() => run.text.stdout.includes("run.started"));
    run.child.kill("SIGINT");
    const { code, stdout, stderr } = await run.finished;
    expect(code).toBe(130);
    expect(JSON.parse(lines(stdout).at(-1) ?? "")).toMatchObject({ event_type: "run.cancelled" });
    expect(stderr).not.toMatch(/^ +at /m);
  });

  test("a run that takes too long ends with 124, one that fails with 1 and its reason", async () => {
    const late = await ksi(["run", "one two", "--timeout", "200ms", ...slowly(60_000)], here);
    expect(late).toMatchObject({ code: 124, stderr: expect.stringContaining("Give it more with --timeout") });
    for (const code of ["MODEL_ERROR", "MODEL_NOT_FOUND", "INVALID_INPUT"]) {
      const failing = await ksi(["run", "x", "--metadata", JSON.stringify({ echo: { fail: code } })], here);
      expect({ code, exit: failing.code }).toEqual({ code, exit: 1 });
      expect(lines(failing.stderr)).toHaveLength(1);
    }
  });

  test.each([
    ["a flag that is not there", ["run", "--colour", "x"], 2, "--colour"],
    ["a command that is nearly one", ["stauts"], 2, "Did you mean status?"],
    ["a command that is nothing like one", ["bogus"], 2, 'There is no command "bogus".\n'],
    ["a subcommand that is nearly one", ["messages", "ded", "bob"], 2, 'There is no command "ded". Did you mean dead?'],
    ["a name in place of a subcommand", ["agents", "bob"], 2, 'There is no command "bob".\n'],
    ["help for a command that is not there", ["help", "nope"], 2, 'There is no command "nope".\n'],
    ["help for a subcommand that is not there", ["agents", "help", "nope"], 2, 'There is no command "nope".\n'],
    ["a time that is too long", ["run", "-t", "48h", "x"], 2, "--timeout <time>' argument '48h' is invalid"],
    ["a time that is none", ["run", "-t", "soon", "x"], 2, "30s"],
    ["a session id that is none", ["run", "-s", "A", "x"], 2, "session_id"],
    ["no prompt", ["run"], 2, "Give a prompt"],
    ["a model that nobody serves", ["run", "--model", "no-such-model", "x"], 2, "Ready here: "],
    ["a wrong token", ["status", "--token", "not-the-token-of-this-daemon"], 4, "token"],
    ["a folder outside of the roots", ["run", "--cwd", "/", "x"], 4, "/"],
    ["an unknown run", ["logs", "no-such-run"], 5, "no-such-run"],
    ["an unknown agent", ["inbox", "nobody"], 5, "nobody"],
  ])("%s ends in one sentence and a code", async (_name, argv, code, word) => {
    const finished = await ksi(argv, here);
    expect(finished).toMatchObject({ code, stdout: "" });
    expect(finished.stderr).toContain(word);
    expect(finished.stderr).not.toMatch(/^ +at /m);
  });

  test("help names the exit codes, and -v the version", async () => {
    for (const argv of [["--help"], ["help", "run"]]) {
      const { code, stdout } = await ksi(argv, here);
      expect(code).toBe(0);
      expect(stdout).toContain("Exit codes: 0 it worked, 1 the run did not complete");
    }
    expect(await ksi(["-v"], here)).toEqual(await ksi(["--version"], here));
  });

  test("runs without a hit says what was asked for", async () => {
    const { code, stdout, stderr } = await ksi(["runs", "--status", "timed_out", "-s", randomUUID()], here);
    expect({ code, stdout }).toEqual({ code: 0, stdout: "" });
    expect(stderr).toMatch(/^No run of session [0-9a-f-]{36} has the status timed_out\.\n$/);
  });

  test("run says once that it waits for its session's earlier runs, and nothing when it does not", async () => {
    const session = randomUUID();
    const slow = await ksi(["run", "-d", "--json", "-s", session, "one two", ...slowly(60_000)], here);
    await using run = start(["run", "-s", session, "three"], here);
    await until(() => run.text.stderr.includes("Waiting for the session's earlier runs"));
    await ksi(["cancel", JSON.parse(slow.stdout).run_id], here);
    expect(await run.finished).toMatchObject({ code: 0, stdout: "three\n" });
    expect(run.text.stderr.match(/Waiting/g)).toHaveLength(1);
    expect((await ksi(["run", "-s", session, "four"], here)).stderr).not.toContain("Waiting");
  });

  test("who stands outside of the roots and gave no --cwd is told what to do", async () => {
    const { code, stderr } = await ksi(["run", "x"], { ...here, cwd: "/" });
    expect(code).toBe(4);
    expect(stderr).toContain("pass --cwd");
    expect(stderr).toContain("ksi serve --roots /");
  });

  test("messages go to one inbox or to all, and an inbox can be read and followed", async () => {
    for (const name of ["bob", "carol"]) await ksi(["agents", "register", name, "--capabilities", "review"], here);
    expect(lines((await ksi(["agents"], here)).stdout)).toHaveLength(2);
    await using following = start(["inbox", "bob", "-f", "--json"], here);
    await ksi(["send", "--from", "alice", "--to", "bob", "The tests", "pass."], here);
    expect((await ksi(["send", "--from", "bob", "--all", "Lunch!"], here)).stdout).toBe("Sent to 1 inbox.\n");
    await ksi(["send", "--from", "carol", "--to", "bob", "--type", "TASK", "--payload", '{"id":7}'], here);

    await until(() => lines(following.text.stdout).length === 2);
    expect(lines(following.text.stdout).map((line) => JSON.parse(line))).toMatchObject([
      { source: "alice", target: "bob", event_type: "DIRECT_MESSAGE", payload: { content: "The tests pass." } },
      { source: "carol", event_type: "TASK", payload: { id: 7 } },
    ]);
    following.child.kill("SIGINT");
    expect(await following.finished).toMatchObject({ code: 0 });
    expect((await ksi(["inbox", "carol"], here)).stdout).toMatch(/bob → everyone +BROADCAST +Lunch!\n$/);
    await ksi(["agents", "unregister", "bob"], here);
    expect(lines((await ksi(["agents"], here)).stdout)).toHaveLength(1);
  });

  test("a value is set from a word or from stdin, printed as JSON, listed and deleted", async () => {
    const state = (argv: string[], stdin?: string) => ksi(["state", ...argv], here, stdin);
    const set = await state(["set", "plan", "a b/😀", '{"step":1,"list":[]}', "--ttl", "7d", "--json"]);
    expect(set).toMatchObject({ code: 0, stderr: "" });
    const { version, expires_at, updated_at } = JSON.parse(set.stdout);
    expect(Date.parse(expires_at) - Date.parse(updated_at)).toBe(604_800_000);
    const long = "x".repeat(200_000);
    expect(await state(["set", "plan", "piped", "-"], ` [ "${long}",\n null ]\n`)).toMatchObject({
      code: 0,
      stdout: `Set piped in plan: version ${version + 1}.\n`,
    });
    expect(await state(["set", "plan", "n", "--", "-5"])).toMatchObject({ code: 0 });

    const [got, piped, negative, keys, some, none] = await Promise.all([
      state(["get", "plan", "a b/😀"]),
      state(["get", "plan", "piped", "--json"]),
      state(["get", "plan", "n"]),
      state(["list", "plan", "--json"]),
      state(["list", "plan", "--prefix", "a "]),
      state(["list", "plan", "--prefix", "no"]),
    ]);
    expect(got).toMatchObject({ code: 0, stdout: '{"step":1,"list":[]}\n' });
    expect(got.stderr).toMatch(new RegExp(`^version ${version}, set .*, kept for 6 d\n$`));
    expect(JSON.parse(piped.stdout)).toMatchObject({ value: [long, null], version: version + 1 });
    expect(negative.stdout).toBe("-5\n");
    expect(lines(keys.stdout).map((line) => JSON.parse(line).key)).toEqual(["a b/😀", "n", "piped"]);
    expect(some.stdout).toMatch(new RegExp(`^${version} .* a b/😀\n$`));
    expect(none).toEqual({ code: 0, stdout: "", stderr: "There is no key that begins with no in plan.\n" });
    expect(await state(["delete", "plan", "n"])).toMatchObject({ code: 0, stdout: "Deleted n in plan.\n" });
    expect(await state(["get", "plan", "n"])).toMatchObject({ code: 5, stdout: "" });
  });

  test("a value changes only with the version that was named, and what is no value is refused", async () => {
    const state = (argv: string[], stdin?: string) => ksi(["state", ...argv], here, stdin);
    const first = JSON.parse((await state(["set", "lock", "k", "1", "--if-version", "0", "--json"])).stdout);
    const other = String(first.version + 1);
    const refused = await Promise.all([
      state(["set", "lock", "k", "2", "--if-version", "0"]),
      state(["set", "lock", "k", "2", "--if-version", other]),
      state(["delete", "lock", "k", "--if-version", other]),
    ]);
    for (const { code, stdout, stderr } of refused) {
      expect({ code, stdout }).toEqual({ code: 6, stdout: "" });
      expect(stderr).toContain(`version ${first.version}`);
    }
    const wrong = await Promise.all([
      state(["set", "lock", "k", "{a:1}"]),
      state(["set", "lock", "k", "-"], "nothing"),
      state(["set", "lock", "k", "1", "--ttl", "366d"]),
      state(["set", "no blank", "k", "1"]),
    ]);
    for (const { code, stdout } of wrong) expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(await state(["delete", "lock", "k", "--if-version", String(first.version)])).toMatchObject({ code: 0 });
  });

  test("status, token and config say what there is", async () => {
    expect((await ksi(["status"], here)).stdout).toMatch(/status +healthy/);
    expect(JSON.parse((await ksi(["status", "--json"], here)).stdout)).toMatchObject({ status: "healthy" });
    const token = await readFile(join(here.dataDir, "token"), "utf8");
    expect((await ksi(["token"], here)).stdout.trim()).toBe(token.trim());
    expect((await ksi(["config", "--port", "9"], here)).stdout).toMatch(/port +9 +--port\n/);
  });

  test("a reader that leaves early ends the command in silence", async () => {
    await using run = start(["run", "one two three four", ...slowly(200)], here);
    await until(() => run.text.stdout.includes("one"));
    run.child.stdout?.destroy();
    expect((await run.finished).stderr).not.toMatch(/EPIPE|^ +at /m);
  });

  test("a second daemon on the same data directory is refused in one sentence", async () => {
    const { code, stderr } = await ksi(["serve", "--port", "0", "--log-level", "silent"], here);
    expect(code).toBe(6);
    expect(stderr).toContain(here.dataDir);
    expect(lines(stderr)).toHaveLength(1);
  });
});

describe("without a daemon", () => {
  test("a command says how to start one, and exits with 3", async () => {
    await using folder = await createTempFolder();
    const here = { cwd: folder.path, dataDir: join(folder.path, "data") };
    const { code, stderr } = await ksi(["run", "x"], here);
    expect(code).toBe(3);
    expect(stderr).toContain("Start one with `npm start` or `ksi serve`.");
    expect(lines(stderr)).toHaveLength(1);
  });

  test("an address that a killed daemon left behind is named, and so is one where something else answers", async () => {
    await using folder = await createTempFolder();
    const here = { cwd: folder.path, dataDir: folder.path };
    let port: number;
    {
      await using other = createHttpServer((_request, response) => response.end("hello")).listen(0, "127.0.0.1");
      await once(other, "listening");
      port = (other.address() as { port: number }).port;
      await writeFile(join(folder.path, "daemon.json"), JSON.stringify({ url: `http://127.0.0.1:${port}`, pid: 1 }));
      const stranger = await ksi(["status"], here);
      expect(stranger).toMatchObject({ code: 3, stderr: expect.stringContaining("is no KSI daemon") });
    }
    const nobody = await ksi(["status"], here);
    expect(nobody).toMatchObject({ code: 3, stderr: expect.stringContaining(`${port}, does not answer`) });
  });

  test("a port in use is told in one sentence", async () => {
    await using folder = await createTempFolder();
    await using other = createServer().listen(0, "127.0.0.1");
    await once(other, "listening");
    const { port } = other.address() as { port: number };
    const here = { cwd: folder.path, dataDir: join(folder.path, "data") };
    const { code, stderr } = await ksi(["serve", "--port", String(port), "--log-level", "silent"], here);
    expect(code).toBe(6);
    expect(stderr).toContain(String(port));
    expect(lines(stderr)).toHaveLength(1);
  });
});

describe("Ctrl-C of a daemon", () => {
  test("the first one lets a run finish, and leaves no process and no trace of an address", async () => {
    await using folder = await createTempFolder();
    const here = { cwd: folder.path, dataDir: join(folder.path, "data") };
    await using daemon = await serve(here);
    await using run = start(["run", "one two three", ...slowly(700)], here);
    await until(() => run.text.stdout.includes("one"));
    expect((await processesOf(here.dataDir)).length, "daemon, Redis and the run's ksi").toBeGreaterThan(2);
    daemon.child.kill("SIGINT");
    expect(await daemon.finished).toMatchObject({ code: 0 });
    expect(daemon.text.stderr).toMatch(/Draining: waiting up to 30\.0 s for 1 run to finish/);
    expect((await ksi(["status"], here)).code).toBe(3);
    await until(async () => (await processesOf(here.dataDir)).length === 0, { message: "no process is left" });
    expect(run.text.stdout).toBe("one two three\n");
  });

  test("the second one ends it at once", async () => {
    await using folder = await createTempFolder();
    const here = { cwd: folder.path, dataDir: join(folder.path, "data") };
    await using daemon = await serve(here);
    await ksi(["run", "--detach", "one two three", ...slowly(60_000)], here);
    await until(async () => (await ksi(["runs", "--status", "running"], here)).stdout.includes("running"));
    daemon.child.kill("SIGINT");
    await until(() => daemon.text.stderr.includes("Ctrl-C again"));
    // One press of the key can arrive twice, so a second one counts only a little later.
    await until(() => {
      daemon.child.kill("SIGINT");
      return daemon.child.exitCode !== null;
    });
    expect(await daemon.finished).toMatchObject({ code: 130 });
    expect(daemon.text.stderr).toContain("Stopped at once; 1 run was killed.");
    await until(async () => (await processesOf(here.dataDir)).length === 0, { message: "no process is left" });
  });
});

/** Whatever runs with this folder in its command line or environment, which descendants inherit. */
async function processesOf(folder: string): Promise<string[]> {
  const listing = spawn("ps", ["axeww", "-o", "pid=,args="], { stdio: ["ignore", "pipe", "inherit"] });
  let text = "";
  listing.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    text += chunk;
  });
  await once(listing, "close");
  return lines(text).filter((line) => line.includes(folder));
}
