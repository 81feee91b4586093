/** Notices every connection of this process, so that a test can say that none left the machine. */
import { Socket } from "node:net";

/** The hosts and socket files that were connected to since the call, as they were named. */
export function watchConnections(): () => string[] {
  const targets = new Set<string>();
  Socket.prototype.connect = new Proxy(Socket.prototype.connect, {
    apply(connect, socket, args: unknown[]) {
      targets.add(targetOf(args));
      return Reflect.apply(connect, socket, args);
    },
  });
  return () => [...targets];
}

/** `net.connect` hands its options over in an array, `tls.connect` as they are. */
function targetOf(args: readonly unknown[]): string {
  const options = args.flat().find((arg) => typeof arg === "object" && arg !== null) ?? {};
  if ("path" in options && typeof options.path === "string") return options.path;
  return "host" in options ? String(options.host) : "localhost";
}
