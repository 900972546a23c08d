// Making and finding elements of the page.

/** The element with this id. */
export const byId = (id) => document.getElementById(id);

/**
 * Makes an element: properties as they are named in JavaScript, `on` with listeners, `aria` and
 * `data` with attributes of these kinds; then its children, which may be texts.
 */
export function make(tag, { on = {}, aria = {}, data = {}, ...properties } = {}, ...children) {
  const element = document.createElement(tag);
  Object.assign(element, properties);
  for (const [name, listener] of Object.entries(on)) element.addEventListener(name, listener);
  for (const [name, value] of Object.entries(aria)) element.setAttribute(`aria-${name}`, value);
  Object.assign(element.dataset, data);
  element.append(...children.filter((child) => child !== null));
  return element;
}

/** A button that is no submit button. */
export function button(text, listener, properties = {}) {
  return make("button", {
    type: "button",
    textContent: text,
    on: { click: listener },
    ...properties,
  });
}

/** Makes boxes whose content is too wide reachable by the keyboard, which then scrolls them. */
const SCROLLED = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    target.tabIndex = target.scrollWidth > target.clientWidth ? 0 : -1;
  }
});

/** A box that scrolls sideways where its content is too wide. */
export function scrolled(label, content) {
  const box = make("div", { className: "scrolled", role: "region", aria: { label } }, content);
  SCROLLED.observe(box);
  return box;
}

/** What an error says: that of birnn with its kind. */
export function showError(box, error) {
  const kind = error.kind ? make("strong", { textContent: `${error.kind}: ` }) : null;
  box.replaceChildren(...[kind, error.message].filter(Boolean));
  box.hidden = false;
}

export function clearError(box) {
  box.hidden = true;
  box.replaceChildren();
}

/** The lengths of axes as birnn's messages write them: `[1, 8, 2]`. */
export const shapeText = (shape) => `[${shape.join(", ")}]`;

/** Bytes in words. */
export function bytesText(bytes) {
  if (bytes < 1000) return `${bytes} bytes`;
  return bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

/** Milliseconds with three digits. */
export function millisecondsText(time) {
  if (time >= 100) return `${Math.round(time)} ms`;
  return `${time.toPrecision(time < 0.01 ? 1 : 3)} ms`;
}

/** An adapter in words; the name that birnn gives to one without a name says no more. */
export function adapterText({ name, kind }) {
  return name && !name.startsWith("WebGPU") ? `${name}, ${kind}` : kind;
}

/** Which device it is, in words. */
export function deviceText(info) {
  return info.kind === "CPU" ? `WebAssembly (${info.backend})` : `WebGPU (${adapterText(info)})`;
}

/** Hands a file to the browser to save. */
export function download(name, content, type) {
  const url = URL.createObjectURL(new Blob([content], { type }));
  make("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000); // when the browser has it
}
