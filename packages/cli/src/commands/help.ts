/** `ksi help COMMAND`, and what is said of a command that does not exist. */
import type { CommandUnknownOpts } from "@commander-js/extra-typings";
import { didYouMean } from "@ksi/contract/near-names";

/** Takes the place of commander's own, which answers an unknown name with the whole help and no word about the name. */
export function addHelpCommand(group: CommandUnknownOpts): void {
  group
    .command("help")
    .helpGroup("Commands:")
    .description("print the help of a command")
    .argument("[command]")
    .helpOption(false)
    .action((name) => {
      const command = name === undefined ? group : group.commands.find((known) => known.name() === name);
      if (!command) return refuseUnknownCommand(group, String(name));
      command.help();
    });
}

/**
 * For a group whose list is what it does by itself: commander takes a name that is no subcommand for an argument of the list,
 * and says only that there are too many.
 */
export function refuseStrayNames(group: CommandUnknownOpts, list: CommandUnknownOpts): void {
  list.allowExcessArguments().hook("preAction", () => {
    const [name] = list.args;
    if (name !== undefined) refuseUnknownCommand(group, name);
  });
}

/** One sentence, and the exit code of a mistake of usage. */
export function refuseUnknownCommand(group: CommandUnknownOpts, name: string): never {
  const names = group.commands.map((command) => command.name());
  group.error(`error: There is no command ${JSON.stringify(name)}.${didYouMean(name, names)}`);
}
