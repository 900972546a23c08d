// Runs the tests in Chromium: `node run.mjs BIRNN_PROGRAM`, from the repository's root.

import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { serve } from "./serve.mjs";

const require = createRequire(pathToFileURL(resolve("target/web/npm/index.js")));
const { chromium } = require("playwright-core");

/** What keeps Chromium from reaching out, and lets it run as root. */
const ARGUMENTS = [
  "--no-sandbox",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--js-flags=--expose-gc",
];

const MODELS = ["lstm1", "lstm2", "gru1", "gru2"];

const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";

/** Chromium's software driver for native programs, where its package has the file. */
const SWIFTSHADER = "/usr/lib/chromium/vk_swiftshader_icd.json";

/** What the native program computes of the notebook's models on a device. */
function native(program, device) {
  const folder = mkdtempSync(join(tmpdir(), "birnn-web-"));
  const values = Array.from({ length: 16 }, (_, i) => Math.fround(Math.sin(i + 1)));
  const rows = Array.from({ length: 8 }, (_, t) => `${values[2 * t]},${values[2 * t + 1]}\n`);
  writeFileSync(join(folder, "x.csv"), rows.join(""));
  try {
    return MODELS.map((model) => {
      const file = `tests/fixtures/keras/notebook_${model}.keras`;
      const given = ["run", file, join(folder, "x.csv"), "--device", device, "--json"];
      const env = { ...process.env, VK_DRIVER_FILES: SWIFTSHADER };
      const options = { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"], env };
      const outputs = JSON.parse(execFileSync(program, given, options)).outputs;
      return {
        url: `/fixtures/keras/notebook_${model}.keras`,
        input: { data: values, shape: [1, 8, 2] },
        outputs: outputs.map(({ shape, values }) => ({ shape, data: values.flat(Infinity).map(Math.fround) })),
      };
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const program = process.argv[2];
const hasDriver = existsSync(SWIFTSHADER);
const natives = {
  reference: native(program, "reference"),
  gpu: hasDriver ? native(program, "swiftshader") : [],
};
if (!hasDriver) {
  console.error(`web/test.sh: NOT RUN: the bits of WebGPU: no ${SWIFTSHADER} for the native program`);
}

const server = await serve({
  "/package/": resolve("target/web/birnn"),
  "/fixtures/": resolve("tests/fixtures"),
  "/tests/": resolve("web/tests"),
  "/web_rust/": resolve("target/web/web_rust"),
});
let failed = 0;
let passed = 0;

function tell(name, problem, seconds) {
  problem ? (failed += 1) : (passed += 1);
  if (problem) console.error(`${name}: FAILED\n${problem}`);
  else if (process.env.BIRNN_WEB_VERBOSE) console.error(`${name}: ok (${seconds.toFixed(1)} s)`);
}

function launch(gpu) {
  const args = gpu ? [...ARGUMENTS, "--enable-unsafe-webgpu"] : ARGUMENTS;
  return chromium.launch({ executablePath: CHROMIUM, args });
}

async function browser(name, gpu) {
  const launched = await launch(gpu);
  try {
    const page = await launched.newPage();
    const wrong = [];
    page.on("pageerror", (error) => wrong.push(`${error}`));
    page.on("console", (message) => {
      const text = message.text();
      if (process.env.BIRNN_WEB_VERBOSE) console.error(`[${message.type()}] ${text}`);
      // Chromium logs each answer that is no file, of which the tests ask for some.
      if (/Content Security Policy|panicked/.test(text)) wrong.push(text);
    });
    await page.exposeFunction("report", ({ where, name: test, seconds, problem }) => {
      tell(`${name}, ${where}: ${test}`, problem, seconds);
    });
    await page.goto(`${server.url}/tests/page.html`);
    await page.waitForFunction(() => globalThis.runTests !== undefined);
    await page.evaluate((setup) => globalThis.runTests(setup), { gpu, natives });
    for (const text of wrong.filter((text) => !text.includes("unreachable"))) tell(name, text);
  } finally {
    await launched.close();
  }
}

/**
 * The page in Rust says what it computed, and that it drew it. What it drew can't be looked at here:
 * headless Chromium with its software adapter shows no canvas of WebGPU's, whoever draws it.
 */
async function example() {
  const began = performance.now();
  const launched = await launch(true);
  try {
    const page = await launched.newPage();
    await page.goto(`${server.url}/web_rust/index.html`);
    const said = page.locator("#said", { hasText: /timesteps through 24 units/ });
    await said.waitFor({ timeout: 60000 });
    const text = await said.textContent();
    tell("examples/web_rust", text.includes("no picture") && text, (performance.now() - began) / 1000);
  } catch (error) {
    tell("examples/web_rust", error);
  } finally {
    await launched.close();
  }
}

await example();
await browser("Chromium with WebGPU", true);
await browser("Chromium without WebGPU", false);
server.close();
console.error(`web/test.sh: ${passed} tests passed, ${failed} failed`);
process.exitCode = failed || !passed ? 1 : 0;
