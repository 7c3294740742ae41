import type { EventVerdict } from "nozzle-plugin";

/** One verdict for each of `events` items. `{"status": …}` and Elasticsearch's `{"index": {"status": …}}` are read. */
export function verdicts(answer: unknown, events: number, delivered: readonly number[]): EventVerdict[] {
  const items = isObject(answer) ? answer.items : undefined;
  if (!Array.isArray(items)) throw new Error("there are no items");
  if (items.length !== events) throw new Error(`${items.length} items for ${events} events`);
  return items.map((item) => verdict(item, delivered));
}

function verdict(given: unknown, delivered: readonly number[]): EventVerdict {
  const candidates = isObject(given) ? [given, ...Object.values(given)] : [];
  const item = candidates.find((candidate) => isObject(candidate) && "status" in candidate) as Record<string, unknown> | undefined;
  if (!item) throw new Error("an item without a status");
  const { status } = item;
  if (typeof status !== "number" || !Number.isInteger(status)) throw new Error("a status that is no number");
  if ((status >= 200 && status < 300) || delivered.includes(status)) return "delivered";
  if (status === 408 || status === 425 || status === 429 || (status >= 500 && status < 600)) return "retry";
  if (status >= 400 && status < 500) return { reject: reason(status, item.error) };
  throw new Error(`an item of status ${status}`);
}

function reason(status: number, error: unknown): string {
  if (error === undefined) return `item status ${status}`;
  const inner = isObject(error) && typeof error.reason === "string" ? error.reason : error;
  const text = typeof inner === "string" ? inner : JSON.stringify(inner);
  // Characters, not halves of them.
  return `item status ${status}: ${Array.from(text).slice(0, 200).join("")}`;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
