import { expect, test } from "vitest";
import { pickAgentEnvironment } from "./agent-environment.ts";

test("an agent gets what programs need, what configures it, and what the configuration names", () => {
  const passed = {
    PATH: "/bin",
    LC_ALL: "C",
    https_proxy: "http://proxy",
    ANTHROPIC_API_KEY: "key",
    CLAUDE_CODE_USE_BEDROCK: "1",
    DISABLE_TELEMETRY: "1",
    XDG_CONFIG_HOME: "/x",
    AWS_PROFILE: "dev",
  };
  const kept = { GITHUB_TOKEN: "t", KSI_TOKEN: "t", KSI_REDIS_URL: "r", CLAUDECODE: "1", NODE_OPTIONS: "--inspect" };
  expect(pickAgentEnvironment({ ...passed, ...kept, EMPTY: undefined }, ["AWS_PROFILE", "EMPTY"])).toEqual(passed);
});

test("what is the daemon's own never passes, also when it is named", () => {
  expect(pickAgentEnvironment({ KSI_TOKEN: "t" }, ["KSI_TOKEN"])).toEqual({});
});

test("a name that ends in an asterisk lets all pass that begin so", () => {
  const env = { AWS_PROFILE: "dev", AWS_REGION: "eu", AWSOME: "1", KSI_TOKEN: "t" };
  expect(pickAgentEnvironment(env, ["AWS_*", "K*"])).toEqual({ AWS_PROFILE: "dev", AWS_REGION: "eu" });
});
