/** Building answers to `shape`. */

import { type Batch, Event, Reject } from "./batch";
import { encode, wellFormed } from "./utf8";
import type * as wit from "./wit";

/** A request without a body. `target` is resolved against the endpoint's URL: "items" stands below its path, "/items" replaces it, "" is the URL itself. */
export function request(method: wit.Method, target: string): Request {
  return new Request(method, target);
}

/** A GET. */
export const get = (target: string) => request("get", target);
/** A POST. */
export const post = (target: string) => request("post", target);
/** A PUT. */
export const put = (target: string) => request("put", target);
/** A PATCH. */
export const patch = (target: string) => request("patch", target);
/** A DELETE. */
export const del = (target: string) => request("delete", target);

/** One HTTP call that the host shall make. */
export class Request {
  readonly #request: wit.Request;

  constructor(method: wit.Method, target: string) {
    this.#request = { method, endpoint: null, target: wellFormed(target), headers: [], body: { tag: "empty" }, events: [] };
  }

  /** Sends it to the endpoint that the sink grants under this name, in place of its default one. Another name breaks the contract. */
  endpoint(name: string): this {
    this.#request.endpoint = wellFormed(name);
    return this;
  }

  /** A header of this request alone. */
  header(name: string, value: string): this {
    this.#request.headers.push([wellFormed(name), wellFormed(value)]);
    return this;
  }

  /** This text, in UTF-8, or these bytes as body. */
  body(body: string | Uint8Array): this {
    this.#request.body = { tag: "bytes", val: typeof body === "string" ? encode(body) : body };
    return this;
  }

  /** `value` as JSON, with its content type. */
  json(value: unknown): this {
    return this.header("content-type", "application/json").body(JSON.stringify(value));
  }

  /** The data of the request's events as body, joined by the host: it need not pass through the plugin. */
  joined(prefix: string, separator: string, suffix: string): this {
    const joined = { prefix: encode(prefix), separator: encode(separator), suffix: encode(suffix) };
    this.#request.body = { tag: "joined", val: joined };
    return this;
  }

  /** The events that this request delivers: events, their indices, or a whole batch. */
  events(events: Event | Iterable<Event | number>): this {
    const all = events instanceof Event ? [events] : events;
    this.#request.events = Array.from(all, (event) => (typeof event === "number" ? event : event.index));
    return this;
  }

  /** As the host takes it. */
  lower(): wit.Request {
    return this.#request;
  }
}

/** An answer to `shape`: every event of the batch stands in one place, in a request, dropped or rejected. */
export class Shaped {
  readonly #shaped: wit.Shaped = { headers: [], requests: [], drop: [], reject: [] };

  /** A header for every request of this answer. */
  header(name: string, value: string): this {
    this.#shaped.headers.push([wellFormed(name), wellFormed(value)]);
    return this;
  }

  /** Adds a call. */
  send(request: Request): this {
    this.#shaped.requests.push(request.lower());
    return this;
  }

  /** Filters an event out: it is done without a call, and counted. */
  drop(event: Event): this {
    this.#shaped.drop.push(event.index);
    return this;
  }

  /** Dead-letters an event with a reason. */
  reject(event: Event, reason: string): this {
    this.#shaped.reject.push({ event: event.index, reason: wellFormed(reason) });
    return this;
  }

  /** Calls `place` for each event. Where it throws `Reject`, as `event.json()` does, that event is rejected, and the others go on. */
  each(batch: Batch, place: (event: Event) => void): this {
    for (const event of batch) {
      try {
        place(event);
      } catch (error) {
        if (!(error instanceof Reject)) throw error;
        this.reject(event, error.message);
      }
    }
    return this;
  }

  /** As the host takes it. */
  lower(): wit.Shaped {
    return this.#shaped;
  }
}
