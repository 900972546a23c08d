//! Runs a tagger that PyTorch trained, from its state dict: Embedding, bidirectional LSTM, Linear.
//! A state dict has the weights; how the parts are connected is written here, as in the `forward`
//! of the model.
//!
//! `cargo run --release --example run_torch`

use birnn::torch::StateDict;
use birnn::{Device, Graph, Model};
use ndarray::{Axis, arr2};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/torch/tagger.safetensors");

/// ```python
/// def forward(self, ids):
///     return self.classifier(self.lstm(self.embedding(ids))[0])
/// ```
fn tagger() -> birnn::Result<Model> {
    let mut state = StateDict::open(FILE)?;
    let mut graph = Graph::new();
    let ids = graph.input("ids", &[None])?; // [batch, timesteps]
    let embedded = state.embedding(&mut graph, "embedding", ids)?;
    let encoded = state.lstm(&mut graph, "lstm", embedded)?.output;
    let scores = state.linear(&mut graph, "classifier", encoded)?;
    state.build(graph, [scores])
}

fn main() -> birnn::Result<()> {
    let model = tagger()?;
    println!("{}\n", model.summary());
    let mut session = Device::best()?.compile(&model)?;
    println!("Device: {}\n", session.device_info());

    let ids = arr2(&[[1.0f32, 7.0, 3.0, 19.0, 0.0], [4.0, 4.0, 2.0, 11.0, 6.0]]).into_dyn();
    let outputs = session.run(ids.view())?;
    let scores = outputs.output(); // [batch, timesteps, tags]
    println!("scores, shape {:?}:\n{scores:.3}", scores.shape());
    let best = scores.map_axis(Axis(2), |scores| {
        let scores = scores.iter().enumerate();
        scores.max_by(|(_, a), (_, b)| a.total_cmp(b)).map_or(0, |(tag, _)| tag)
    });
    for sentence in best.outer_iter() {
        println!("tags: {sentence}");
    }
    Ok(())
}
