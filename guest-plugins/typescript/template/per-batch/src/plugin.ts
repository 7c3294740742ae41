import { type Event, definePlugin, post, setting, Shaped } from "nozzle-plugin";

/** A call a batch: one JSON array. The host joins the records; they do not pass through the plugin a second time. */
export default definePlugin({
  settings: {
    target: setting.text("items"),
  },

  shape(batch, { target }) {
    const sent: Event[] = [];
    const shaped = new Shaped().header("content-type", "application/json").each(batch, (event) => {
      // Throws where the record is no JSON: it would spoil the array for its neighbours.
      event.jsonText();
      sent.push(event);
    });
    return sent.length ? shaped.send(post(target).joined("[", ",", "]").events(sent)) : shaped;
  },
});
