// Sound of any rate at another rate, as it comes in. Used by recorder.js, where nothing else is.

/** The zero crossings of the filter on each side. */
const CROSSINGS = 16;

/** Makes pieces of sound of one rate to pieces of another, without seams. */
export class Resampler {
  #held = new Float32Array(0); // what the filter still needs
  #position; // of the next sample, in samples of what is held
  #step;
  #cutoff;
  #reach;

  constructor(from, to) {
    this.#step = from / to;
    this.#cutoff = Math.min(1, to / from); // of half the rate: what is above would sound wrong
    this.#reach = Math.ceil(CROSSINGS / this.#cutoff);
    this.#position = this.#reach;
    this.#held = new Float32Array(this.#reach); // silence comes before the sound
  }

  /** What a piece gives at the other rate. */
  push(piece) {
    const held = new Float32Array(this.#held.length + piece.length);
    held.set(this.#held);
    held.set(piece, this.#held.length);
    const samples = [];
    while (this.#position + this.#reach < held.length) {
      samples.push(this.#at(held, this.#position));
      this.#position += this.#step;
    }
    const begin = Math.max(0, Math.floor(this.#position) - this.#reach);
    this.#held = held.slice(begin);
    this.#position -= begin;
    return Float32Array.from(samples);
  }

  /** The value between samples: a sinc with a Hann window over those around. */
  #at(held, position) {
    let sum = 0;
    const begin = Math.max(0, Math.ceil(position - this.#reach));
    const end = Math.min(held.length - 1, Math.floor(position + this.#reach));
    for (let index = begin; index <= end; index++) {
      const apart = index - position;
      const angle = Math.PI * apart * this.#cutoff;
      const sinc = angle === 0 ? 1 : Math.sin(angle) / angle;
      sum += held[index] * sinc * (0.5 + 0.5 * Math.cos((Math.PI * apart) / this.#reach));
    }
    return sum * this.#cutoff;
  }
}
