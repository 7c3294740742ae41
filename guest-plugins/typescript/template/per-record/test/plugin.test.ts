import assert from "node:assert/strict";
import test from "node:test";

import { bodyText, start } from "nozzle-plugin/testing";

import plugin from "../src/plugin";

test("each record is a call, and hidden ones are none", () => {
  const instance = start(plugin, { target: "things" });

  const { requests, drop } = instance.shape([{ key: "a/b", data: '{"n":1}' }, '{"hidden":true}']);

  assert.deepEqual(requests.map(({ target, events }) => [target, events]), [["things/a%2Fb", [0]]]);
  assert.equal(bodyText(requests[0]), '{"n":1}');
  assert.deepEqual(drop, [1]);
});

test("a setting that is not there is refused", () => {
  assert.throws(() => start(plugin, { tarGet: "x" }), (message) => String(message).includes("unknown field `tarGet`"));
});
