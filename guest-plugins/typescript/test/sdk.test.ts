import assert from "node:assert/strict";
import test from "node:test";

import { definePlugin, post, Reject, setting, Shaped } from "nozzle-plugin";
import { bodyText, bytes, start } from "nozzle-plugin/testing";

const message = (expected: string) => (thrown: unknown) => {
  assert.equal(thrown, expected);
  return true;
};

test("settings have defaults, and names without hyphens", () => {
  const plugin = definePlugin({
    settings: { "id-field": setting.text("_id"), size: setting.integer(7, 1), mode: setting.choice(["a", "b"], "a"), on: setting.flag(true) },
    shape: (_, settings) => new Shaped().header("seen", JSON.stringify(settings)),
  });
  const seen = (config: unknown) => JSON.parse(start(plugin, config).shape(["x"]).headers[0]![1]);

  assert.deepEqual(seen(null), { idField: "_id", size: 7, mode: "a", on: true });
  assert.deepEqual(seen({ "id-field": "", size: 1, mode: "b", on: false }), { idField: "", size: 1, mode: "b", on: false });
});

test("settings that make no sense are refused in words for the user", () => {
  const plugin = definePlugin({
    settings: { url: setting.text(), size: setting.integer(7, 1, 9), mode: setting.choice(["a", "b"], "a"), list: setting.list(setting.integer(), []) },
    shape: () => new Shaped(),
  });
  const table: [unknown, string][] = [
    [{}, "missing field `url`"],
    [null, "missing field `url`"],
    [{ url: "x", sise: 1 }, "unknown field `sise`, expected one of `url`, `size`, `mode`, `list`"],
    [{ url: "x", toString: 1 }, "unknown field `toString`, expected one of `url`, `size`, `mode`, `list`"],
    [{ url: 1 }, "`url`: invalid type: number 1, expected a string"],
    [{ url: "x", size: 10 }, "`size`: invalid type: number 10, expected a whole number from 1 to 9"],
    [{ url: "x", mode: "c" }, '`mode`: invalid type: string "c", expected one of `a`, `b`'],
    [{ url: "x", list: [1, "2"] }, `\`list\`: invalid type: string "2", expected a whole number from ${Number.MIN_SAFE_INTEGER} to ${Number.MAX_SAFE_INTEGER}`],
    [[], "invalid type: list, expected an object"],
  ];

  for (const [config, expected] of table) assert.throws(() => start(plugin, config), message(expected));
});

test("an event is read as it is", () => {
  const found: unknown[] = [];
  const plugin = definePlugin({
    shape(batch) {
      for (const event of batch) found.push([event.index, event.id, event.key, event.timestampMs, event.attributes, event.attribute("b"), event.text()]);
      found.push(batch.length, batch.at(1)?.id, batch.at(2));
      return new Shaped();
    },
  });

  start(plugin).shape([{ id: "é", key: "", timestampMs: 5, attributes: { a: "1", b: "2" }, data: "\ufeffx" }, "y"]);

  assert.deepEqual(found, [[0, "é", "", 5, [["a", "1"], ["b", "2"]], "2", "\ufeffx"], [1, "1", undefined, 0, [], undefined, "y"], 2, "1", undefined]);
});

test("half of a pair of surrogates traps nothing: the host takes well-formed text alone", () => {
  const half = "\u{1f980}".slice(0, 1);
  const plugin = definePlugin({
    shape: (batch) => new Shaped().header("x", half).send(post(half).header(half, "y").events([0])).each(batch, (event) => {
      if (event.index === 1) throw new Reject(`no ${half}`);
    }),
    handle: () => ({ verdict: { each: [{ reject: half }] }, results: [{ key: half, attributes: { [half]: half }, data: half }] }),
  });

  const { headers, requests, reject } = start(plugin).shape(["0", "1"]);

  assert.deepEqual(headers, [["x", "\ufffd"]]);
  assert.deepEqual([requests[0]!.target, requests[0]!.headers], ["\ufffd", [["\ufffd", "y"]]]);
  assert.deepEqual(reject, [{ event: 1, reason: "no \ufffd" }]);
  const { verdict, results } = start(plugin).handle({}, ["x"]);
  assert.deepEqual(verdict, { tag: "each", val: [{ tag: "reject", val: "\ufffd" }] });
  assert.deepEqual(results.map(({ key, attributes }) => [key, attributes]), [["\ufffd", [["\ufffd", "\ufffd"]]]]);
});

test("a record that is no JSON, or that the plugin does not want, is rejected alone", () => {
  const plugin = definePlugin({
    shape(batch) {
      const shaped = new Shaped();
      return shaped.each(batch, (event) => {
        if (event.json() === 0) throw new Reject("nobody wants 0");
        shaped.send(post("").body(event.jsonText()).events(event));
      });
    },
  });

  const { requests, reject } = start(plugin).shape(["1", "0", "x", "\ufeff1", Uint8Array.of(0x22, 0xff, 0x22), '"é"']);

  assert.deepEqual(requests.map((request) => [request.events, bodyText(request)]), [[[0], "1"], [[5], '"é"']]);
  assert.deepEqual(reject.map(({ event }) => event), [1, 2, 3, 4]);
  assert.equal(reject[0]!.reason, "nobody wants 0");
  assert.match(reject[1]!.reason, /^the record is no JSON: /);
  assert.equal(reject[3]!.reason, "the record is no JSON, as it is no UTF-8");
});

test("values of any depth do not end the plugin", () => {
  const plugin = definePlugin({
    shape(batch) {
      const shaped = new Shaped();
      return shaped.each(batch, (event) => shaped.send(post("").body(event.jsonText()).events(event)));
    },
    handle: (outcome) => (outcome.kind === "response" ? { reject: String(outcome.json()) } : "retry"),
  });
  const deepest = "[".repeat(1000) + "]".repeat(1000);
  const flat = JSON.stringify(Array(900).fill([[], "[[", { "\\": '"[' }]));

  const { requests, reject } = start(plugin).shape([deepest, flat, `[${deepest}]`, '{"a":'.repeat(100_000)]);

  assert.deepEqual(requests.map(({ events }) => events), [[0], [1]]);
  assert.deepEqual(reject.map(({ reason }) => reason), Array(2).fill("the record is nested deeper than 1000 levels"));
  assert.throws(() => start(plugin).handle({ body: bytes(`[${deepest}]`) }, ["x"]), /nested deeper/);
});

test("an error in shape is one of the batch, with its cause", () => {
  const fail = (error: () => never) => start(definePlugin({ shape: error }));
  const thrown = (run: () => never) => {
    try {
      fail(run).shape(["x"]);
    } catch (error) {
      return error;
    }
  };

  assert.equal(thrown(() => { throw new Error("too cold"); }), "too cold");
  assert.match(String(thrown(() => (null as unknown as () => never)())), /^TypeError: .* \(in /);
  assert.match(String(thrown((() => Promise.resolve()) as unknown as () => never)), /cannot be asynchronous/);
});

test("verdicts are the words of the contract", () => {
  const verdict = (answer: unknown) => {
    const plugin = definePlugin({ shape: () => new Shaped(), handle: () => answer as "delivered" });
    return start(plugin).handle({}, ["x"]).verdict;
  };

  assert.deepEqual(verdict("by-status"), { tag: "by-status" });
  assert.deepEqual(verdict("delivered"), { tag: "delivered" });
  assert.deepEqual(verdict("retry"), { tag: "retry", val: null });
  assert.deepEqual(verdict({ retry: 1.6 }), { tag: "retry", val: 2n });
  assert.deepEqual(verdict({ reject: "no" }), { tag: "reject", val: "no" });
  assert.deepEqual(verdict({ each: ["retry", { reject: "no" }] }), { tag: "each", val: [{ tag: "retry" }, { tag: "reject", val: "no" }] });
  assert.throws(() => verdict("Delivered"), /no verdict: "Delivered"/);
  assert.throws(() => verdict(undefined), /no verdict/);
  assert.throws(() => verdict({ each: ["by-status"] }), /no verdict of an event/);
});

test("a handler sees the response and its call, and answers with results", () => {
  const plugin = definePlugin({
    shape: (batch) => new Shaped().send(post("a").events(batch)),
    handle(outcome, call) {
      if (outcome.kind !== "response") return { reject: `${outcome.kind}: ${outcome.message}` };
      const event = call.event(0);
      const data = JSON.stringify([outcome.header("x"), outcome.json(), call.attempt, call.request.target, event?.key, call.events().at(1)?.text()]);
      return { verdict: "delivered", results: [{ key: event?.key, attributes: { status: String(outcome.status) }, data }] };
    },
  });
  const instance = start(plugin);

  const handled = instance.handle({ headers: [["x", "1"]], body: bytes("[]") }, [{ key: "k", data: "1" }, "2"], 3);
  const failed = instance.handle({ tag: "connect", val: "refused" }, ["1"]);

  assert.equal(new TextDecoder().decode(handled.results[0]!.data), '["1",[],3,"a","k","2"]');
  assert.deepEqual([handled.results[0]!.key, handled.results[0]!.attributes], ["k", [["status", "200"]]]);
  assert.deepEqual(failed.verdict, { tag: "reject", val: "connect: refused" });
});

test("an error in handle is logged before it is a trap", () => {
  const plugin = definePlugin({
    shape: () => new Shaped(),
    handle() {
      throw new Error("no idea");
    },
  });
  const instance = start(plugin);

  assert.throws(() => instance.handle({}, ["x"]));
  assert.deepEqual(instance.logged, [["error", "handle threw an error"]]);
});
