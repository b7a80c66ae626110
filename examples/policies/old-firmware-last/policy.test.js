// `node --test policy.test.js`: the policy without a sandbox.

import assert from "node:assert/strict";
import { test } from "node:test";

import { api } from "./policy.js";

/** Devices whose firmware versions these are, as the host hands them over. */
function devices(versions) {
  const texts = ["firmware_version"];
  const sets = { ends: [0], keys: [], values: [] };
  for (const version of versions) {
    if (version !== null) {
      sets.keys.push(0);
      sets.values.push(texts.push(version) - 1);
    }
    sets.ends.push(sets.keys.length);
  }
  let end = 0;
  const ends = texts.map((text) => (end += new TextEncoder().encode(text).length));
  return {
    host: "node-1",
    count: versions.length,
    sets: { ...sets, texts: { joined: texts.join(""), ends } },
    attributes: versions.map((_, i) => i + 1),
  };
}

const configure = (settings) => api.configure(new TextEncoder().encode(settings));
const prefer = (versions) => Array.from(api.prefer({ requests: [], facts: [] }, devices(versions)));

test("the newest firmware is preferred, and the oldest comes last", () => {
  assert.deepEqual(configure('{"oldest": "22.31.1014"}'), { prefer: true, attributes: true });
  assert.deepEqual(prefer(["22.35.9", "22.35.10", "22.31.1013", null, "22.35.9", "ü", "22.31.1014"]), [2, 3, 0, 0, 2, 0, 1]);
});

test("a wrong configuration is an error that says why", () => {
  assert.throws(() => configure("{"), (error) => error.startsWith("the configuration is not JSON"));
  assert.throws(() => configure('{"newest": 1}'), (error) => error.startsWith("there is no setting newest"));
});
