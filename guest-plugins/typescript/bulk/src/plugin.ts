/**
 * An NDJSON bulk API, as Elasticsearch's `_bulk`: an action line and a data line for each record, and a response with one item for each.
 * Only the items that failed are sent again.
 */

import { definePlugin, log, post, setting, Shaped } from "nozzle-plugin";

import { actionLine } from "./action";
import { verdicts } from "./items";

export default definePlugin({
  settings: {
    target: setting.text("_bulk"),
    action: setting.text("index"),
    "action-fields": setting.object({}),
    "id-field": setting.text("_id"),
    "key-field": setting.text(""),
    delivered: setting.list(setting.integer(undefined, 0, 65535), []),
  },

  configure({ target, delivered, ...action }) {
    return { target, delivered, line: actionLine(action) };
  },

  shape(batch, { target, line }) {
    let body = "";
    const sent: number[] = [];
    const shaped = new Shaped().header("content-type", "application/x-ndjson").each(batch, (event) => {
      // JSON has no line ends inside its strings: those that there are stand between its parts.
      const record = event.jsonText().replaceAll("\n", "").replaceAll("\r", "");
      body += `${line(event)}\n${record}\n`;
      sent.push(event.index);
    });
    return sent.length ? shaped.send(post(target).body(body).events(sent)) : shaped;
  },

  handle(outcome, call, { delivered }) {
    if (outcome.kind !== "response" || !outcome.ok) return "by-status";
    try {
      const each = verdicts(outcome.json(), call.eventCount, delivered);
      return each.every((verdict) => verdict === "delivered") ? "delivered" : { each };
    } catch (error) {
      // A bulk API that does not say what became of each item has not said that they are stored.
      log.warn("the response is no bulk response", { error });
      return "retry";
    }
  },
});
