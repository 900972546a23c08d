//! Translation, word by word: a bidirectional LSTM reads the source, its final states start a
//! decoder, and a loop feeds every word that the decoder chose back until it chooses the end. The
//! weights come from a seed, untrained, so the words mean nothing.
//!
//! `cargo run --release --example seq2seq`

use birnn::layer::Concatenate;
use birnn::{
    Activation, Bidirectional, Call, Dense, Device, Embedding, Graph, Inputs, Lstm, Model, Session,
};
use ndarray::{Array2, ArrayView2, arr2, s};

const SOURCE_WORDS: usize = 30;
const TARGET_WORDS: usize = 12;
/// Of each direction of the encoder; the decoder has as many as both together.
const UNITS: usize = 16;
const START: usize = 1;
const END: usize = 2;
/// Nothing makes a decoder choose the end, so it gets so many words at most.
const MOST_WORDS: usize = 10;

/// Reads `[batch, timesteps]` ids; returns `h` and `c`, each `[batch, 2 * UNITS]`.
fn encoder() -> birnn::Result<Model> {
    let mut graph = Graph::new();
    let source = graph.input("source", &[None])?;
    // mask_zero: sources of different lengths are filled up with the id 0.
    let x = graph.add(Embedding::new(SOURCE_WORDS, 8).mask_zero(true), source)?[0];
    // What it returns: the output, then h and c of forward, then h and c of backward.
    let read = graph.add(Bidirectional::new(Lstm::new(UNITS).return_state(true)), x)?;
    let h = graph.add(Concatenate::new().named("h"), [read[1], read[3]])?[0];
    let c = graph.add(Concatenate::new().named("c"), [read[2], read[4]])?[0];
    graph.build([h, c])?.initialize(2)
}

/// One step of the decoder. Its states are inputs and outputs, so that the loop below carries them
/// from word to word.
fn decoder() -> birnn::Result<Model> {
    let mut graph = Graph::new();
    let token = graph.input("token", &[None])?;
    let (h, c) = (graph.state_input("h", 2 * UNITS)?, graph.state_input("c", 2 * UNITS)?);
    let x = graph.add(Embedding::new(TARGET_WORDS, 8), token)?[0];
    let call = Call::on(x).initial_state(&[h, c]);
    let decoded = graph.add(Lstm::new(2 * UNITS).return_state(true), call)?; // output, h, c
    let dense = Dense::new(TARGET_WORDS).activation(Activation::Softmax).named("probabilities");
    let probabilities = graph.add(dense, decoded[0])?[0];
    graph.build([probabilities, decoded[1], decoded[2]])?.initialize(30)
}

fn translate(
    encoder: &mut Session,
    decoder: &mut Session,
    source: ArrayView2<f32>,
) -> birnn::Result<Vec<Vec<usize>>> {
    let encoded = encoder.run(Inputs::new(source))?;
    let (mut h, mut c) = (encoded.named("h")?.clone(), encoded.named("c")?.clone());
    let mut tokens = Array2::from_elem((source.nrows(), 1), START as f32); // one timestep
    let mut sentences = vec![Vec::new(); source.nrows()];
    let ended = |sentence: &Vec<usize>| sentence.last() == Some(&END);
    for _ in 0..MOST_WORDS {
        let inputs = Inputs::named("token", tokens.view());
        let inputs = inputs.input_named("h", h.view()).input_named("c", c.view());
        let outputs = decoder.run(inputs)?;
        let probabilities = outputs.named("probabilities")?; // [batch, words]
        for (row, sentence) in sentences.iter_mut().enumerate().filter(|(_, s)| !ended(s)) {
            let of = |word: usize| probabilities[[row, word]];
            let best = (1..TARGET_WORDS).fold(0, |a, b| if of(b) > of(a) { b } else { a });
            sentence.push(best);
            tokens[[row, 0]] = best as f32;
        }
        if sentences.iter().all(ended) {
            break; // a row that ended earlier ran on with the others; its words were left out
        }
        h = outputs.forward().hidden()?.to_owned().into_dyn();
        c = outputs.forward().cell()?.to_owned().into_dyn();
    }
    Ok(sentences)
}

fn main() -> birnn::Result<()> {
    let device = Device::best()?;
    let (mut encoder, mut decoder) = (device.compile(&encoder()?)?, device.compile(&decoder()?)?);
    let source = arr2(&[[5.0, 17.0, 3.0, 29.0], [8.0, 21.0, 0.0, 0.0], [11.0, 4.0, 26.0, 0.0]]);
    let sentences = translate(&mut encoder, &mut decoder, source.view())?;
    for (source, sentence) in source.outer_iter().zip(&sentences) {
        println!("source {source} becomes {sentence:?} (untrained)");
    }
    let alone = translate(&mut encoder, &mut decoder, source.slice(s![1..2, ..2]))?;
    println!("the second alone, without padding, the same: {}", alone[0] == sentences[1]);
    Ok(())
}
