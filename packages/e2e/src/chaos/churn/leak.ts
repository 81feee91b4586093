/** Loaded into a daemon, it keeps every connection that was ever made to it: the leak that the scenario has to find. */
import { subscribe } from "node:diagnostics_channel";

const kept: unknown[] = [];
subscribe("net.server.socket", (message) => kept.push(message));
