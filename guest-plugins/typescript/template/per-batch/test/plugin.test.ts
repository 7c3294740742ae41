import assert from "node:assert/strict";
import test from "node:test";

import { start } from "nozzle-plugin/testing";

import plugin from "../src/plugin";

test("a record that is no JSON does not spoil the array", () => {
  const instance = start(plugin);

  const { requests, reject } = instance.shape(['{"n":1}', "oops", "2"]);

  assert.deepEqual(requests.map(({ events }) => events), [[0, 2]]);
  assert.deepEqual(reject.map(({ event }) => event), [1]);
});

test("without a record to send there is no call", () => {
  const instance = start(plugin);

  const { requests } = instance.shape(["oops"]);

  assert.deepEqual(requests, []);
});
