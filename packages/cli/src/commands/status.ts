/** `ksi status`: what the daemon is doing. */
import type { SystemStatus } from "@ksi/client";
import { type Cli, examples, type Program } from "../cli.ts";
import { connect } from "../connect.ts";
import { formatBytes, formatDuration } from "../format.ts";
import type { Stream } from "../terminal.ts";

export function addStatusCommand(program: Program, cli: Cli): void {
  program
    .command("status")
    .summary("what the daemon is doing")
    .description("Shows whether the daemon is healthy, what it is running, and which runners it found.")
    .option("--json", "print one line of JSON")
    .addHelpText("after", examples(cli, [["ksi status", "health, load and runners"]]))
    .action(async (_options, command) => {
      const { json, ...connection } = command.optsWithGlobals();
      await using link = await connect(connection, cli);
      const status = await link.ksi.system.status();
      const { out } = cli.terminal;
      if (json) return out.line(JSON.stringify(status));
      const { redis_info: redis } = status;
      const color = status.status === "healthy" ? "green" : "yellow";
      const redisFacts = [
        `${redis.mode} ${redis.version}`,
        formatBytes(redis.used_memory_bytes),
        `${redis.connected_clients} connections`,
      ];
      out.line(`KSI ${status.version} at ${link.address.url}`);
      out.line(`status         ${out.style(color, status.status)}, up for ${formatDuration(status.uptime_ms)}`);
      out.line(`runs           ${status.active_processes} running, ${status.queued} queued`);
      out.line(`agents         ${status.agents} registered`);
      out.line(`default model  ${out.foreign(status.default_model)}`);
      out.line(`redis          ${redisFacts.join(", ")}`);
      out.line(`runners        ${describeRunners(status.runners, out).join(`\n${" ".repeat(15)}`)}`);
    });
}

type RunnerStatus = SystemStatus["runners"][number];

/** One line a runner: found or not, its version, and advice where it was not. */
export function describeRunners(runners: readonly RunnerStatus[], stream: Stream): string[] {
  return runners.map(({ name, available, version, advice }) =>
    available
      ? `${stream.style("green", "✓")} ${stream.foreign([name, version].filter(Boolean).join(" "))}`
      : `${stream.style("yellow", "✗")} ${stream.foreign(`${name}: ${advice ?? "not available"}`)}`,
  );
}
