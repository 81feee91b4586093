/** `ksi token`: the daemon's token, for other clients. */
import { KsiError } from "@ksi/contract/errors";
import { type Cli, examples, type Program } from "../cli.ts";
import { findDataDir, readToken } from "../find-daemon.ts";

export function addTokenCommand(program: Program, cli: Cli): void {
  program
    .command("token")
    .summary("print the daemon's token")
    .description("Prints the token that the daemon asks for: that of --token, KSI_TOKEN, or the data directory.")
    .addHelpText("after", examples(cli, [["KSI_TOKEN=$(ksi token) node my-app.js", "give it to a program of yours"]]))
    .action(async (_options, command) => {
      const options = command.optsWithGlobals();
      const dataDir = await findDataDir(options, cli);
      const token = options.token || cli.env.KSI_TOKEN || (await readToken(dataDir));
      if (!token) {
        const advice = "The daemon makes one at its first start: `npm start` or `ksi serve`.";
        throw new KsiError("NOT_FOUND", `There is no token in ${dataDir} yet. ${advice}`);
      }
      cli.terminal.out.line(token);
    });
}
