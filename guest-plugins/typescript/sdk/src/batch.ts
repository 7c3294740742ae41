/** The events of a batch, read in place. */

import { maxDepth, parse, TooDeep } from "./json";
import { type Reader, reader } from "./utf8";
import type * as wit from "./wit";

/**
 * Thrown for a record that can never be delivered. Inside `Shaped.each` it rejects that record alone, with its message as the reason.
 */
export class Reject extends Error {
  override name = "Reject";
}

/** Events in the order of their ingress: `for (const event of batch)`. There is at least one. */
export class Batch implements Iterable<Event> {
  readonly #batch: wit.Batch;
  readonly #reader: Reader;

  constructor(batch: wit.Batch) {
    this.#batch = batch;
    this.#reader = reader(batch.bytes);
  }

  get length(): number {
    return this.#batch.events.length;
  }

  /** The event at `index`, if there is one. */
  at(index: number): Event | undefined {
    const meta = this.#batch.events[index];
    return meta && new Event(this.#batch, this.#reader, meta, index);
  }

  *[Symbol.iterator](): Iterator<Event> {
    for (const [index, meta] of this.#batch.events.entries()) yield new Event(this.#batch, this.#reader, meta, index);
  }
}

/** One event. What is not asked for is not read. */
export class Event {
  readonly #batch: wit.Batch;
  readonly #reader: Reader;
  readonly #meta: wit.EventMeta;
  /** Its place in the batch. */
  readonly index: number;

  constructor(batch: wit.Batch, reader: Reader, meta: wit.EventMeta, index: number) {
    this.#batch = batch;
    this.#reader = reader;
    this.#meta = meta;
    this.index = index;
  }

  /** Where the record stands in its ingress: the same on every redelivery. */
  get id(): string {
    return this.#text(this.#meta.id);
  }

  /** The record's key, if it has one. */
  get key(): string | undefined {
    return this.#meta.key ? this.#text(this.#meta.key) : undefined;
  }

  /** When the record entered the ingress, in milliseconds since the Unix epoch. */
  get timestampMs(): number {
    return Number(this.#meta.timestampMs);
  }

  /** The record itself: a view into the batch. */
  get data(): Uint8Array {
    return this.#bytes(this.#meta.data);
  }

  /** Names and values that the ingress has added. */
  get attributes(): [name: string, value: string][] {
    const { firstAttribute: first, attributeCount: count } = this.#meta;
    const attributes = this.#batch.attributes.slice(first, first + count);
    return attributes.map(({ name, value }) => [this.#text(name), this.#text(value)]);
  }

  /** The value of one attribute. */
  attribute(name: string): string | undefined {
    return this.attributes.find(([other]) => other === name)?.[1];
  }

  /** The record as text. Throws `Reject` where it is no UTF-8. */
  text(): string {
    try {
      return this.#text(this.#meta.data);
    } catch {
      throw new Reject("the record is no UTF-8");
    }
  }

  /** The record as one JSON value. Throws `Reject` where it is none. Name what you expect: `event.json<Order>()`; nothing checks it. */
  json<T = unknown>(): T {
    return this.#json().value as T;
  }

  /** The text of the record, which is one JSON value. Throws `Reject` where it is none. Numbers keep every digit, keys their order. */
  jsonText(): string {
    return this.#json().text;
  }

  #json(): { text: string; value: unknown } {
    let text: string;
    try {
      text = this.#text(this.#meta.data);
    } catch {
      throw new Reject("the record is no JSON, as it is no UTF-8");
    }
    try {
      return { text, value: parse(text) };
    } catch (error) {
      if (error instanceof TooDeep) throw new Reject(`the record is nested deeper than ${maxDepth} levels`);
      throw new Reject(`the record is no JSON: ${(error as Error).message}`);
    }
  }

  #bytes({ start, len }: wit.Span): Uint8Array {
    return this.#batch.bytes.subarray(start, start + len);
  }

  #text(span: wit.Span): string {
    return this.#reader(span.start, span.len);
  }
}
