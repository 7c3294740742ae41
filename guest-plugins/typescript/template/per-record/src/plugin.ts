import { definePlugin, put, Reject, setting, Shaped } from "nozzle-plugin";

interface Item {
  hidden?: boolean;
}

/** A call a record: `PUT items/ID`, with the record as body. */
export default definePlugin({
  settings: {
    target: setting.text("items"),
  },

  shape(batch, { target }) {
    const shaped = new Shaped().header("content-type", "application/json");
    // `event.json()` throws where the record is no JSON; `each` rejects that record, and goes on with the others.
    return shaped.each(batch, (event) => {
      const item = event.json<Item | null>();
      if (item?.hidden) return shaped.drop(event);
      const name = event.key || event.id;
      if (name === "." || name === "..") throw new Reject(`\`${name}\` would lead to another folder`);
      return shaped.send(put(`${target}/${encodeURIComponent(name)}`).body(event.data).events(event));
    });
  },
});
