import { Command } from "@commander-js/extra-typings";
import { loadConfig } from "@ksi/server";
import { expect, test } from "vitest";
import { addConfigFlags, addWorkerFlags, readConfigFlags } from "./config-flags.ts";

function parse(...argv: string[]) {
  const program = new Command("ksi").option("--url <url>").option("--data-dir <folder>");
  const serve = program.command("serve").action(() => {});
  addConfigFlags(serve);
  program.parse(argv, { from: "user" });
  return { flags: readConfigFlags(serve), options: serve.options };
}

test("every flag sets a setting that the daemon has", async () => {
  const { sources } = await loadConfig({ env: {}, cwd: "/" });
  const values = parse("serve").options.map(({ long, required }) => (required ? [`${long}=x`] : [`${long}`]));
  const { flags } = parse("serve", ...values.flat());
  expect(Object.keys(sources)).toEqual(expect.arrayContaining(Object.keys(flags)));
});

test("what is not on the command line is left to environment, file and defaults", () => {
  expect(parse("serve").flags).toEqual({});
});

test("flags before and after the command count; the address is for clients alone", () => {
  expect(parse("--data-dir", "d", "serve", "--url", "http://a", "--port", "0", "--no-worker").flags).toEqual({
    data_dir: "d",
    port: "0",
    worker: false,
  });
});

test("--model and --allow are what one would try first", () => {
  expect(parse("serve", "--model", "opus", "--allow", "/a,/b").flags).toEqual({
    default_model: "opus",
    roots: "/a,/b",
  });
});

test("a worker takes and shows only the flags that it uses", () => {
  const program = new Command("ksi").option("--url <url>").option("--data-dir <folder>");
  const worker = program.configureHelp({ showGlobalOptions: true }).command("worker");
  addWorkerFlags(worker);
  const help = worker.helpInformation();
  for (const used of ["--redis-url", "--max-concurrent-runs", "--roots", "--data-dir"]) expect(help).toContain(used);
  for (const unused of ["--host", "--port", "--no-worker", "--insecure-bind", "--url"]) {
    expect(help).not.toContain(`${unused} `);
  }
});
