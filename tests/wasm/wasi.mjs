// Runs a program for WASI: `node wasi.mjs PROGRAM.wasm [ARGUMENTS...]`, as cargo's runner.

import { readFileSync } from "node:fs";
import { WASI } from "node:wasi";

/** What the functions for threads return: the error of WASI that there are none. */
const NOT_SUPPORTED = 58;

const [file, ...given] = process.argv.slice(2);
const wasi = new WASI({ version: "preview1", args: [file, ...given], env: process.env });
const module = await WebAssembly.compile(readFileSync(file));
// What a libc that is older than the standard library doesn't have.
const missing = WebAssembly.Module.imports(module).filter((each) => each.module === "env");
const threads = missing.map(({ name }) => {
  if (!name.startsWith("pthread_")) throw new Error(`${file} imports ${name}, which isn't there`);
  return [name, () => NOT_SUPPORTED];
});
const imports = { ...wasi.getImportObject(), env: Object.fromEntries(threads) };
const instance = await WebAssembly.instantiate(module, imports);
process.exitCode = wasi.start(instance);
