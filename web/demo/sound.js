// A sound to try the voice detector on where there is no microphone: two spoken phrases, which a
// small formant synthesizer makes, and between them a melody and noise, which are no speech.

/** Samples a second of everything here, and of the voice detector. */
export const RATE = 16000;

/** The first three formants of vowels in Hz, as they are in textbooks of phonetics. */
const VOWELS = {
  a: [730, 1090, 2440],
  e: [530, 1840, 2480],
  i: [270, 2290, 3010],
  o: [570, 840, 2410],
  u: [300, 870, 2240],
};
/** The bandwidth of each formant in Hz, the fourth and fifth included, which hardly move. */
const BANDWIDTHS = [80, 100, 140, 200, 250];
const HIGH_FORMANTS = [3400, 4300];

/** What is heard, with the time that it takes in seconds. */
const PARTS = [
  { name: "silence", seconds: 0.6 },
  {
    name: "speech",
    seconds: 2.2,
    syllables: ["ma", "se", "no", "ti", "ra", "la", "mi", "su"],
    pitch: 125,
  },
  { name: "silence", seconds: 0.7 },
  { name: "melody", seconds: 1.2 },
  { name: "silence", seconds: 0.5 },
  { name: "noise", seconds: 0.8 },
  { name: "silence", seconds: 0.6 },
  { name: "speech", seconds: 1.6, syllables: ["lo", "sa", "mi", "te", "na", "ru"], pitch: 160 },
  { name: "silence", seconds: 0.8 },
];

/** Numbers from -1 to 1 that are the same in every run. */
function randomNumbers(seed) {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  };
}

/** A filter of two poles that rings at a formant. */
class Resonator {
  #before = 0;
  #twoBefore = 0;

  next(input, frequency, bandwidth) {
    const radius = Math.exp((-Math.PI * bandwidth) / RATE);
    const turn = 2 * radius * Math.cos((2 * Math.PI * frequency) / RATE);
    const gain = 1 - turn + radius * radius;
    const output = gain * input + turn * this.#before - radius * radius * this.#twoBefore;
    this.#twoBefore = this.#before;
    this.#before = output;
    return output;
  }
}

/** Syllables of a consonant and a vowel, one after the other. */
function speech({ seconds, syllables, pitch }, random) {
  const samples = new Float32Array(Math.round(seconds * RATE));
  const tract = BANDWIDTHS.map(() => new Resonator());
  const hiss = new Resonator();
  const each = samples.length / syllables.length;
  let formants = VOWELS[syllables[0][1]].slice();
  let phase = 0; // of the vocal cords, 0 to 1
  let flow = 0;
  for (let index = 0; index < samples.length; index++) {
    const [consonant, vowel] = syllables[Math.floor(index / each)];
    const within = (index % each) / each; // 0 to 1 in the syllable
    formants = formants.map((now, place) => now + (VOWELS[vowel][place] - now) * 0.0012);
    // The voice falls through the phrase, and rises a little in each syllable.
    const fall = 1.12 - (0.3 * index) / samples.length;
    const vibrato = 0.015 * Math.sin((2 * Math.PI * 5 * index) / RATE);
    phase += (pitch * (fall + vibrato + 0.06 * Math.sin(Math.PI * within))) / RATE;
    phase -= Math.floor(phase);
    // The cords let air through in the first 60 % of each turn, and close quickly.
    const opening = phase < 0.4 ? 0.5 - 0.5 * Math.cos((Math.PI * phase) / 0.4) : 0;
    const closing = phase >= 0.4 && phase < 0.6 ? Math.cos((Math.PI * (phase - 0.4)) / 0.4) : 0;
    const air = opening + closing;
    const source = air - flow + 0.02 * air * random();
    flow = air;
    const isHissing = "st".includes(consonant) && within < 0.28;
    const isHumming = "mn".includes(consonant) && within < 0.25;
    const voiced = isHissing ? 0 : Math.min(1, within * 8, (1 - within) * 6);
    let sound = source * voiced * (isHumming ? 0.5 : 1);
    const frequencies = [...formants, ...HIGH_FORMANTS];
    tract.forEach((formant, place) => {
      sound = formant.next(sound, frequencies[place], BANDWIDTHS[place]);
    });
    const noise = hiss.next(random(), 4800, 1500);
    samples[index] = sound + (isHissing ? 0.05 * noise * Math.sin((Math.PI * within) / 0.28) : 0);
  }
  const loudest = samples.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return samples.map((value) => (0.7 * value) / loudest);
}

/** Four notes of a glockenspiel. */
function melody({ seconds }) {
  const notes = [1046.5, 1318.5, 1568, 2093]; // C6 E6 G6 C7
  const each = (seconds * RATE) / notes.length;
  return Float32Array.from({ length: Math.round(seconds * RATE) }, (_, index) => {
    const note = Math.min(notes.length - 1, Math.floor(index / each));
    const time = (index - note * each) / RATE;
    return 0.25 * Math.exp(-9 * time) * Math.sin(2 * Math.PI * notes[note] * time);
  });
}

/** The sound of rain. */
function noise({ seconds }, random) {
  const length = Math.round(seconds * RATE);
  return Float32Array.from({ length }, (_, index) => {
    return 0.08 * random() * Math.min(1, index / 800, (length - index) / 800);
  });
}

/**
 * Makes the sound: `samples` at 16 kHz, and `parts` with the seconds at which each begins and ends.
 */
export function sample() {
  const random = randomNumbers(7);
  const makers = { speech, melody, noise };
  const parts = [];
  const pieces = [];
  let begin = 0;
  for (const part of PARTS) {
    const length = Math.round(part.seconds * RATE);
    pieces.push(makers[part.name]?.(part, random) ?? new Float32Array(length));
    parts.push({ name: part.name, begin, end: begin + part.seconds });
    begin += part.seconds;
  }
  const samples = new Float32Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let place = 0;
  for (const piece of pieces) {
    samples.set(piece, place);
    place += piece.length;
  }
  // Every room hums a little.
  for (let index = 0; index < samples.length; index++) samples[index] += 0.0005 * random();
  return { samples, parts };
}
