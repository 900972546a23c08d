//! Any bytes as the weights of a good model.
#![no_main]

use birnn::Model;
use libfuzzer_sys::fuzz_target;
use std::sync::OnceLock;

const CONFIG: &str = include_str!(concat!(
    "../../tests/fixtures/layers/",
    "file_weights_rnn_stacked_gru_lstm_rnn_seq_state.json"
));

fuzz_target!(|bytes: &[u8]| {
    static MODEL: OnceLock<Model> = OnceLock::new();
    let good = || Model::from_keras_config(CONFIG).expect("a good model");
    let mut model = MODEL.get_or_init(good).clone();
    if let Err(error) = model.load_keras_weights_bytes("weights", bytes.to_vec()) {
        assert!(!error.to_string().is_empty());
    }
});
