/** Words to the operator: lines in the host's log, under the sink's id, and counters. */

import { u64 } from "./outcome";
import { wellFormed } from "./utf8";
import type { Host, Level } from "./wit";

/** What stands in for the host until the component is connected to it: tests need none. */
let host: Host = { log() {}, count() {} };

export function setHost(other: Host): void {
  host = other;
}

type Fields = Record<string, unknown>;

const line =
  (level: Level) =>
  (message: string, fields: Fields = {}): void =>
    host.log(level, wellFormed(message), Object.entries(fields).map(([name, value]) => [wellFormed(name), wellFormed(show(value))]));

/** Writes a line. A message is best a constant, with what varies in the fields. */
export const log = {
  trace: line("trace"),
  debug: line("debug"),
  info: line("info"),
  warn: line("warn"),
  error: line("error"),
};

/** Adds to the counter `nozzle_plugin_<name>_total`: `name` is of lower-case letters, digits and `_`, at most 64 of them. */
export function count(name: string, by = 1): void {
  host.count(name, u64(by));
}

/** QuickJS has no `console`; with this one `console.log` is a line in the host's log. */
export const console = {
  debug: (...parts: unknown[]) => log.debug(parts.map(show).join(" ")),
  log: (...parts: unknown[]) => log.info(parts.map(show).join(" ")),
  info: (...parts: unknown[]) => log.info(parts.map(show).join(" ")),
  warn: (...parts: unknown[]) => log.warn(parts.map(show).join(" ")),
  error: (...parts: unknown[]) => log.error(parts.map(show).join(" ")),
};

function show(value: unknown): string {
  if (typeof value === "string") return value;
  return value instanceof Error ? `${value.name}: ${value.message}` : (JSON.stringify(value) ?? String(value));
}
