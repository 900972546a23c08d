//! A model that returns what its layers return.

use super::{Model, TensorSpec};
use crate::layer::Role;
use std::sync::Arc;

impl Model {
    /// The same model, which returns what each of its layers returns in place of its outputs, in
    /// the order of their calls: to see in which layer the results of two devices differ.
    ///
    /// A layer without `return_sequences` still returns its last output alone. A
    /// [`Program`](crate::program::Program), such as an ONNX model, returns its own outputs and
    /// then those of its recurrent layers.
    ///
    /// ```
    /// use birnn::{Dense, Device, Gru, Layer, Model};
    /// let layers: [Layer; 2] = [Gru::new(4).into(), Dense::new(1).into()];
    /// let model = Model::sequential(2, layers)?.initialize(1)?;
    /// let x = ndarray::Array3::<f32>::ones((3, 6, 2));
    /// let outputs = Device::cpu().compile(&model.with_layer_outputs())?.run(x.view())?;
    /// assert_eq!(outputs.named("gru")?.shape(), [3, 4]);
    /// assert_eq!(outputs.named("dense")?.shape(), [3, 1]);
    /// # Ok::<(), birnn::Error>(())
    /// ```
    #[must_use]
    pub fn with_layer_outputs(&self) -> Model {
        let mut model = self.clone();
        let Some(program) = &self.program else {
            let results = self.nodes.iter().flat_map(|node| &node.results);
            model.outputs = results.copied().collect();
            return model;
        };
        let (program, names) = program.with_recurrent_outputs();
        for source in names {
            model.outputs.push(model.tensors.len());
            model.tensors.push(TensorSpec { shape: Vec::new(), role: Role::Output, source });
        }
        model.program = Some(Arc::new(program));
        model
    }
}
