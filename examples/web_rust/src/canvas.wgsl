// A heat map: each value is a rectangle, blue below zero and orange above.

struct Picture {
    pixels: vec2f,
    // Columns and rows of values.
    values: vec2f,
    data: array<f32>,
}

@group(0) @binding(0) var<storage, read> picture: Picture;

// A triangle that covers the canvas.
@vertex
fn corner(@builtin(vertex_index) index: u32) -> @builtin(position) vec4f {
    let place = vec2f(f32(index & 1u), f32(index >> 1u));
    return vec4f(4.0 * place - 1.0, 0.0, 1.0);
}

@fragment
fn colour(@builtin(position) position: vec4f) -> @location(0) vec4f {
    let place = vec2u(position.xy / picture.pixels * picture.values);
    let value = picture.data[place.x * u32(picture.values.y) + place.y];
    let warm = vec3f(1.0, 0.6, 0.2) * max(value, 0.0);
    let cold = vec3f(0.2, 0.5, 1.0) * max(-value, 0.0);
    return vec4f(sqrt(warm + cold), 1.0);
}
