// The section in which calls are timed, on WebGPU beside WebAssembly.

import {
  byId,
  clearError,
  deviceText,
  make,
  millisecondsText,
  scrolled,
  showError,
} from "./dom.js";

/** A device is measured for at most so long. */
const SECONDS = 8;

/**
 * Measures a call on each device.
 * @param engine the Worker with the model
 * @param devices `{ device, label, missing }`: its name for birnn, in words, or why there is none
 * @param call what the call is given
 */
export async function measure(engine, devices, call, count) {
  const [status, error] = [byId("times-status"), byId("times-error")];
  clearError(error);
  const rows = [];
  for (const { device, label, missing } of devices) {
    if (missing) {
      rows.push({ label, words: missing });
      continue;
    }
    let told = performance.now();
    const onProgress = ({ done }) => {
      if (performance.now() - told < 1000) return; // readers of screens say each
      told = performance.now();
      status.textContent = `${label}: ${done} of ${count}`;
    };
    status.textContent = `${label}: opening`;
    try {
      const argument = { device, ...call, count, seconds: SECONDS };
      rows.push({ label, ...(await engine.call("measure", argument, { onProgress })) });
    } catch (failure) {
      if (failure.kind === "Stopped") throw failure;
      rows.push({ label, words: failure.message });
      showError(error, failure);
    }
  }
  show(rows);
  status.textContent = summary(rows);
}

/** Which is how many times as fast. */
function summary(rows) {
  const measured = rows.filter((row) => row.median);
  const [first, second] = measured.sort((one, other) => one.median - other.median);
  if (!second) return "";
  const ratio = (second.median / first.median).toFixed(1);
  if (ratio === "1.0") return "Both are as fast as each other here.";
  return `${first.label} is ${ratio} times as fast here.`;
}

function show(rows) {
  const headings = ["Device", "Median of a call", "First call", "Ready in", "Calls"];
  const head = make(
    "tr",
    {},
    ...headings.map((text) => make("th", { scope: "col", textContent: text })),
  );
  const longest = Math.max(...rows.map((row) => row.median ?? 0));
  const body = rows.map((row) => {
    const label = row.device ? deviceText(row.device) : row.label;
    const name = make("th", { scope: "row", textContent: label });
    if (row.words) return make("tr", {}, name, make("td", { colSpan: 4, textContent: row.words }));
    const number = (text) => make("td", { className: "number", textContent: text });
    const median = number(millisecondsText(row.median));
    const bar = make("progress", { max: longest, value: row.median, aria: { hidden: "true" } });
    median.append(bar);
    const calls = row.group > 1 ? `${row.calls}, in groups of ${row.group}` : String(row.calls);
    return make(
      "tr",
      {},
      name,
      median,
      number(millisecondsText(row.first)),
      number(millisecondsText(row.opening)),
      number(calls),
    );
  });
  const table = make("table", {}, make("thead", {}, head), make("tbody", {}, ...body));
  byId("times-table").replaceChildren(scrolled("Table of times", table));
}
