/**
 * `nozzle:plugin@0.1.0` (the folder `wit`), as both engines show it: options are `null` or left out, variants have a `tag` and a `val`,
 * 64-bit numbers are numbers in QuickJS and bigints in the full engine.
 */

export interface Span {
  start: number;
  len: number;
}

export interface EventMeta {
  timestampMs: number | bigint;
  id: Span;
  key?: Span | null;
  data: Span;
  firstAttribute: number;
  attributeCount: number;
}

export interface Batch {
  bytes: Uint8Array;
  events: EventMeta[];
  attributes: { name: Span; value: Span }[];
}

export interface Event {
  id: string;
  key?: string | null;
  timestampMs: number | bigint;
  attributes: [string, string][];
  data: Uint8Array;
}

export type Method = "get" | "head" | "post" | "put" | "patch" | "delete";

export type Header = [name: string, value: string];

export interface Joined {
  prefix: Uint8Array;
  separator: Uint8Array;
  suffix: Uint8Array;
}

export type Body = { tag: "empty" } | { tag: "bytes"; val: Uint8Array } | { tag: "joined"; val: Joined };

export interface Request {
  method: Method;
  endpoint: string | null;
  target: string;
  headers: Header[];
  body: Body;
  events: number[];
}

export interface Rejection {
  event: number;
  reason: string;
}

export interface Shaped {
  headers: Header[];
  requests: Request[];
  drop: number[];
  reject: Rejection[];
}

export interface Response {
  status: number;
  headers: Header[];
  body: Uint8Array;
  truncated: boolean;
}

export type Failure =
  | { tag: "timeout" }
  | { tag: "connect"; val: string }
  | { tag: "tls"; val: string }
  | { tag: "protocol"; val: string };

export type Outcome = { tag: "ok"; val: Response } | { tag: "err"; val: Failure };

export type EventVerdict = { tag: "delivered" } | { tag: "retry" } | { tag: "reject"; val: string };

export type Verdict =
  | { tag: "by-status" }
  | { tag: "delivered" }
  | { tag: "retry"; val: number | bigint | null }
  | { tag: "reject"; val: string }
  | { tag: "each"; val: EventVerdict[] };

export interface Emission {
  key: string | null;
  attributes: [string, string][];
  data: Uint8Array;
}

export interface Handled {
  verdict: Verdict;
  results: Emission[];
}

/** What the component exports. */
export interface Exports {
  shaping: {
    configure(config: string): void;
    shape(batch: Batch): Shaped;
  };
  handling: {
    handle(outcome: Outcome): Handled;
  };
}

export type Level = "trace" | "debug" | "info" | "warn" | "error";

/** The import `nozzle:plugin/host`. */
export interface Host {
  log(level: Level, message: string, fields: [string, string][]): void;
  count(name: string, by: number | bigint): void;
}

/** The import `nozzle:plugin/current-call`. */
export interface CurrentCall {
  attempt(): number;
  getRequest(): Request;
  eventCount(): number;
  getEvent(index: number): Event | null | undefined;
  getEvents(): Batch;
}
