// node build.mjs WIT-FOLDER OUTPUT: makes the component, without any import of WASI.

import { readFile, writeFile } from "node:fs/promises";

import { componentize } from "@bytecodealliance/componentize-js";

const [witPath, output] = process.argv.slice(2);
const { component } = await componentize(await readFile("policy.js", "utf8"), {
  witPath,
  worldName: "policy",
  // What is disabled is not imported: clocks, randomness, standard output, HTTP.
  disableFeatures: ["clocks", "random", "stdio", "http", "fetch-event"],
});
await writeFile(output, component);
