import { type EventVerdict, definePlugin, log, post, setting, Shaped } from "nozzle-plugin";

/** A bulk call with partial failures: a line a record, and an answer with an item for each, `{"items":[{"status":201},{"status":400,"error":"…"}]}`. */
export default definePlugin({
  settings: {
    target: setting.text("bulk"),
  },

  shape(batch, { target }) {
    let body = "";
    const sent: number[] = [];
    const shaped = new Shaped().header("content-type", "application/x-ndjson").each(batch, (event) => {
      // As it is written: `event.json()` would round long numbers. Line ends stand between JSON's parts, never in its strings.
      const record = event.jsonText().replaceAll(/[\r\n]/g, "");
      body += `{"id":${JSON.stringify(event.id)},"record":${record}}\n`;
      sent.push(event.index);
    });
    return sent.length ? shaped.send(post(target).body(body).events(sent)) : shaped;
  },

  handle(outcome, call) {
    // A busy or broken service, a redirect, no answer at all: the sink's status policy knows what to do.
    if (outcome.kind !== "response" || !outcome.ok) return "by-status";
    try {
      return { each: verdicts(outcome.json(), call.eventCount) };
    } catch (error) {
      // Nobody has said that they are stored.
      log.warn("the response does not say what became of each record", { error });
      return "retry";
    }
  },
});

interface Answer {
  items: { status: number; error?: unknown }[];
}

function verdicts(answer: unknown, events: number): EventVerdict[] {
  const { items } = answer as Answer;
  if (items.length !== events) throw new Error(`${items.length} items for ${events} events`);
  return items.map(({ status, error }) => {
    if (typeof status !== "number") throw new Error("an item without a status");
    if (status >= 200 && status < 300) return "delivered";
    if ([408, 425, 429].includes(status) || (status >= 500 && status < 600)) return "retry";
    if (status >= 400 && status < 500) return { reject: `item status ${status}: ${JSON.stringify(error ?? null).slice(0, 200)}` };
    throw new Error(`an item of status ${status}`);
  });
}
