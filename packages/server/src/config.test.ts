import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { KsiError } from "@ksi/contract/errors";
import { createTempFolder } from "@ksi/testing";
import { expect, test } from "vitest";
import { loadConfig, maskSecrets } from "./config.ts";

test("a flag wins over the environment, that over the file, that over the default, and each says where it came from", async () => {
  await using folder = await createTempFolder();
  const file = join(folder.path, "ksi.config.yaml");
  await writeFile(file, "port: 1\nhost: localhost\nlog_level: warn\n");
  const { config, sources } = await loadConfig({
    flags: { port: "3", host: undefined },
    env: { HOME: folder.path, KSI_PORT: "2", KSI_LOG_LEVEL: "error", KSI_TOKEN: "" },
    cwd: folder.path,
  });
  expect(config).toMatchObject({ port: 3, log_level: "error", host: "localhost", run_timeout_ms: 300_000 });
  expect(sources).toMatchObject({
    port: "--port",
    log_level: "KSI_LOG_LEVEL",
    host: file,
    run_timeout_ms: "default",
    token: "default",
  });
});

test("without a file the defaults are those of the documentation", async () => {
  await using folder = await createTempFolder();
  const { config } = await loadConfig({ env: { HOME: folder.path }, cwd: folder.path });
  expect(config).toMatchObject({
    data_dir: join(folder.path, ".ksi"),
    host: "127.0.0.1",
    port: 8000,
    roots: [folder.path],
    worker: true,
    drain_timeout_ms: 30_000,
    requests_per_minute: 60_000,
    wait_max_ms: 600_000,
  });
  expect(config.tools).toContain("Bash");
  expect(config.token).toBeUndefined();
});

test("the file in the data directory is read when there is none in the working directory", async () => {
  await using folder = await createTempFolder();
  const dataDir = join(folder.path, "data");
  await mkdir(dataDir);
  await writeFile(join(dataDir, "ksi.config.yaml"), "port: 4\nroots: [work]\n");
  const { config } = await loadConfig({ env: { KSI_DATA_DIR: "data" }, cwd: folder.path });
  expect(config).toMatchObject({ data_dir: dataDir, port: 4, roots: [join(dataDir, "work")] });
});

test("lists and paths of the environment are split and made absolute, program names are not", async () => {
  await using folder = await createTempFolder();
  const env = { HOME: "/home/me", KSI_ROOTS: "~/work, src", KSI_ALLOWED_HOSTS: "a.example,b.example", KSI_DEBUG: "1" };
  const { config } = await loadConfig({ flags: { claude_bin: "claude", worker: false }, env, cwd: folder.path });
  expect(config.roots).toEqual(["/home/me/work", join(folder.path, "src")]);
  expect(config.allowed_hosts).toEqual(["a.example", "b.example"]);
  expect(config).toMatchObject({ claude_bin: "claude", worker: false, debug: true });
});

test("an error names each wrong key and where its value came from", async () => {
  await using folder = await createTempFolder();
  await writeFile(join(folder.path, "ksi.config.yaml"), "max_concurrent_runs: many\n");
  const loading = loadConfig({ flags: { port: "80000" }, env: { KSI_DEBUG: "perhaps" }, cwd: folder.path });
  await expect(loading).rejects.toMatchObject({ code: "INVALID_INPUT" });
  await expect(loading).rejects.toThrow("port (from --port): must be a whole number from 0 to 65535");
  await expect(loading).rejects.toThrow("debug (from KSI_DEBUG): must be true or false");
  await expect(loading).rejects.toThrow(/max_concurrent_runs \(from .*ksi\.config\.yaml\): must be a whole number/);
});

test.each([
  ["prot: 1", "prot is not a setting"],
  ["port: [", "is not valid YAML"],
  ["- 1", "must hold keys and values"],
])("a file that holds %j is refused: %s", async (content, message) => {
  await using folder = await createTempFolder();
  await writeFile(join(folder.path, "ksi.config.yaml"), content);
  await expect(loadConfig({ env: {}, cwd: folder.path })).rejects.toThrow(message);
});

test("profiles of the configuration are read with it, and a wrong one is a wrong setting", async () => {
  await using folder = await createTempFolder();
  const load = async (profiles: string) => {
    await writeFile(join(folder.path, "ksi.config.yaml"), `profiles: ${profiles}\n`);
    return (await loadConfig({ env: {}, cwd: folder.path })).config.profiles;
  };
  expect(await load("{ coder: { model: opus, tools: [Read], cwd: ~ }, bare: {} }")).toEqual({
    coder: { model: "opus", tools: ["Read"] },
    bare: {},
  });
  const source = ` (from ${join(folder.path, "ksi.config.yaml")})`;
  const refusal = (profiles: string) =>
    load(profiles).then(String, ({ code, message }: KsiError) => `${code} ${message.replace(source, "")}`);
  expect(await refusal("[coder]")).toBe("INVALID_INPUT profiles: must be an object");
  expect(await refusal("{ coder: opus }")).toBe("INVALID_INPUT profiles.coder: must be an object");
  expect(await refusal("{ coder: { tols: [] } }")).toMatch(/ profiles\.coder: .* tols \(did you mean tools\?\)/);
  expect(await refusal("{ coder: { timeout_ms: 0 } }")).toMatch(/ profiles\.coder\.timeout_ms: must be at least 1$/);
  expect(await refusal("{ coder: { name: other } }")).toMatch(/ profiles\.coder\.name: must be coder, or be left out$/);
  expect(await refusal("{ my own: {} }")).toMatch(/ profiles\.my own: is no name of a profile/);
});

test("a host that other machines can reach is refused unless that is asked for", async () => {
  await using folder = await createTempFolder();
  const inputs = { env: {}, cwd: folder.path };
  const flags = { host: "0.0.0.0", data_dir: folder.path };
  await expect(loadConfig({ ...inputs, flags })).rejects.toThrow("--insecure-bind");
  const { config } = await loadConfig({ ...inputs, flags: { ...flags, insecure_bind: true } });
  expect(config.host).toBe("0.0.0.0");
});

test("what is printed masks the token and the password in the URL of Redis", async () => {
  await using folder = await createTempFolder();
  const env = { KSI_TOKEN: "0123456789abcdef", KSI_REDIS_URL: "redis://me:secret@a:1,redis://:other@b:2" };
  const { config } = await loadConfig({ env, cwd: folder.path });
  expect(maskSecrets(config)).toMatchObject({
    token: "********",
    redis_url: "redis://me:********@a:1,redis://:********@b:2",
  });
});
