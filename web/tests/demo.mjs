// Clicks through the demo page in Chromium: `node web/tests/demo.mjs`, from the repository's root,
// when `web/demo.sh --assemble` has put the page together. With BIRNN_WEB_PICTURES=FOLDER it writes
// pictures of the page.

import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { fitted, readNpy, readText, shortest, writeCsv, writeNpy } from "../demo/arrays.js";
import { Resampler } from "../demo/resample.js";
import { RATE, sample } from "../demo/sound.js";
import { serve } from "./serve.mjs";

const require = createRequire(pathToFileURL(resolve("target/web/npm/index.js")));
const { chromium } = require("playwright-core");

const folder = mkdtempSync(join(tmpdir(), "birnn-demo-"));
const pictures = process.env.BIRNN_WEB_PICTURES;
if (pictures) mkdirSync(pictures, { recursive: true });

/** What keeps Chromium from reaching out, and lets it run as root. */
const ARGUMENTS = [
  "--no-sandbox",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  // The microphone is a file, and the user says yes.
  "--use-fake-ui-for-media-stream",
  "--use-fake-device-for-media-stream",
  `--use-file-for-fake-audio-capture=${join(folder, "voice.wav")}`,
];

const NOTEBOOK_X = "tests/fixtures/keras/notebook_x.npy";
const DESKTOP = { width: 1200, height: 900 };
const PHONE = { width: 360, height: 740 };
const LONG = 30_000; // milliseconds: what waits for WebAssembly or a slow adapter

let passed = 0;
let failed = 0;

function check(holds, text) {
  if (!holds) throw new Error(text);
}

function same(found, expected, what) {
  const [a, b] = [JSON.stringify(found), JSON.stringify(expected)];
  check(a === b, `${what}: ${a}, expected ${b}`);
}

async function test(name, act) {
  try {
    await act();
    passed += 1;
    if (process.env.BIRNN_WEB_VERBOSE) console.error(`the page: ${name}: ok`);
  } catch (error) {
    failed += 1;
    console.error(`the page: ${name}: FAILED\n${error.stack}`);
  }
}

// --- modules that need no browser ---

await test("arrays are read as they were written", () => {
  const array = {
    data: Float32Array.of(0.1, -2, 1e-20, NaN, Infinity, 16777216),
    shape: [1, 3, 2],
  };
  same(
    Array.from(readNpy(writeNpy(array).buffer, "x").data).map(String),
    Array.from(array.data).map(String),
    ".npy",
  );
  same(readNpy(writeNpy({ ...array, shape: [6] }).buffer, "x").shape, [6], "the shape of one axis");
  const csv = { data: Float32Array.from({ length: 24 }, (_, i) => Math.sin(i)), shape: [2, 4, 3] };
  const read = readText(writeCsv(csv), "x");
  same([read.shape, Array.from(read.data)], [csv.shape, Array.from(csv.data)], "CSV");
  same(shortest(Math.fround(0.1)), "0.1", "the fewest digits");
});

await test("arrays that are typed in are read as they look", () => {
  const read = (text, shape) => {
    const array = readText(text, "x");
    return [Array.from(array.data), array.shape].concat(shape ? [fitted(array, shape).shape] : []);
  };
  same(
    read("1, 2\n3, 4\n5, 6", [null, null, 2]),
    [
      [1, 2, 3, 4, 5, 6],
      [3, 2],
      [1, 3, 2],
    ],
    "rows",
  );
  same(
    read("1 2\n\n3 4\n"),
    [
      [1, 2, 3, 4],
      [2, 1, 2],
    ],
    "blocks",
  );
  same(
    read("time; value\n1;2"),
    [
      [1, 2],
      [1, 2],
    ],
    "names of columns",
  );
  same(
    read("[[[1. 2.]\n [3e0 -4]]]"),
    [
      [1, 2, 3, -4],
      [1, 2, 2],
    ],
    "NumPy's brackets",
  );
  same(
    read("3 1 2", [null, null]),
    [
      [3, 1, 2],
      [1, 3],
      [1, 3],
    ],
    "ids",
  );
  same(read("1\n2\n3\n4", [null, 2, 2])[2], [1, 2, 2], "values that fill a fixed shape");
  same(read("1 2 3", [null, null, 2])[2], [1, 1, 3], "what doesn't fit");
  const refused = [
    ["1,2\n3", "line 2"],
    ["1,x", '"x"'],
    ["[[1,2],[3]]", "axis 1"],
    ["[1", "without"],
    ["", "no numbers"],
    ["1 [2]", "outside"],
  ];
  for (const [text, words] of refused) {
    let message = "it is read";
    try {
      readText(text, "x");
    } catch (error) {
      message = error.message;
    }
    check(message.includes(words), `${JSON.stringify(text)}: ${message}`);
  }
});

await test(".npy files of other types and orders are read", () => {
  const npy = (descr, order, shape, values) => {
    const header = `{'descr': '${descr}', 'fortran_order': ${order}, 'shape': (${shape}), }\n`;
    const length = Buffer.from([header.length & 255, header.length >> 8]);
    const bytes = Buffer.concat([
      Buffer.from("\x93NUMPY\x01\x00", "latin1"),
      length,
      Buffer.from(header),
      Buffer.from(values.buffer),
    ]);
    const { data, shape: read } = readNpy(new Uint8Array(bytes).buffer, "x.npy");
    return [Array.from(data), read];
  };
  same(npy("<i8", "False", "3,", BigInt64Array.of(1n, -2n, 3n)), [[1, -2, 3], [3]], "int64");
  same(
    npy("|b1", "False", "2, 1", Uint8Array.of(1, 0)),
    [
      [1, 0],
      [2, 1],
    ],
    "bool",
  );
  same(npy("<f2", "False", "2,", Uint16Array.of(0x3c00, 0xc100)), [[1, -2.5], [2]], "float16");
  same(
    npy("<f8", "True", "2, 3", Float64Array.of(1, 4, 2, 5, 3, 6)),
    [
      [1, 2, 3, 4, 5, 6],
      [2, 3],
    ],
    "Fortran's order",
  );
  const cut = new Uint8Array(readFileSync(NOTEBOOK_X)).slice(0, 100).buffer;
  let message = "";
  try {
    readNpy(cut, "cut.npy");
  } catch (error) {
    message = error.message;
  }
  check(message.includes("cut.npy"), message);
});

await test("sound at another rate sounds the same", () => {
  for (const from of [48_000, 44_100, 16_000, 8000]) {
    const resampled = (frequency) => {
      const resampler = new Resampler(from, RATE);
      const pieces = [];
      for (let begin = 0; begin < from / 2; begin += 128) {
        const piece = (_, index) => Math.sin((2 * Math.PI * frequency * (begin + index)) / from);
        pieces.push(...resampler.push(Float32Array.from({ length: 128 }, piece)));
      }
      return pieces;
    };
    const tone = resampled(440);
    check(
      Math.abs(tone.length - RATE / 2) < 200,
      `${from} Hz: ${tone.length} samples of half a second`,
    );
    let largest = 0;
    for (let index = 500; index < tone.length; index++) {
      largest = Math.max(
        largest,
        Math.abs(tone[index] - Math.sin((2 * Math.PI * 440 * index) / RATE)),
      );
    }
    check(largest < 0.01, `${from} Hz: a tone is ${largest} off`);
    if (from <= 2 * RATE) continue;
    const above = resampled(12_000).slice(500);
    const loudest = above.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    check(
      loudest < 0.02,
      `${from} Hz: a tone of 12 kHz, which 16 kHz can't hold, is ${loudest} loud`,
    );
  }
});

// --- the page ---

/** Writes sound as a file of 16-bit samples. */
function writeWav(file, samples) {
  const header = Buffer.alloc(44);
  header.write("RIFF", 0);
  header.writeUInt32LE(36 + 2 * samples.length, 4);
  header.write("WAVEfmt ", 8);
  header.writeUInt32LE(16, 16);
  header.writeUInt16LE(1, 20);
  header.writeUInt16LE(1, 22);
  header.writeUInt32LE(RATE, 24);
  header.writeUInt32LE(2 * RATE, 28);
  header.writeUInt16LE(2, 32);
  header.writeUInt16LE(16, 34);
  header.write("data", 36);
  header.writeUInt32LE(2 * samples.length, 40);
  const values = Int16Array.from(samples, (value) =>
    Math.round(32767 * Math.max(-1, Math.min(1, value))),
  );
  writeFileSync(file, Buffer.concat([header, Buffer.from(values.buffer)]));
}
const sound = sample();
writeWav(join(folder, "voice.wav"), sound.samples);
const list = JSON.parse(readFileSync("target/web/demo/models/list.json", "utf8"));

const server = await serve({ "/": resolve("target/web/demo") });

/** Opens the page; whatever it complains of fails the test. */
async function opened(browser, options, act) {
  const context = await browser.newContext({
    viewport: DESKTOP,
    acceptDownloads: true,
    ...options,
  });
  const page = await context.newPage();
  const wrong = [];
  page.on("pageerror", (error) => wrong.push(String(error)));
  page.on("console", (message) => {
    const isComplaint = ["error", "warning"].includes(message.type());
    if (isComplaint && !EXPECTED.test(message.text())) wrong.push(message.text());
  });
  try {
    page.setDefaultTimeout(LONG);
    await page.goto(`${server.url}/index.html`);
    await page.waitForSelector("html[data-ready]");
    await act(page);
    same(wrong, [], "what the browser complains of");
  } finally {
    await context.close();
  }
}
/** What Chromium says of an adapter in software, and where there is none. */
const EXPECTED = /WebGPU|powerPreference|No available adapters|GPU stall/i;

const text = (page, selector) => page.locator(selector).textContent();
const waitForText = (page, selector, words) =>
  page.locator(selector).filter({ hasText: words }).first().waitFor({ timeout: LONG });

async function picture(page, name) {
  if (!pictures) return;
  await page.mouse.move(0, 0);
  await page.screenshot({ path: join(pictures, `${name}.png`), fullPage: true });
}

/** Takes one of the notebook's models, and waits until its states are drawn. */
async function takeNotebook(page, name) {
  await page.getByRole("button", { name: new RegExp(`^${name}`) }).click();
  await waitForText(page, "#model-status", `${name}, `); // no longer the model before
  await waitForText(page, "#run-status", " ms on ");
  await page.waitForSelector("#heat canvas");
}

/** The numbers of the table of an output, by rows. */
const numbersOf = (page, name) =>
  page.evaluate((name) => {
    const articles = [...document.querySelectorAll("#outputs article")];
    const article = articles.find((one) => one.querySelector("h3").textContent.startsWith(name));
    const rows = [...article.querySelectorAll("tbody tr")];
    return rows.map((row) =>
      [...row.querySelectorAll("td")].map((cell) => Number(cell.textContent.replace("−", "-"))),
    );
  }, name);

/** What the read-out says: values by the panel's title. */
const readout = (page) =>
  page.evaluate(() => {
    const values = [...document.querySelectorAll(".readout span")];
    const number = (word) => (word === "masked" ? word : Number(word.replace("−", "-")));
    return Object.fromEntries(
      values.map((value) => [
        value.firstChild.textContent.trim(),
        number(value.querySelector("b").textContent),
      ]),
    );
  });

async function pressed(page, ...keys) {
  for (const key of keys) await page.keyboard.press(key);
}

/** Goes on by Tab until the focus is at an element, as without a mouse. */
async function tabTo(page, selector) {
  for (let presses = 0; presses < 80; presses++) {
    await page.keyboard.press("Tab");
    if (await page.evaluate((selector) => document.activeElement.matches(selector), selector))
      return;
  }
  throw new Error(`Tab doesn't reach ${selector}`);
}

/** What no reader of screens could name, and ids that aren't unique. */
const unnamed = (page) =>
  page.evaluate(() => {
    const controls = [...document.querySelectorAll("input, select, textarea, progress, meter")];
    const isNamed = (one) =>
      one.labels?.length > 0 || one.getAttribute("aria-label") || one.closest("[aria-hidden]");
    const ids = [...document.querySelectorAll("[id]")].map((one) => one.id);
    return [
      ...controls.filter((one) => !isNamed(one)).map((one) => one.outerHTML),
      ...[...document.querySelectorAll("button")]
        .filter((one) => !one.textContent.trim())
        .map((one) => one.outerHTML),
      ...[...document.querySelectorAll("canvas")]
        .filter((one) => !one.getAttribute("aria-label") && !one.closest("[aria-hidden]"))
        .map((one) => one.outerHTML),
      ...ids.filter((id, index) => ids.indexOf(id) !== index),
    ];
  });

/** How far the page is wider than the window. */
const overflow = (page) =>
  page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);

const close = (one, other) => Math.abs(one - other) < 1e-5;

/** The tests of a page; `gpu` says whether the browser has WebGPU. */
const TESTS = {
  async "a model of the notebook, its summary, results and states"(page, { gpu }) {
    const devices = await text(page, "#devices");
    check(devices.includes(gpu ? "software" : "no WebGPU"), devices);
    for (const name of ["lstm1", "lstm2", "gru1", "gru2"]) {
      await takeNotebook(page, name);
      const isLstm = name.startsWith("lstm");
      const status = await text(page, "#model-status");
      check(status.includes(isLstm ? "144 weights" : "126 weights"), status);
      const headings = await page.locator("#outputs h3").allTextContents();
      same(headings.length, isLstm ? 5 : 3, headings.join());
      check(headings[0].endsWith(name.endsWith("2") ? "[1, 8, 6]" : "[1, 6]"), headings[0]);
      same(await page.locator("#heat canvas[tabindex]").count(), isLstm ? 4 : 2, "panels");
      // The states at the ends are those that the model returns.
      const [forward] = await numbersOf(page, "forward hidden state");
      const [backward] = await numbersOf(page, "backward hidden state");
      await page.locator("#heat canvas[tabindex]").first().focus();
      await pressed(page, "Home");
      const first = await readout(page);
      await pressed(page, "End");
      const end = await readout(page);
      check(
        close(first["Backward hidden state"], backward[0]),
        `${first["Backward hidden state"]}, ${backward}`,
      );
      check(
        close(end["Forward hidden state"], forward[0]),
        `${end["Forward hidden state"]}, ${forward}`,
      );
      if (isLstm) {
        const [cell] = await numbersOf(page, "forward cell state");
        check(close(end["Forward cell state"], cell[0]), `${end["Forward cell state"]}, ${cell}`);
      }
    }
    await page.getByLabel("Gates, too").check();
    same(
      await page.locator("#heat canvas[tabindex]").count(),
      2 * (1 + 3),
      "panels with the gates of a GRU",
    );
    same(await unnamed(page), [], "what has no name");
  },

  async "the cells of heat maps say their values where they are pointed at"(page) {
    await takeNotebook(page, "lstm2");
    const canvas = page.locator("#heat canvas[tabindex]").first();
    await canvas.scrollIntoViewIfNeeded();
    const box = await canvas.boundingBox();
    await page.mouse.move(box.x + (box.width * 3.5) / 8, box.y + (box.height * 1.5) / 3);
    await waitForText(page, ".readout", "Unit 1, timestep 3");
    const rows = await numbersOf(page, "output of");
    const values = await readout(page);
    check(close(values["Forward hidden state"], rows[3][1]), JSON.stringify([values, rows[3]]));
    check(close(values["Backward hidden state"], rows[3][4]), JSON.stringify([values, rows[3]]));
    await page.mouse.move(box.x, box.y - 200);
    await picture(page, "states");
  },

  async "times of each device"(page, { gpu }) {
    await takeNotebook(page, "lstm1");
    await page.getByLabel("Measurements").fill("5");
    await page.getByRole("button", { name: "Measure this call" }).click();
    await page.waitForSelector("#times-table table");
    const [webgpu, wasm] = await page.locator("#times-table tbody tr").allTextContents();
    check(gpu ? / ms/.test(webgpu) : webgpu.includes("no WebGPU"), webgpu);
    check(/WebAssembly.* ms/.test(wasm), wasm);
    const status = await text(page, "#times-status");
    check(gpu ? status.includes("as fast") : status === "", status);
    await picture(page, "times");
    await page.getByLabel("Measurements").fill("1000");
    await page.getByRole("button", { name: "Measure this call" }).click();
    await page.waitForTimeout(300);
    await page.getByRole("button", { name: "End", exact: true }).click();
    await page.waitForSelector("#measure:enabled");
    same(await page.locator("#times-error").isHidden(), true, "no error");
  },

  async "a long call is stopped, and the next model runs"(page) {
    await takeNotebook(page, "lstm2");
    const rows = 200_000;
    const long = writeNpy({ data: new Float32Array(rows * 8 * 2), shape: [rows, 8, 2] });
    const mimeType = "application/octet-stream";
    const file = { name: "long.npy", mimeType, buffer: Buffer.from(long) };
    await page.getByLabel("Choose .npy or CSV").setInputFiles(file);
    await waitForText(page, ".input .note", `[${rows}, 8, 2], from long.npy`);
    // At once, however fast the machine is.
    await page.evaluate(() => {
      document.getElementById("run").click();
      document.getElementById("stop-run").click();
    });
    await waitForText(page, "#model-error", "Stopped");
    check(await page.locator("#input").isHidden(), "there is no model to run");
    await takeNotebook(page, "gru1");
    check(await page.locator("#model-error").isHidden(), "the next model");
  },

  async "the same numbers on WebGPU"(page, { gpu }) {
    await takeNotebook(page, "lstm1");
    if (!gpu) {
      check(
        await page.getByRole("radio", { name: "WebGPU" }).isDisabled(),
        "WebGPU can't be chosen",
      );
      return;
    }
    const [before] = await numbersOf(page, "output of");
    await page.getByRole("radio", { name: "WebGPU" }).check();
    await page.getByRole("button", { name: "Run", exact: true }).click();
    await waitForText(page, "#run-status", " ms on WebGPU");
    const [after] = await numbersOf(page, "output of");
    check(
      before.every((value, index) => close(value, after[index])),
      `${before} and ${after}`,
    );
  },

  async "files that are no models are refused in full"(page) {
    await takeNotebook(page, "gru1");
    const file = page.getByLabel("Choose a model");
    await file.setInputFiles({
      name: "notes.txt",
      mimeType: "text/plain",
      buffer: Buffer.from("dear diary"),
    });
    await waitForText(page, "#model-error", "MalformedFile");
    check(
      (await text(page, "#model-error")).includes("notes.txt"),
      await text(page, "#model-error"),
    );
    check(await page.locator("#summary table").isVisible(), "the model before stays");
    // The same by dropping.
    await page.evaluate(() => {
      const given = new DataTransfer();
      given.items.add(new File(["<!doctype html>"], "page.keras"));
      document.dispatchEvent(
        new DragEvent("drop", { dataTransfer: given, bubbles: true, cancelable: true }),
      );
    });
    await waitForText(page, "#model-error", "page.keras");
    // And one that is a model, but none that birnn runs.
    await file.setInputFiles("tests/fixtures/keras/unsupported/custom_activation.keras");
    await waitForText(page, "#model-error", "Unsupported");
    await picture(page, "refused");
    await file.setInputFiles("tests/fixtures/keras/notebook_lstm1.keras");
    await waitForText(page, "#model-status", "notebook_lstm1.keras");
    check(await page.locator("#model-error").isHidden(), "the error is gone");
  },

  async "models of PyTorch and ONNX, weights with their configuration"(page) {
    const file = page.getByLabel("Choose a model");
    const run = page.getByRole("button", { name: "Run", exact: true });
    const ran = async (files, words) => {
      await file.setInputFiles(files);
      await waitForText(page, "#model-status", words);
      const [, outputs] = (await text(page, "#model-status")).match(/(\d+) outputs?/);
      const random = await page.getByRole("button", { name: "Random numbers" }).all();
      for (const one of random) await one.click();
      await run.click();
      await page.waitForSelector("#outputs article");
      same(await page.locator("#outputs article").count(), Number(outputs), `outputs of ${words}`);
      await page.waitForSelector("#heat canvas");
      return page.locator("#layer option").count();
    };
    same(await ran("tests/fixtures/torch/lstm_2_bi.pt", "lstm_2_bi"), 2, "layers of PyTorch");
    const layers = await page.locator("#layer option").allTextContents();
    same(layers[1], "lstm_l1 (LSTM, 3 units, both directions)", "a layer to choose");
    await page.locator("#layer").selectOption("lstm_l1");
    await waitForText(page, "#states-words", "lstm_l1");
    same(await ran("tests/fixtures/onnx/exported_bilstm.onnx", "exported"), 2, "layers of ONNX");
    const config = "tests/fixtures/layers/file_weights_mask_stack_embedding_gru_bi_gru";
    same(await ran([`${config}.weights.h5`, `${config}.json`], "weights.h5"), 2, "layers of Keras");
  },

  async "directions with different cells are drawn with the gates that each has"(page) {
    const file = page.getByLabel("Choose a model");
    await file.setInputFiles("tests/fixtures/keras/backward_layer_lstm_gru.keras");
    await waitForText(page, "#model-status", "backward_layer_lstm_gru");
    await page.getByRole("button", { name: "Random numbers" }).click();
    await page.getByRole("button", { name: "Run", exact: true }).click();
    await page.waitForSelector("#heat canvas");
    await page.getByLabel("Gates, too").check();
    const panels = ["Forward hidden state", "Backward hidden state", "Forward cell state"];
    panels.push("Forward input gate", "Forward forget gate", "Forward candidate");
    panels.push("Backward candidate", "Forward output gate");
    panels.push("Backward update gate", "Backward reset gate");
    same(await page.locator("#heat figcaption").allTextContents(), panels, "the panels");
  },

  async "one's own input: CSV, .npy and typed in"(page) {
    await takeNotebook(page, "lstm2");
    const field = page.getByLabel("Values of input_layer");
    const run = page.getByRole("button", { name: "Run", exact: true });
    const ran = async (shape) => {
      await run.click();
      await waitForText(page, "#outputs h3", `output of bidirectional ${shape}`);
    };
    const lines = Array.from({ length: 16 }, (_, t) => `${Math.sin(t)}, ${t / 8}`);
    await field.fill(lines.join("\n"));
    await waitForText(page, ".input .note", "float32 [2, 8, 2]");
    await ran("[2, 8, 6]");
    await page.locator("#outputs").getByLabel("Row of the batch").first().fill("1");
    await page.keyboard.press("Tab");
    await page.locator("#row").fill("1");
    await page.keyboard.press("Tab");
    await waitForText(page, "#states-words", "row 1 of the batch");
    // The last state of the second row is in the second row of the table.
    await page.locator("#heat canvas[tabindex]").first().focus();
    await pressed(page, "End");
    const [, [expected]] = await numbersOf(page, "forward hidden state");
    const found = (await readout(page))["Forward hidden state"];
    check(close(found, expected), `${found}, ${expected}`);
    const brackets = `[${lines.slice(0, 8).map((line) => `[${line}]`)}]`;
    await field.fill(`[${[brackets, brackets, brackets]}]`);
    await ran("[3, 8, 6]");
    const file = page.getByLabel("Choose .npy or CSV");
    const csv = ["first,second", ...lines.slice(0, 8), "", ...lines.slice(8)].join("\n");
    await file.setInputFiles({ name: "mine.csv", mimeType: "text/csv", buffer: Buffer.from(csv) });
    await waitForText(page, ".input .note", "mine.csv");
    await ran("[2, 8, 6]");
    await file.setInputFiles(NOTEBOOK_X);
    await ran("[1, 8, 6]");
    // What it refuses.
    await field.fill("1, 2, 3");
    await run.click();
    await waitForText(page, "#run-error", "InputShape");
    await field.fill("1, two");
    await waitForText(page, ".input .error", '"two" is no number');
    await run.click();
    await waitForText(page, "#run-error", "line 1");
    await field.fill("");
    await run.click();
    await waitForText(page, "#run-error", "no values yet");
  },

  async "lengths and masks"(page) {
    await takeNotebook(page, "lstm1");
    await page.getByText("Mask or lengths").click();
    const run = page.getByRole("button", { name: "Run", exact: true });
    const drawn = async () => {
      await run.click();
      await page.waitForSelector("#run:enabled");
      await page.locator("#heat canvas[tabindex]").first().focus();
      await pressed(page, "End");
      return readout(page);
    };
    await page.getByLabel("Gates, too").check();
    const whole = await drawn();
    await page.getByLabel("Lengths of input_layer").fill("5");
    const cut = await drawn();
    same(cut["Forward input gate"], "masked", "a gate behind the end");
    const [output] = await numbersOf(page, "forward hidden state");
    check(close(cut["Forward hidden state"], output[0]), "the state stays after the end");
    await page.getByLabel("Lengths of input_layer").fill("");
    await page.getByLabel("Mask of input_layer").fill("1 1 1 1 1 0 0 0");
    same(await drawn(), cut, "the mask of that length");
    await page.getByLabel("Mask of input_layer").fill("");
    same(await drawn(), whole, "without a mask");
    await page.getByLabel("Lengths of input_layer").fill("9");
    await run.click();
    await waitForText(page, "#run-error", "Length");
  },

  async "results as files"(page) {
    await takeNotebook(page, "lstm2");
    const rows = await numbersOf(page, "output of");
    const saved = async (button) => {
      const [download] = await Promise.all([
        page.waitForEvent("download"),
        page.locator("#outputs article").first().getByRole("button", { name: button }).click(),
      ]);
      return readFileSync(await download.path());
    };
    const npy = readNpy(new Uint8Array(await saved("Save .npy")).buffer, "saved.npy");
    same(npy.shape, [1, 8, 6], "the shape of .npy");
    check(
      rows.flat().every((value, index) => Math.abs(value - npy.data[index]) < 1e-7),
      "the values of .npy",
    );
    const csv = readText(String(await saved("Save .csv")), "saved.csv");
    same(Array.from(csv.data), Array.from(npy.data), "CSV has the same bits");
    const [model] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("button", { name: "Save in birnn's own form" }).click(),
    ]);
    same(model.suggestedFilename(), "lstm2.safetensors", "the model");
    await page.getByLabel("Choose a model").setInputFiles({
      name: "again.safetensors",
      mimeType: "application/octet-stream",
      buffer: readFileSync(await model.path()),
    });
    await waitForText(page, "#model-status", "again.safetensors");
    same(await page.locator("#run-error").isHidden(), true, "no error");
  },

  async "by the keyboard alone"(page) {
    await tabTo(page, "#examples button:nth-of-type(2)");
    await pressed(page, "Enter");
    await page.waitForSelector("#heat canvas");
    await tabTo(page, "#fields textarea");
    await pressed(page, "Control+a");
    await page.keyboard.insertText("1, 2\n".repeat(16));
    await tabTo(page, "#run");
    await pressed(page, "Enter");
    await waitForText(page, "#outputs h3", "[2, 8, 6]");
    await page.waitForSelector("#run:enabled");
    await tabTo(page, "#heat canvas");
    await waitForText(page, ".readout", "Unit 0, timestep 0");
    await pressed(page, "ArrowRight", "ArrowRight", "ArrowRight", "ArrowDown");
    await waitForText(page, ".readout", "Unit 1, timestep 3");
    await pressed(page, "ArrowUp", "ArrowUp", "ArrowLeft");
    await waitForText(page, ".readout", "Unit 0, timestep 2");
    const outline = await page.evaluate(
      () => getComputedStyle(document.activeElement).outlineStyle,
    );
    check(outline !== "none", "one sees where the focus is");
    await tabTo(page, "#measure");
  },

  async "in the dark, and back"(page) {
    await takeNotebook(page, "lstm2");
    const looks = () =>
      page.evaluate(() => {
        const canvas = document.querySelector("#heat canvas");
        return [getComputedStyle(document.documentElement).backgroundColor, canvas.toDataURL()];
      });
    await page.emulateMedia({ colorScheme: "light" });
    const light = await looks();
    await picture(page, "light");
    await page.emulateMedia({ colorScheme: "dark" });
    await page.waitForTimeout(100);
    const dark = await looks();
    await picture(page, "dark");
    check(light[0] !== dark[0] && light[1] !== dark[1], "background and heat map change");
    const ratio = await contrast(page);
    check(ratio >= 4.5, `the contrast of quiet text is ${ratio}`);
    await page.emulateMedia({ colorScheme: "light" });
    await page.waitForTimeout(100);
    same((await looks())[1] === light[1], true, "light again");
    check((await contrast(page)) >= 4.5, "the contrast in the light");
  },

  async "on a phone"(page) {
    await page.setViewportSize(PHONE);
    await takeNotebook(page, "lstm2");
    await page.getByText("How the file is read").click();
    await page.getByText("Mask or lengths").click();
    same(await overflow(page), 0, "pixels beyond the window");
    const small = await page.evaluate(() => {
      const boxes = [...document.querySelectorAll("button")].map((one) => [
        one.textContent,
        one.getBoundingClientRect(),
      ]);
      return boxes
        .filter(([, { width, height }]) => width > 0 && height < 36)
        .map(([name]) => name);
    });
    same(small, [], "buttons too small for a finger");
    await picture(page, "phone");
  },

  async "silero-vad hears the sample's voice, and nothing else"(page) {
    if (!list.speech) {
      check((await text(page, "#speech-words")).includes("isn't here"), "it says so");
      console.error("the page: NOT RUN: the voice detector (PyPI couldn't be reached)");
      return;
    }
    await page.getByRole("button", { name: "Play the sample" }).click();
    await waitForText(page, "#speech-status", "Playing");
    await page.waitForTimeout(7400);
    await picture(page, "speech");
    await waitForText(page, "#speech-status", "Speech: ");
    const words = await text(page, "#speech-status");
    const found = [...words.matchAll(/([\d.]+) to ([\d.]+) s/g)].map(([, begin, end]) => [
      Number(begin),
      Number(end),
    ]);
    const spoken = sound.parts.filter((part) => part.name === "speech");
    same(found.length, spoken.length, words);
    spoken.forEach(({ begin, end }, index) => {
      const apart = [Math.abs(found[index][0] - begin), Math.abs(found[index][1] - end)];
      check(Math.max(...apart) < 0.3, `${words} The voice is from ${begin} to ${end} s.`);
    });
    check(/A call of 32 ms took [\d.]+ ms/.test(words), words);
  },

  async "silero-vad hears the microphone"(page) {
    if (!list.speech) return;
    await page.getByRole("button", { name: "Use the microphone" }).click();
    await waitForText(page, "#speech-status", "Listening");
    await page.waitForFunction(() => document.getElementById("probability").value > 0.9);
    await page.waitForFunction(() => document.getElementById("probability").value < 0.1);
    await page.getByRole("button", { name: "Stop" }).last().click();
    await waitForText(page, "#speech-status", "Speech: ");
    // A sound file is heard in the same way.
    await page.getByLabel("Choose a sound").setInputFiles(join(folder, "voice.wav"));
    await waitForText(page, "#speech-status", "Playing");
    await page.waitForFunction(() => document.getElementById("probability").value > 0.9);
    await page.getByRole("button", { name: "Stop" }).last().click();
    await page.getByLabel("Choose a sound").setInputFiles(NOTEBOOK_X);
    await waitForText(page, "#speech-error", "notebook_x.npy");
  },
};

/** How far quiet text stands out from the background, as WCAG measures it. */
const contrast = (page) =>
  page.evaluate(() => {
    const light = (color) => {
      const parts = color
        .match(/\d+/g)
        .slice(0, 3)
        .map((part) => part / 255);
      const [red, green, blue] = parts.map((part) =>
        part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4,
      );
      return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    };
    const text = light(getComputedStyle(document.querySelector(".lead")).color);
    const background = light(getComputedStyle(document.documentElement).backgroundColor);
    return (Math.max(text, background) + 0.05) / (Math.min(text, background) + 0.05);
  });

/** Those that say something where there is no WebGPU. */
const WITHOUT_GPU = [
  "a model of the notebook, its summary, results and states",
  "times of each device",
  "the same numbers on WebGPU",
];

const only = process.argv[2];
for (const gpu of [true, false]) {
  const args = gpu
    ? [...ARGUMENTS, "--enable-unsafe-webgpu"]
    : [...ARGUMENTS, "--disable-features=WebGPU"];
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args,
  });
  for (const [name, act] of Object.entries(TESTS)) {
    if (only && !name.includes(only)) continue;
    if (!gpu && !WITHOUT_GPU.includes(name)) continue;
    const where = gpu ? "with WebGPU" : "without WebGPU";
    await test(`${where}: ${name}`, () => opened(browser, {}, (page) => act(page, { gpu })));
  }
  await browser.close();
}
server.close();
rmSync(folder, { recursive: true });
console.error(`web/tests/demo.mjs: ${passed} tests passed, ${failed} failed`);
process.exitCode = failed || !passed ? 1 : 0;
