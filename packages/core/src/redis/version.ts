export interface RedisVersion {
  readonly major: number;
  readonly minor: number;
}

/** Functions, `SET NX GET` and multi-part append-only files came with 7.0; older versions get no more fixes. */
export const oldestVersion = "7.0";

export function isSupported({ major }: RedisVersion): boolean {
  return major >= 7;
}

export function describeVersion({ major, minor }: RedisVersion): string {
  return `${major}.${minor}`;
}
