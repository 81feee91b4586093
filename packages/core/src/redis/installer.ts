/** Puts a Redis into a folder of the cache, and gives the path of its executable. */
export interface Installer {
  /** For the log, after "Redis is not installed; ". */
  readonly plan: string;
  /** Why it cannot work here, or undefined. */
  obstacle(find: FindOnPath): Promise<string | undefined>;
  install(options: InstallOptions): Promise<string>;
}

export interface InstallOptions {
  /** Exists. What is made in it is complete under its final name, or not there. */
  readonly cache: string;
  readonly env: NodeJS.ProcessEnv;
  readonly signal: AbortSignal;
}

export type FindOnPath = (name: string) => Promise<string | undefined>;
