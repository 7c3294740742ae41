import assert from "node:assert/strict";
import test from "node:test";

import { verdicts } from "../src/items";

test("a long error is cut, between characters", () => {
  const found = verdicts({ items: [{ status: 400, error: "😀".repeat(300) }] }, 1, []);

  assert.deepEqual(found, [{ reject: `item status 400: ${"😀".repeat(200)}` }]);
});

test("an item whose status is no whole number says nothing", () => {
  for (const status of [200.5, "200", null, undefined, true]) assert.throws(() => verdicts({ items: [{ status }] }, 1, []));
});
