/** Runs a plugin in a test, without a host and without a component: `node --test`. */

import type { Plugin } from "./plugin";
import { decode, encode } from "./utf8";
import type * as wit from "./wit";

/** One event of a test; what is left out is empty, and the id its index. */
export interface TestEvent {
  id?: string;
  key?: string;
  timestampMs?: number;
  attributes?: Record<string, string>;
  data: string | Uint8Array;
}

/** A plugin that is configured. */
export interface Instance {
  /** Throws the message with which the plugin refuses the batch. */
  shape(events: (TestEvent | string | Uint8Array)[]): wit.Shaped;
  /** Handles the outcome of a call of these events. */
  handle(outcome: Partial<wit.Response> | wit.Failure, events: (TestEvent | string | Uint8Array)[], attempt?: number): wit.Handled;
  /** What the plugin has logged: level and message. */
  readonly logged: [wit.Level, string][];
}

/** Configures a plugin; throws the message with which it refuses `config`. */
export function start(plugin: Plugin, config: unknown = null): Instance {
  const logged: [wit.Level, string][] = [];
  let current: { batch: wit.Batch; attempt: number } | undefined;
  const batch = () => current?.batch ?? { bytes: new Uint8Array(), events: [], attributes: [] };
  const { shaping, handling } = plugin.connect(
    {
      log: (level, message) => logged.push([level, message]),
      count() {},
    },
    {
      attempt: () => current?.attempt ?? 0,
      eventCount: () => batch().events.length,
      getEvents: batch,
      getEvent: (index) => liftEvent(batch(), index),
      getRequest: () => shaping.shape(batch()).requests[0]!,
    },
  );
  shaping.configure(JSON.stringify(config));
  return {
    logged,
    shape: (events) => shaping.shape(layOut(events)),
    handle(outcome, events, attempt = 1) {
      current = { batch: layOut(events), attempt };
      if ("tag" in outcome) return handling.handle({ tag: "err", val: outcome });
      return handling.handle({ tag: "ok", val: { status: 200, headers: [], body: new Uint8Array(), truncated: false, ...outcome } });
    },
  };
}

/** Text as the bytes of a body. */
export const bytes = encode;

/** The body of a request as text; a joined one is "(joined)". */
export function bodyText(request: wit.Request | undefined): string {
  if (request?.body.tag === "bytes") return decode(request.body.val);
  return request?.body.tag === "joined" ? "(joined)" : "";
}

function layOut(events: (TestEvent | string | Uint8Array)[]): wit.Batch {
  const parts: number[] = [];
  const put = (part: string | Uint8Array): wit.Span => {
    const bytes = typeof part === "string" ? encode(part) : part;
    const span = { start: parts.length, len: bytes.length };
    for (const byte of bytes) parts.push(byte);
    return span;
  };
  const attributes: wit.Batch["attributes"] = [];
  const metas = events.map((given, index): wit.EventMeta => {
    const event: TestEvent = typeof given === "string" || given instanceof Uint8Array ? { data: given } : given;
    const own = Object.entries(event.attributes ?? {});
    const meta = {
      timestampMs: event.timestampMs ?? 0,
      id: put(event.id ?? String(index)),
      key: event.key === undefined ? null : put(event.key),
      data: put(event.data),
      firstAttribute: attributes.length,
      attributeCount: own.length,
    };
    for (const [name, value] of own) attributes.push({ name: put(name), value: put(value) });
    return meta;
  });
  return { bytes: Uint8Array.from(parts), events: metas, attributes };
}

function liftEvent(batch: wit.Batch, index: number): wit.Event | null {
  const meta = batch.events[index];
  if (!meta) return null;
  const bytes = ({ start, len }: wit.Span) => batch.bytes.slice(start, start + len);
  const text = (span: wit.Span) => decode(bytes(span));
  const own = batch.attributes.slice(meta.firstAttribute, meta.firstAttribute + meta.attributeCount);
  return {
    id: text(meta.id),
    key: meta.key ? text(meta.key) : null,
    timestampMs: meta.timestampMs,
    attributes: own.map(({ name, value }) => [text(name), text(value)]),
    data: bytes(meta.data),
  };
}
