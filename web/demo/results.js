// Arrays as tables, with buttons to take them along.

import { shortest, writeCsv, writeNpy } from "./arrays.js";
import { button, download, make, scrolled, shapeText } from "./dom.js";

/** The most rows and columns that a table shows; files have them all. */
const MOST_ROWS = 100;
const MOST_COLUMNS = 64;

/** How the values of an array are written: with as many decimals as all of them need. */
function writer(data) {
  let [least, most] = [Infinity, 0];
  for (const value of data) {
    const size = Math.abs(value);
    if (!(size > 0 && size < Infinity)) continue;
    least = Math.min(least, size);
    most = Math.max(most, size);
  }
  if (data.every((value) => Number.isInteger(value) && Math.abs(value) < 1e9)) return String;
  const isWide = most >= 1e6 || (most > 0 && most < 1e-4) || most / least > 1e7;
  const finite = isWide
    ? (value) => value.toExponential(6)
    : (value) => value.toFixed(most < 100 ? 8 : 4);
  return (value) => (Number.isFinite(value) ? finite(value) : shortest(value)).replace("-", "−");
}

/** The table of one block: a row for each index of the last axis but one. */
function table({ data, shape }, block, axes, caption) {
  const columns = shape.at(-1) ?? 1;
  const rows = shape.at(-2) ?? 1;
  const write = writer(data);
  const shownColumns = Math.min(columns, MOST_COLUMNS);
  const shownRows = Math.min(rows, MOST_ROWS);
  const numbers = Array.from({ length: shownColumns }, (_, column) => column);
  const heading = (text) => make("th", { scope: "col", textContent: text });
  const head = make("tr", {}, heading(axes), ...numbers.map((column) => heading(String(column))));
  const body = make("tbody");
  for (let row = 0; row < shownRows; row++) {
    const begin = (block * rows + row) * columns;
    const cells = numbers.map((column) => make("td", { textContent: write(data[begin + column]) }));
    body.append(make("tr", {}, make("th", { scope: "row", textContent: String(row) }), ...cells));
  }
  const left = [];
  if (shownRows < rows) left.push(`${shownRows} of ${rows} rows`);
  if (shownColumns < columns) left.push(`${shownColumns} of ${columns} columns`);
  const box = scrolled(
    caption,
    make("table", { className: "numbers" }, make("thead", {}, head), body),
  );
  if (left.length > 0) {
    box.append(
      make("p", { className: "note", textContent: `Shown: ${left.join(", ")}. Files have all.` }),
    );
  }
  return box;
}

/** What the last two axes of an output are. */
function axesOf({ role, shape }) {
  if (shape.length >= 3) return "timestep";
  return role === "output" || role === "input" ? "row" : "row of batch";
}

/**
 * Shows an array with its name and shape; of several blocks, such as the rows of a batch, the one
 * that is chosen.
 */
export function shown(output, { copied }) {
  const { name, data, shape } = output;
  const file = name.replace(/[^\w.-]+/g, "_");
  const rows = shape.at(-2) ?? 1;
  const blocks = Math.max(1, data.length / Math.max(1, rows * (shape.at(-1) ?? 1)));
  const place = make("div");
  const show = (block) => place.replaceChildren(table(output, block, axesOf(output), name));
  show(0);
  const buttons = make(
    "p",
    { className: "buttons" },
    button("Copy as CSV", async () => copied(name, await copy(writeCsv(output)))),
    button("Save .csv", () => download(`${file}.csv`, writeCsv(output), "text/csv")),
    button("Save .npy", () =>
      download(`${file}.npy`, writeNpy(output), "application/octet-stream"),
    ),
  );
  let choice = null;
  if (blocks > 1) {
    const onchange = ({ target }) => {
      const block = Math.min(blocks - 1, Math.max(0, Math.trunc(Number(target.value)) || 0));
      target.value = block;
      show(block);
    };
    const input = make("input", {
      type: "number",
      min: 0,
      max: blocks - 1,
      value: 0,
      on: { change: onchange },
    });
    choice = make("label", { className: "inline" }, `Row of the batch, 0 to ${blocks - 1} `, input);
  }
  const heading = make("h3", {}, name, " ", make("code", { textContent: shapeText(shape) }));
  return make("article", { className: "output" }, heading, choice, place, buttons);
}

/** Puts a text on the clipboard; says whether the browser allowed it. */
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}

/** The length of an axis in words, where it is free. */
function axisText(length, axis, rank) {
  if (length !== null) return String(length);
  if (axis === 0) return "batch";
  return axis === 1 && rank > 1 ? "timesteps" : "any";
}

/** A shape with names for the lengths that are free. */
export const declaredText = (shape) =>
  shapeText(shape.map((length, axis) => axisText(length, axis, shape.length)));

/** The model's inputs and layers. */
export function summaryTable(summary) {
  const headings = ["Layer", "Class", "Returns", "Weights", "Reads"];
  const head = make(
    "tr",
    {},
    ...headings.map((text) => make("th", { scope: "col", textContent: text })),
  );
  const rows = summary.rows.map((row) =>
    make(
      "tr",
      {},
      make("th", { scope: "row", textContent: row.name }),
      make("td", {
        textContent: row.givenAs ? `${row.className} (${row.givenAs})` : row.className,
      }),
      make(
        "td",
        {},
        ...row.outputShapes.map((shape) => make("code", { textContent: declaredText(shape) })),
      ),
      make("td", { className: "number", textContent: row.parameters.toLocaleString("en") }),
      make("td", { textContent: row.connectedTo.join(", ") }),
    ),
  );
  const table = make("table", {}, make("thead", {}, head), make("tbody", {}, ...rows));
  return scrolled("Summary of the model", table);
}
