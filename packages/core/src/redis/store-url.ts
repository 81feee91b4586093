import { KsiError } from "@ksi/contract/errors";
import type { RedisOptions } from "ioredis";

/** Replies keep the shapes of RESP2 (ioredis's default, also over RESP3), which BullMQ and our code expect. */
export type AddressOptions = Omit<RedisOptions, "replyMapping">;

export interface StoreAddress {
  readonly options: AddressOptions;
  /** For people: host and port, or the socket's path; never the password. */
  readonly description: string;
}

const urlShape = /^(?<scheme>[a-z+]+):\/\/(?:(?<login>[^@/]*)@)?(?<hosts>[^/?]*)(?<path>\/[^?]*)?(?:\?.*)?$/;

const accepted =
  "redis://[user:password@]host[:port][/db], rediss://… for TLS, unix:///path/to/redis.sock, " +
  "or redis+sentinel://host[:port],host[:port]/primary-name[/db]";

/**
 * Reads `KSI_REDIS_URL`. `INVALID_INPUT`, without repeating the URL (it may hold a password), for anything that is not
 * one of: `redis://`, `rediss://`, `unix://`, `redis+sentinel://`. A Cluster (a list of hosts under `redis://`) is
 * refused by name, since KSI does not support it yet.
 */
export function parseStoreUrl(url: string): StoreAddress {
  const parts = urlShape.exec(url.trim())?.groups;
  if (!parts) throw refuse("is not a URL.");
  const { scheme = "", login, hosts = "", path = "" } = parts;
  const auth = parseLogin(login);
  switch (scheme) {
    case "unix":
      if (hosts !== "" || path.length < 2) throw refuse("needs an absolute path, as in unix:///run/redis.sock.");
      return { options: { path: decode(path), ...auth }, description: decode(path) };
    case "redis":
    case "rediss":
      if (hosts.includes(",")) {
        throw refuse("names several hosts; Redis Cluster is not supported yet. Use one host, or redis+sentinel://.");
      }
      return parseSingle({ hosts, path, auth, tls: scheme === "rediss" });
    case "redis+sentinel":
      return parseSentinel({ hosts, path, auth });
    default:
      throw refuse("has a scheme that KSI does not know.");
  }
}

interface Login {
  username?: string;
  password?: string;
}

function parseSingle(url: { hosts: string; path: string; auth: Login; tls: boolean }): StoreAddress {
  const { host, port } = parseHost(url.hosts, 6379);
  const options = { host, port, ...parseDb(url.path.slice(1)), ...url.auth, ...(url.tls && { tls: {} }) };
  return { options, description: `${host}:${port}` };
}

function parseSentinel(url: { hosts: string; path: string; auth: Login }): StoreAddress {
  const sentinels = url.hosts.split(",").map((host) => parseHost(host, 26379));
  const [name = "", db = ""] = url.path.slice(1).split("/");
  if (name === "") throw refuse("needs the name of the primary after the Sentinels.");
  return {
    options: { sentinels, name: decode(name), ...parseDb(db), ...url.auth },
    description: `${name} (by the Sentinels ${url.hosts})`,
  };
}

function parseHost(text: string, defaultPort: number): { host: string; port: number } {
  const match = /^(?:\[(?<v6>[\da-f:.]+)\]|(?<name>[^:[\]]*))(?::(?<port>\d{1,5}))?$/i.exec(text)?.groups;
  if (!match) throw refuse("has a host that cannot be read.");
  const port = match.port === undefined ? defaultPort : Number(match.port);
  if (port < 1 || port > 65_535) throw refuse("has a port that is not between 1 and 65535.");
  return { host: match.v6 ?? (match.name || "127.0.0.1"), port };
}

function parseDb(text: string): { db?: number } {
  if (text === "") return {};
  if (!/^\d+$/.test(text)) throw refuse("has a database that is not a number.");
  return { db: Number(text) };
}

function parseLogin(login: string | undefined): Login {
  if (login === undefined) return {};
  const colon = login.indexOf(":");
  if (colon === -1) return { username: decode(login) };
  const username = decode(login.slice(0, colon));
  return { ...(username !== "" && { username }), password: decode(login.slice(colon + 1)) };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw refuse("has a % that begins no escape; write it as %25.");
  }
}

function refuse(what: string): KsiError {
  return new KsiError("INVALID_INPUT", `KSI_REDIS_URL ${what} Accepted: ${accepted}.`);
}
