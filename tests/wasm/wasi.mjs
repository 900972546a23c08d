// Runs a program for WASI: `node wasi.mjs PROGRAM.wasm [ARGUMENTS...]`, as cargo's runner.

import { readFileSync } from "node:fs";
import { WASI } from "node:wasi";

const [file, ...given] = process.argv.slice(2);
const wasi = new WASI({ version: "preview1", args: [file, ...given], env: process.env });
const module = await WebAssembly.compile(readFileSync(file));
const instance = await WebAssembly.instantiate(module, wasi.getImportObject());
process.exitCode = wasi.start(instance);
