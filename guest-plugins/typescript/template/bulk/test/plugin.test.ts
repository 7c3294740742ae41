import assert from "node:assert/strict";
import test from "node:test";

import { bodyText, bytes, start } from "nozzle-plugin/testing";

import plugin from "../src/plugin";

test("a record is a line with its id", () => {
  const instance = start(plugin);

  const { requests } = instance.shape([{ id: "a", data: '{"n":\n1}' }]);

  assert.equal(bodyText(requests[0]), '{"id":"a","record":{"n":1}}\n');
});

test("only what failed is sent again", () => {
  const instance = start(plugin);
  const body = bytes('{"items":[{"status":201},{"status":503},{"status":400,"error":"too old"}]}');

  const { verdict } = instance.handle({ status: 200, body }, ["1", "2", "3"]);

  const each = [{ tag: "delivered" }, { tag: "retry" }, { tag: "reject", val: 'item status 400: "too old"' }];
  assert.deepEqual(verdict, { tag: "each", val: each });
});
