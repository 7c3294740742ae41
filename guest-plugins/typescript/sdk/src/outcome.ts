/** What became of a call, and what that means for its events. */

import { Batch } from "./batch";
import { parse } from "./json";
import { decode, encode, wellFormed } from "./utf8";
import type * as wit from "./wit";

/** A complete response, or why there is none. `kind` tells them apart. */
export type Outcome = Response | Failure;

/** A complete response; 3xx too, as redirects are never followed. */
export class Response {
  readonly kind = "response";
  readonly #response: wit.Response;

  constructor(response: wit.Response) {
    this.#response = response;
  }

  get status(): number {
    return this.#response.status;
  }

  /** Whether the status is 2xx. */
  get ok(): boolean {
    return this.status >= 200 && this.status < 300;
  }

  /** Names are in lower case. */
  get headers(): wit.Header[] {
    return this.#response.headers;
  }

  /** The first value of a header, by its name in lower case. */
  header(name: string): string | undefined {
    return this.headers.find(([other]) => other === name)?.[1];
  }

  get body(): Uint8Array {
    return this.#response.body;
  }

  /** Whether the host has cut the body off at `max-response-body`. */
  get truncated(): boolean {
    return this.#response.truncated;
  }

  /** The body as text. Throws where it is no UTF-8. */
  text(): string {
    return decode(this.body);
  }

  /** The body as JSON. Throws where it is none. Whatever a service sends can be in it: check it. */
  json(): unknown {
    return parse(this.text());
  }
}

/** Why no complete response arrived. */
export interface Failure {
  readonly kind: "timeout" | "connect" | "tls" | "protocol";
  readonly ok: false;
  /** What the host says of it; "" for a timeout. */
  readonly message: string;
}

/** What becomes of one event of a call. `retry`: it is shaped and sent again, when the sink's retry policy says so. */
export type EventVerdict = "delivered" | "retry" | { reject: string };

/** What becomes of the events of a call. */
export type Verdict =
  /** The sink's status policy decides. */
  | "by-status"
  | "delivered"
  | "retry"
  /** Try the call again, after so many milliseconds if the retry policy agrees. */
  | { retry: number }
  /** Dead-letter every event of the call. */
  | { reject: string }
  /** One verdict for each event of the call, in the order of the request's events. */
  | { each: EventVerdict[] };

/** A record for the sink's result egress. */
export interface Result {
  key?: string | undefined;
  attributes?: Record<string, string>;
  data: string | Uint8Array;
}

/** A verdict with results. */
export interface Handled {
  verdict: Verdict;
  results: Result[];
}

/** An event of the call whose outcome is being handled. */
export interface CallEvent {
  id: string;
  key: string | undefined;
  timestampMs: number;
  attributes: [name: string, value: string][];
  data: Uint8Array;
}

/** The call whose outcome is being handled. What is not asked for is not copied from the host. */
export class Call {
  readonly #call: wit.CurrentCall;

  constructor(call: wit.CurrentCall) {
    this.#call = call;
  }

  /** 1 for the first attempt. */
  get attempt(): number {
    return this.#call.attempt();
  }

  /** How many events the call delivers. */
  get eventCount(): number {
    return this.#call.eventCount();
  }

  /** The request as `shape` returned it. */
  get request(): wit.Request {
    return this.#call.getRequest();
  }

  /** One event of the call, by its place in the request's events. */
  event(index: number): CallEvent | undefined {
    const event = this.#call.getEvent(index);
    return event ? { ...event, key: event.key ?? undefined, timestampMs: Number(event.timestampMs) } : undefined;
  }

  /** All events of the call. */
  events(): Batch {
    return new Batch(this.#call.getEvents());
  }
}

export function liftOutcome(outcome: wit.Outcome): Outcome {
  if (outcome.tag === "ok") return new Response(outcome.val);
  const failure = outcome.val;
  return { kind: failure.tag, ok: false, message: failure.tag === "timeout" ? "" : failure.val };
}

export function lowerHandled(answer: Verdict | Handled): wit.Handled {
  const { verdict, results } = typeof answer === "object" && "verdict" in answer ? answer : { verdict: answer, results: [] };
  return { verdict: lowerVerdict(verdict), results: results.map(lowerResult) };
}

function lowerVerdict(verdict: Verdict): wit.Verdict {
  if (verdict === "by-status" || verdict === "delivered") return { tag: verdict };
  if (verdict === "retry") return { tag: "retry", val: null };
  if (typeof verdict === "object") {
    if ("retry" in verdict) return { tag: "retry", val: milliseconds(verdict.retry) };
    if ("reject" in verdict) return { tag: "reject", val: wellFormed(verdict.reject) };
    if ("each" in verdict) return { tag: "each", val: verdict.each.map(lowerEventVerdict) };
  }
  throw new TypeError(`\`handle\` returned what is no verdict: ${JSON.stringify(verdict)}`);
}

function lowerEventVerdict(verdict: EventVerdict): wit.EventVerdict {
  if (verdict === "delivered" || verdict === "retry") return { tag: verdict };
  if (typeof verdict === "object" && "reject" in verdict) return { tag: "reject", val: wellFormed(verdict.reject) };
  throw new TypeError(`\`handle\` returned what is no verdict of an event: ${JSON.stringify(verdict)}`);
}

function milliseconds(wish: number): number | bigint {
  return u64(Math.max(0, Math.round(wish)));
}

/** QuickJS takes numbers, the full engine bigints. */
export function u64(value: number): number | bigint {
  return "TextEncoder" in globalThis ? BigInt(value) : value;
}

function lowerResult({ key, attributes, data }: Result): wit.Emission {
  return {
    key: key === undefined || key === null ? null : wellFormed(key),
    attributes: Object.entries(attributes ?? {}).map(([name, value]) => [wellFormed(name), wellFormed(value)]),
    data: typeof data === "string" ? encode(data) : data,
  };
}
