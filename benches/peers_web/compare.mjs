// Times birnn and onnxruntime-web in Chromium and prints the tables. run.sh beside this file calls
// it, from the repository's root; see there.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { pathToFileURL } from "node:url";
import { serve } from "../../web/tests/serve.mjs";

const { values: options } = parseArgs({
  options: {
    rounds: { type: "string", default: "15" },
    on: { type: "string" },
    plain: { type: "boolean", default: false },
  },
});
const require = createRequire(pathToFileURL(resolve("target/web/npm/index.js")));
const { chromium } = require("playwright-core");

const flags = (process.env.CHROMIUM_FLAGS ?? "--enable-unsafe-webgpu").split(" ").filter(Boolean);
const quiet = ["--no-sandbox", "--disable-quic", "--no-first-run", "--disable-sync"];
quiet.push("--disable-background-networking", "--disable-component-update");

/** Makes the package take its module without relaxed SIMD, whose multiply-add it asks for. */
function withoutMultiplyAdds() {
  const { validate } = WebAssembly;
  WebAssembly.validate = (bytes) => !String(bytes).includes("253,133,2") && validate(bytes);
}

const median = (times) => [...times].sort((a, b) => a - b)[times.length >> 1];
const short = (ms) => (ms < 1 ? ms.toFixed(3) : ms < 100 ? ms.toFixed(1) : ms.toFixed(0));

const cases = JSON.parse(readFileSync("target/peers_web/models/cases.json", "utf8"));
const server = await serve({
  "/package/": resolve("target/web/birnn"),
  "/models/": resolve("target/peers_web/models"),
  "/ort/": resolve("target/peers_web/npm/node_modules/onnxruntime-web/dist"),
  "/": resolve("benches/peers_web"),
});
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: [...quiet, ...flags],
});
try {
  console.log(`Chromium ${browser.version()}`);
  for (const device of options.on ? [options.on] : ["cpu", "webgpu"]) {
    console.log(`\n${device === "cpu" ? "WebAssembly, one thread" : "WebGPU"}, milliseconds\n`);
    const heads = ["cell", "batch, timesteps, features, units", "birnn", "onnxruntime-web", "ratio"];
    heads.push("first call of birnn", "of onnxruntime-web");
    console.log(`| ${heads.join(" | ")} |\n|---|---|--:|--:|--:|--:|--:|`);
    const about = new Set();
    for (const each of cases) {
      // A page for each, so that nothing is left of the one before.
      const page = await browser.newPage();
      page.on("pageerror", (error) => console.error(`${error}`));
      if (options.plain) await page.addInitScript(withoutMultiplyAdds);
      await page.goto(`${server.url}/page.html`);
      await page.waitForFunction(() => globalThis.isReady);
      const call = ([each, device, rounds]) => globalThis.measure(each, device, rounds);
      // The largest take seconds on a software adapter.
      const rounds = Math.min(Number(options.rounds), device === "cpu" ? Infinity : 5);
      const { birnn, onnxruntime } = await page.evaluate(call, [each, device, rounds]);
      await page.close();
      about.add(birnn.about).add(onnxruntime.about);
      const [own, other] = [median(birnn.times), median(onnxruntime.times)];
      const cells = [each.cell.toUpperCase(), each.shape.join(", "), short(own), short(other)];
      cells.push((other / own).toFixed(2), short(birnn.first), short(onnxruntime.first));
      console.log(`| ${cells.join(" | ")} |`);
    }
    console.log(`\n${[...about].join("; ")}`);
  }
} finally {
  await browser.close();
  server.close();
}
