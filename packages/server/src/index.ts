export {
  type Config,
  type ConfigInputs,
  type ConfigKey,
  type LoadedConfig,
  loadConfig,
  maskSecrets,
} from "./config.ts";
export { type Daemon, type StartOptions, startDaemon } from "./daemon.ts";
export { createLogger, type Logger, type LoggerOptions } from "./logger.ts";
export { startWorkerProcess, type WorkerProcess } from "./worker-process.ts";
