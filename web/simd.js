// Which instructions a browser's WebAssembly has.

/** A module of one function, `() => v128`, which is a multiply-add of relaxed SIMD. */
const MULTIPLY_ADD = Uint8Array.of(
  ...[0, 97, 115, 109, 1, 0, 0, 0], // the head of a module
  ...[1, 5, 1, 96, 0, 1, 123], // types: () => v128
  ...[3, 2, 1, 0], // functions: one, of that type
  ...[10, 19, 1, 17, 0], // code: a body of 17 bytes, without locals
  ...[65, 0, 253, 15, 65, 0, 253, 15, 65, 0, 253, 15], // three times i32.const 0, i8x16.splat
  ...[253, 133, 2, 11], // f32x4.relaxed_madd, end
);

/** Whether there is relaxed SIMD. */
export const hasRelaxedSimd = () => WebAssembly.validate(MULTIPLY_ADD);
