//! Builds a tagger in Rust: Embedding, Bidirectional(LSTM), Dense with softmax. Its weights are
//! drawn from a seed, so its tags mean nothing; then one layer's are set, as they would be from
//! Keras's `layer.get_weights()`, and the tags follow.
//!
//! `cargo run --release --example build_model`

use birnn::{
    Activation, Bidirectional, Dense, Device, Embedding, Graph, Inputs, Layer, Lstm, Model,
};
use ndarray::{Array2, arr1, arr2};

const WORDS: [&str; 9] = ["", "the", "a", "cat", "dog", "bird", "sees", "hears", "sings"];
const TAGS: [&str; 3] = ["determiner", "noun", "verb"];

fn tagger() -> birnn::Result<Model> {
    let layers: [Layer; 3] = [
        // mask_zero: the id 0 is padding, and the LSTM passes it over.
        Embedding::new(WORDS.len(), 16).mask_zero(true).into(),
        // return_sequences: an output for each timestep, as every word gets a tag.
        Bidirectional::new(Lstm::new(8).return_sequences(true)).into(),
        Dense::new(TAGS.len()).activation(Activation::Softmax).named("tags"),
    ];
    let mut graph = Graph::new();
    // Ids are [batch, timesteps]; None leaves the timesteps open.
    let mut x = graph.input("ids", &[None])?;
    for layer in layers {
        x = graph.add(layer, x)?[0]; // add returns several arrays where a layer has return_state
    }
    graph.build([x])?.initialize(42)
}

fn main() -> birnn::Result<()> {
    let mut model = tagger()?;
    println!("{}\n", model.summary());

    // Two sentences; the shorter one is filled up with zeros. Ids are given as floats.
    let ids = arr2(&[[1.0, 3.0, 6.0, 2.0, 4.0], [1.0, 5.0, 8.0, 0.0, 0.0]]);
    let device = Device::best()?;
    println!("With weights from the seed:");
    print_tags(&device, &model, &ids)?;

    // A Dense layer has a kernel, [features, units], and a bias, [units]. The kernel stays; the
    // bias now favours nouns.
    let mut weights = model.weights("tags")?;
    let shapes: Vec<_> = weights.iter().map(|weight| weight.shape()).collect();
    println!("\nThe weights of layer tags have the shapes {shapes:?}");
    weights[1] = arr1(&[0.0, 3.0, 0.0]).into_dyn();
    model.set_weights("tags", weights)?;
    println!("With a bias of 3 for nouns:");
    print_tags(&device, &model, &ids)
}

fn print_tags(device: &Device, model: &Model, ids: &Array2<f32>) -> birnn::Result<()> {
    // A session keeps the weights that the model has now; after set_weights it takes a new one.
    let mut session = device.compile(model)?;
    let outputs = session.run(Inputs::new(ids.view()))?;
    let probabilities = outputs.output(); // [batch, timesteps, tags]
    for (row, sentence) in ids.outer_iter().enumerate() {
        let length = sentence.iter().filter(|&&id| id != 0.0).count();
        for (t, &id) in sentence.iter().enumerate().take(length) {
            let of = |tag: usize| probabilities[[row, t, tag]];
            let best = (1..TAGS.len()).fold(0, |a, b| if of(b) > of(a) { b } else { a });
            print!("{}: {} {:.2}  ", WORDS[id as usize], TAGS[best], of(best));
        }
        println!();
    }
    Ok(())
}
