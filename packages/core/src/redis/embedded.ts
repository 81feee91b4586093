/**
 * The daemon's own Redis: a child process on a private folder and a Unix socket, that keeps what it acknowledged and
 * does not outlive the daemon.
 *
 * Its life: the folder is made and locked → a Redis that a killed daemon left behind is waited for, or stopped → the
 * binary is found → Redis is spawned beside a watcher → it answers (ready) → `close`: Redis is terminated, the watcher
 * ended, the lock released. When Redis ends before `close`, `onExit` says so once, and nothing is started again: the
 * daemon decides.
 *
 * docs/decisions/0002-embedded-redis.md has the reasons and figures.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { chmod, mkdir, statfs } from "node:fs/promises";
import { delimiter } from "node:path";
import { KsiError } from "@ksi/contract/errors";
import type { Logger } from "../logger.ts";
import { findRedisBinary } from "./binary.ts";
import { type FolderLock, lockFolder } from "./folder-lock.ts";
import { askRedis } from "./inline-command.ts";
import { collectTail, type LogTail } from "./log-tail.ts";
import { chooseSocketPath } from "./socket-path.ts";
import { startWatcher } from "./watcher.ts";

export interface EmbeddedOptions {
  /** The private folder of this Redis; made when it does not exist, with mode 0700 either way. */
  readonly dir: string;
  /** What `KSI_REDIS_BINARY` says. Otherwise the binary is looked for. */
  readonly binary?: string | undefined;
  /** Default true: every acknowledged write is on the disk. False keeps everything in memory only, for tests. */
  readonly isDurable?: boolean | undefined;
  readonly logger: Logger;
  /** Redis ended by itself. Called at most once, and not after `close`. */
  readonly onExit?: ((error: KsiError) => void) | undefined;
}

export interface EmbeddedRedis {
  readonly socketPath: string;
  readonly pid: number;
  /** Writes out what is left, ends the process (by force after five seconds) and gives the folder free. */
  close(): Promise<void>;
}

/** A Redis that loads a large log answers late; one that is silent for this long is broken. */
const startDeadlineMs = 60_000;
const stopDeadlineMs = 5_000;
/** How long a Redis whose daemon was killed may take to go down, before it is told to. */
const previousDeadlineMs = 5_000;
const pollMs = 3;
/** Less than this is as good as nothing: it does not hold one batch of events. */
const fullDiskBytes = 1_000_000;

/**
 * Resolves when Redis answers. `CONFLICT` while another daemon uses the folder, `STORE_UNAVAILABLE` when the folder
 * cannot be written to, no binary is found, or Redis does not start (with the end of its log).
 */
export async function startEmbeddedRedis(options: EmbeddedOptions): Promise<EmbeddedRedis> {
  const lock = await openFolder(options.dir);
  try {
    const [binary, socketPath] = await Promise.all([
      findRedisBinary({ binary: options.binary, logger: options.logger }),
      chooseSocketPath(options.dir),
    ]);
    await outwaitPrevious(socketPath, options, lock);
    return await launch({ ...options, binary, socketPath, lock });
  } catch (error) {
    await lock.release();
    throw error;
  }
}

async function openFolder(dir: string): Promise<FolderLock> {
  try {
    await mkdir(dir, { recursive: true, mode: 0o700 });
    await chmod(dir, 0o700);
    return await lockFolder(dir);
  } catch (error) {
    if (error instanceof KsiError) throw error;
    const { code = "", message } = error as NodeJS.ErrnoException;
    const reason = folderMeanings[code] ?? message;
    throw new KsiError("STORE_UNAVAILABLE", `The folder ${dir} for Redis's data cannot be used: ${reason}`, {
      cause: error,
    });
  }
}

const folderMeanings: Record<string, string> = {
  EACCES: "this user may not write there. Change its owner, or choose another KSI_DATA_DIR.",
  EPERM: "it belongs to another user. Change its owner, or choose another KSI_DATA_DIR.",
  EROFS: "the file system is read-only. Choose another KSI_DATA_DIR.",
  ENOSPC: "the disk is full.",
  EDQUOT: "the disk quota is used up.",
  ENOTDIR: "a part of the path is a file.",
  EEXIST: "there is a file of that name.",
};

/** The test "a Redis left by a killed daemon is waited for" guards this: two on one folder would mix their logs. */
async function outwaitPrevious(socketPath: string, options: EmbeddedOptions, lock: FolderLock): Promise<void> {
  if ((await askRedis(socketPath, "PING")) === undefined) return;
  options.logger.info({ socket: socketPath }, "The Redis of the daemon before is still going down; waiting for it.");
  if (await isGoneWithin(socketPath, previousDeadlineMs)) return;
  // Its daemon is dead for certain only when we could look it up; then nobody else will end it.
  if (lock.previous) await askRedis(socketPath, "SHUTDOWN");
  if (lock.previous && (await isGoneWithin(socketPath, previousDeadlineMs))) return;
  throw new KsiError(
    "CONFLICT",
    `Another Redis still runs on ${options.dir}. Stop the daemon that uses it (it may be in another container), or ` +
      "choose another KSI_DATA_DIR.",
    { details: { folder: options.dir } },
  );
}

async function isGoneWithin(socketPath: string, deadlineMs: number): Promise<boolean> {
  const deadline = performance.now() + deadlineMs;
  while (performance.now() < deadline) {
    await pause(20);
    if ((await askRedis(socketPath, "PING")) === undefined) return true;
  }
  return false;
}

interface Launch extends EmbeddedOptions {
  readonly binary: string;
  readonly socketPath: string;
  readonly lock: FolderLock;
}

async function launch(options: Launch): Promise<EmbeddedRedis> {
  const { socketPath, lock, logger } = options;
  const watcher = startWatcher();
  const child = spawnRedis(options);
  const tail = collectTail(child, (line) => logger.debug({ redis: line }, "Redis says"));
  const exit = new Promise<string>((resolve) => {
    child.once("error", (error) => resolve(`it cannot be run (${error.message})`));
    // `close` comes when its last words have been read, `exit` may come before.
    child.once("close", (code, signal) => resolve(signal ? `it was ended by ${signal}` : `it ended with code ${code}`));
  });
  if (child.pid === undefined) {
    watcher.close();
    throw await startFailure(await exit, options, tail);
  }
  watcher.watch(child.pid);

  let isClosing = false;
  const stop = async () => {
    isClosing = true;
    await endProcess(child, { socketPath, exit });
    watcher.close();
  };
  const failure = await Promise.race([exit, answers(socketPath)]);
  if (failure !== undefined) {
    await stop();
    throw await startFailure(failure, options, tail);
  }
  void exit.then(async (how) => {
    if (isClosing) return;
    watcher.close();
    const message = `The embedded Redis stopped by itself: ${how}.${await describeDisk(options.dir)}${tail.quote()}`;
    const error = new KsiError("STORE_UNAVAILABLE", message);
    logger.error({ pid: child.pid }, error.message);
    options.onExit?.(error);
  });
  const close = async () => {
    await stop();
    await lock.release();
  };
  let closed: Promise<void> | undefined;
  return { socketPath, pid: child.pid, close: () => (closed ??= close()) };
}

function spawnRedis({ binary, dir, socketPath, isDurable = true }: Launch): ChildProcess {
  const settings: Record<string, string> = {
    port: "0",
    unixsocket: socketPath,
    unixsocketperm: "600",
    dir,
    daemonize: "no",
    save: "",
    appendonly: isDurable ? "yes" : "no",
    // A reply means that the write is on the disk. Half the writes per second of `everysec`, with which a killed Redis
    // or machine may lose up to two seconds of what it acknowledged.
    appendfsync: "always",
  };
  const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]);
  return spawn(binary, args, {
    cwd: dir,
    // A session of its own: Ctrl-C reaches the daemon alone, which drains while it still has its store.
    detached: true,
    // None of the daemon's secrets.
    env: { PATH: process.env.PATH ?? ["/usr/bin", "/bin"].join(delimiter), LC_ALL: "C" },
    stdio: ["ignore", "pipe", "pipe"],
  });
}

/** Undefined once Redis answers; while it loads its data it says so, and is waited for. */
async function answers(socketPath: string): Promise<string | undefined> {
  const deadline = performance.now() + startDeadlineMs;
  while (performance.now() < deadline) {
    if ((await askRedis(socketPath, "PING"))?.startsWith("+PONG")) return undefined;
    await pause(pollMs);
  }
  return `it did not answer within ${startDeadlineMs / 1_000} s`;
}

interface Ending {
  readonly socketPath: string;
  readonly exit: Promise<string>;
}

async function endProcess(child: ChildProcess, { socketPath, exit }: Ending): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  // The command works at once, the signal within 100 ms and also where Redis does not listen yet.
  void askRedis(socketPath, "SHUTDOWN");
  child.kill("SIGTERM");
  const force = setTimeout(() => child.kill("SIGKILL"), stopDeadlineMs);
  await exit;
  clearTimeout(force);
}

async function startFailure(how: string, { binary, dir }: Launch, tail: LogTail): Promise<KsiError> {
  const message = `The embedded Redis (${binary}) did not start: ${how}.${await describeDisk(dir)}${tail.quote()}`;
  return new KsiError("STORE_UNAVAILABLE", message);
}

/** Redis itself says only "short write" when it ends because it cannot store what it would acknowledge. */
async function describeDisk(dir: string): Promise<string> {
  const disk = await statfs(dir).catch(() => undefined);
  const isFull = disk !== undefined && disk.bavail * disk.bsize < fullDiskBytes;
  return isFull ? ` The disk of ${dir} is full: free some space and start again; nothing acknowledged is lost.` : "";
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
