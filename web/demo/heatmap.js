// Heat maps of what a recurrent layer held over time: a row of panels for each quantity (hidden
// state, cell state, gates), in it a panel for each direction. Units go from top to bottom and
// timesteps from left to right. All panels share a cursor.

import { onSchemeChange, ramp, scheme } from "./colors.js";
import { make } from "./dom.js";

/** The longest side of a picture that browsers draw. */
const LONGEST = 8192;
/** The height of a panel in CSS pixels: a unit has up to MOST_OF_UNIT, all have up to MOST. */
const MOST_OF_UNIT = 34;
const MOST = 320;
/** From this size on in CSS pixels cells have a gap between them. */
const WITH_GAPS = 12;

const capital = (text) => text[0].toUpperCase() + text.slice(1);

/** A panel: a direction's values of a quantity, `[units][timesteps]`. */
class Panel {
  constructor(map, { title, values, units, timesteps, scale }) {
    Object.assign(this, { title, values, units, timesteps, scale });
    this.canvas = make("canvas", {
      tabIndex: 0,
      role: "application",
      aria: {
        roledescription: "heat map",
        label: `${title}, ${units} units by ${timesteps} timesteps`,
      },
      on: {
        pointermove: (event) => map.point(this, event),
        pointerdown: (event) => map.point(this, event),
        focus: () => map.focus(),
        keydown: (event) => map.key(event),
      },
    });
    const ends = [0, timesteps - 1].map((timestep) =>
      make("span", { textContent: String(timestep) }),
    );
    const axis = make(
      "div",
      { className: "axis", aria: { hidden: "true" } },
      ends[0],
      "timesteps",
      ends[1],
    );
    const caption = make("figcaption", { textContent: title });
    this.element = make("figure", { className: "panel" }, caption, this.canvas, axis);
  }

  value(unit, timestep) {
    return this.values[unit * this.timesteps + timestep];
  }

  draw(cursor) {
    const { canvas, units, timesteps } = this;
    const width = canvas.clientWidth;
    if (width === 0) return; // it isn't in the page
    const height = Math.min(MOST, MOST_OF_UNIT * units);
    const ratio = devicePixelRatio;
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    const context = canvas.getContext("2d");
    // Cells smaller than a pixel become the mean of their neighbours, others stay sharp.
    context.imageSmoothingEnabled = canvas.width < timesteps || canvas.height < units;
    context.imageSmoothingQuality = "high";
    context.drawImage(this.#picture(), 0, 0, canvas.width, canvas.height);
    const [cellWidth, cellHeight] = [canvas.width / timesteps, canvas.height / units];
    if (Math.min(cellWidth, cellHeight) >= WITH_GAPS * ratio) {
      for (let unit = 1; unit < units; unit++) {
        context.clearRect(0, Math.round(unit * cellHeight), canvas.width, ratio);
      }
      for (let timestep = 1; timestep < timesteps; timestep++) {
        context.clearRect(Math.round(timestep * cellWidth), 0, ratio, canvas.height);
      }
    }
    if (!cursor) return;
    context.strokeStyle = scheme().cursor;
    context.lineWidth = 2 * ratio;
    const [wide, high] = [Math.max(cellWidth, 4 * ratio), Math.max(cellHeight, 4 * ratio)];
    context.strokeRect(cursor.timestep * cellWidth, cursor.unit * cellHeight, wide, high);
  }

  /** The values, a pixel each. */
  #picture() {
    if (this.picture?.scheme === scheme()) return this.picture.canvas;
    const { units, timesteps, scale } = this;
    const canvas = new OffscreenCanvas(timesteps, units);
    const context = canvas.getContext("2d");
    const image = context.createImageData(timesteps, units);
    const color = ramp(scale.kind);
    for (let place = 0; place < units * timesteps; place++) {
      image.data.set(color(scale.part(this.values[place])), 4 * place);
      image.data[4 * place + 3] = 255;
    }
    context.putImageData(image, 0, 0);
    this.picture = { scheme: scheme(), canvas };
    return canvas;
  }
}

/** From minus to plus the largest size, for states; from 0 to 1, for gates. */
function aroundZero(arrays) {
  let most = 0;
  for (const array of arrays) {
    for (const value of array)
      if (Math.abs(value) < Infinity) most = Math.max(most, Math.abs(value));
  }
  const end = most || 1;
  return { kind: "aroundZero", ends: [-end, 0, end], part: (value) => 0.5 + value / (2 * end) };
}
const inUnit = (array) => array.every((value) => !(value < 0 || value > 1));
const FROM_ZERO = { kind: "fromZero", ends: [0, 0.5, 1], part: (value) => value };

/** The colours of a row of panels with the values that they stand for. */
class Legend {
  constructor(scale) {
    this.scale = scale;
    this.canvas = make("canvas", { className: "ramp", aria: { hidden: "true" } });
    const ends = scale.ends.map((end) =>
      make("span", { textContent: Number(end.toPrecision(3)).toString().replace("-", "−") }),
    );
    const words =
      scale.kind === "aroundZero" ? "from blue (negative) to orange (positive)" : "from 0 to 1";
    this.element = make(
      "div",
      {
        className: "legend",
        role: "img",
        aria: {
          label: `Colours ${words}, ends at ${scale.ends[0]} and ${scale.ends[2]}`,
        },
      },
      this.canvas,
      make("div", { className: "ends", aria: { hidden: "true" } }, ...ends),
    );
  }

  draw() {
    const { canvas, scale } = this;
    [canvas.width, canvas.height] = [256, 1];
    const color = ramp(scale.kind);
    const context = canvas.getContext("2d");
    const image = context.createImageData(256, 1);
    for (let place = 0; place < 256; place++) {
      image.data.set([...color(place / 255), 255], 4 * place);
    }
    context.putImageData(image, 0, 0);
  }
}

/** Heat maps in an element, of one row of the batch. */
export class HeatMap {
  #rows = []; // of panels, with their legends
  #cursor = null;
  #readout;

  constructor(element) {
    this.element = element;
    this.#readout = make("output", { className: "readout", aria: { live: "polite" } });
    onSchemeChange(() => this.draw());
    new ResizeObserver(() => this.draw()).observe(element);
  }

  /**
   * Shows what the directions of a call held.
   * @param directions as `Model.trace` returns them
   * @param row the row of the batch
   * @param withGates whether the gates are shown, too
   */
  show(directions, row, withGates) {
    const quantities = [
      ["hidden state", (one) => one.hidden],
      ["cell state", (one) => one.cell],
    ];
    // The directions of a layer may have different cells.
    const gates = withGates ? directions.flatMap((one) => one.gates.map(({ name }) => name)) : [];
    for (const gate of new Set(gates)) {
      const scale = gate.includes("candidate") ? null : FROM_ZERO;
      quantities.push([gate, (one) => one.gates.find(({ name }) => name === gate), scale]);
    }
    this.#rows = [];
    for (const [quantity, of, ownScale] of quantities) {
      const shown = directions.filter((direction) => of(direction));
      if (shown.length === 0) continue;
      const arrays = shown.map((direction) => unitsFirst(of(direction), row));
      // A gate whose activation goes below 0 or above 1 is drawn as states are.
      const scale = ownScale && arrays.every(inUnit) ? ownScale : aroundZero(arrays);
      const panels = shown.map((direction, place) => {
        const [, timesteps, units] = of(direction).shape;
        const title =
          directions.length > 1 ? capital(`${direction.direction} ${quantity}`) : capital(quantity);
        return new Panel(this, { title, values: arrays[place], units, timesteps, scale });
      });
      this.#rows.push({ panels, legend: new Legend(scale) });
    }
    this.#cursor = null;
    this.#say();
    const rows = this.#rows.map(({ panels, legend }) => {
      const elements = panels.map((panel) => panel.element);
      return make(
        "div",
        { className: "heat-row" },
        make("div", { className: "panels" }, ...elements),
        legend.element,
      );
    });
    const help = "Point at a cell, or move with the arrow keys, Home and End, to read its values.";
    this.element.replaceChildren(
      ...rows,
      make("p", { className: "note", textContent: help }),
      this.#readout,
    );
    this.draw();
  }

  draw() {
    for (const { panels, legend } of this.#rows) {
      for (const panel of panels) panel.draw(this.#cursor);
      legend.draw();
    }
  }

  point(panel, event) {
    const { offsetX, offsetY } = event;
    const { clientWidth, clientHeight } = panel.canvas;
    const within = (part, length) => Math.min(length - 1, Math.max(0, Math.floor(part * length)));
    const timestep = within(offsetX / clientWidth, panel.timesteps);
    this.#move({ unit: within(offsetY / clientHeight, panel.units), timestep });
  }

  /** Begins at the first cell; later it stays where it was. */
  focus() {
    if (!this.#cursor) this.#move({ unit: 0, timestep: 0 });
  }

  key(event) {
    const [{ units, timesteps }] = this.#rows[0].panels;
    const { unit, timestep } = this.#cursor ?? { unit: 0, timestep: 0 };
    const moved = {
      ArrowLeft: { unit, timestep: timestep - 1 },
      ArrowRight: { unit, timestep: timestep + 1 },
      ArrowUp: { unit: unit - 1, timestep },
      ArrowDown: { unit: unit + 1, timestep },
      Home: { unit, timestep: 0 },
      End: { unit, timestep: timesteps - 1 },
    }[event.key];
    if (!moved) return;
    event.preventDefault();
    const within = (place, length) => Math.min(length - 1, Math.max(0, place));
    this.#move({ unit: within(moved.unit, units), timestep: within(moved.timestep, timesteps) });
  }

  #move(cursor) {
    const { unit, timestep } = this.#cursor ?? {};
    if (unit === cursor.unit && timestep === cursor.timestep) return;
    this.#cursor = cursor;
    this.draw();
    this.#say();
  }

  /** The values at the cursor in all panels. */
  #say() {
    if (!this.#cursor) {
      this.#readout.replaceChildren();
      return;
    }
    const { unit, timestep } = this.#cursor;
    const place = make("strong", { textContent: `Unit ${unit}, timestep ${timestep}` });
    const panels = this.#rows.flatMap((row) => row.panels).filter((panel) => unit < panel.units);
    const values = panels.map((panel) => {
      const value = panel.value(unit, timestep);
      const text = Number.isNaN(value) ? "masked" : value.toPrecision(6).replace("-", "−");
      return make("span", {}, `${panel.title} `, make("b", { textContent: text }));
    });
    this.#readout.replaceChildren(place, ...values);
  }
}

/** Row `row` of an array [batch, timesteps, units] as [units, timesteps]. */
function unitsFirst({ data, shape: [, timesteps, units] }, row) {
  const values = new Float32Array(units * timesteps);
  for (let timestep = 0; timestep < timesteps; timestep++) {
    for (let unit = 0; unit < units; unit++) {
      values[unit * timesteps + timestep] = data[(row * timesteps + timestep) * units + unit];
    }
  }
  return values;
}

/** Why arrays of this shape can't be drawn; null where they can. */
export function tooLarge([, timesteps, units]) {
  if (timesteps === 0 || units === 0) return "There are no timesteps to draw.";
  if (timesteps <= LONGEST && units <= LONGEST) return null;
  return `A heat map has up to ${LONGEST} timesteps and units; here are ${timesteps} and ${units}.`;
}
