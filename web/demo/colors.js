// The colours of heat maps: blue below zero and orange above, which people tell apart who see no
// red or no green. Zero is nearly the page's background, so that what is large stands out in the
// light and in the dark.

const SCALES = {
  light: {
    aroundZero: ["#0b3c78", "#2f78bd", "#8fbfe3", "#f4f3f0", "#f2b27c", "#d46f1f", "#843c06"],
    fromZero: ["#f4f3f0", "#cfd8c4", "#94b39a", "#4f8a7b", "#16605c", "#063a3d"],
    unknown: "#b9b9b9",
    cursor: "#000000",
  },
  dark: {
    aroundZero: ["#a9d6ff", "#5aa7ea", "#2a6099", "#25272b", "#93531f", "#e38a3d", "#ffd0a0"],
    fromZero: ["#25272b", "#2c4a4a", "#35716b", "#55a08c", "#95cdb0", "#dcf5dc"],
    unknown: "#6b6b6b",
    cursor: "#ffffff",
  },
};

const DARK = matchMedia("(prefers-color-scheme: dark)");

/** Calls back when the page turns dark or light. */
export function onSchemeChange(listener) {
  DARK.addEventListener("change", listener);
}

const channels = (hex) => [1, 3, 5].map((place) => parseInt(hex.slice(place, place + 2), 16));

/** The colours for the page as it is now. */
export const scheme = () => SCALES[DARK.matches ? "dark" : "light"];

/**
 * A function from a part of the way, 0 to 1, to a colour `[red, green, blue]`; `kind` is
 * `"aroundZero"` or `"fromZero"`.
 */
export function ramp(kind) {
  const colors = scheme()[kind].map(channels);
  const unknown = channels(scheme().unknown);
  return (part) => {
    if (Number.isNaN(part)) return unknown;
    const place = Math.min(1, Math.max(0, part)) * (colors.length - 1);
    const below = Math.min(colors.length - 2, Math.floor(place));
    return colors[below].map((from, channel) => {
      return Math.round(from + (colors[below + 1][channel] - from) * (place - below));
    });
  };
}
