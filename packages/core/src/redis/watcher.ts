import { spawn } from "node:child_process";

export interface Watcher {
  /** From now on `pid` is ended when this process ends, however it ends. */
  watch(pid: number): void;
  /** To be called when the watched process is gone, so that a later owner of its pid is safe. */
  close(): void;
}

/** A zombie does not run any more; in a container nobody may reap it. Without /proc the signal alone decides. */
const script = `
is_running() {
  kill -0 "$pid" 2>/dev/null || return 1
  [ -r "/proc/$pid/stat" ] && read -r stat <"/proc/$pid/stat" || return 0
  case \${stat##*) } in [ZX]*) return 1 ;; esac
}
read -r pid || exit 0
read -r _
kill -TERM "$pid" 2>/dev/null
i=0
while is_running; do
  i=$((i + 1))
  [ "$i" -gt 200 ] && kill -KILL "$pid" 2>/dev/null && exit 0
  sleep 0.05
done
`;

/**
 * A shell (one megabyte) that waits for the pipe from this process to break, which the kernel does even after SIGKILL,
 * and then terminates the watched process, after ten seconds by force. It has a session of its own, so that no Ctrl-C
 * and no kill of the daemon's group takes it along.
 *
 * Parent-death signals would do the same on Linux alone, where `setpriv` knows them (BusyBox's does not).
 */
export function startWatcher(): Watcher {
  const shell = spawn("/bin/sh", ["-c", script, "ksi-redis-watcher"], {
    cwd: "/",
    detached: true,
    env: { PATH: "/usr/bin:/bin" },
    stdio: ["pipe", "ignore", "ignore"],
  });
  // Without a shell there is no watcher, and a daemon that is killed leaves its Redis to the next one to stop.
  shell.on("error", () => undefined);
  shell.stdin.on("error", () => undefined);
  shell.unref();
  return {
    watch: (pid) => shell.stdin.write(`${pid}\n`),
    close: () => shell.kill("SIGKILL"),
  };
}
