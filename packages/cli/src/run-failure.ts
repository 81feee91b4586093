import { KsiError } from "@ksi/contract/errors";

/**
 * What an accepted run ended with. The command that asked for it was right, so that a code which would mean wrong usage
 * of the command (a model that the provider does not know, say) means a run that failed.
 */
export class RunFailure extends KsiError {}
