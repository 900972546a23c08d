//! Models, and how they are read.

use crate::bytes::Bytes;
use crate::device::Device;
use crate::error::{failure, with_kind};
use crate::given::{Given, give};
use crate::session::Session;
use birnn::layer::Recurrent;
use birnn::reference::Trace;
use birnn::{Direction, FileFormat, Layer, SaveOptions, SummaryRow};
use js_sys::{Array, Float32Array, Promise};
use ndarray::Array3;
use serde_json::{Value, json};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::future_to_promise;

/// How a file is read: what `birnn.js` was given, a call an option. A module without a format's
/// reader takes its options, and then refuses the file.
#[wasm_bindgen]
#[derive(Default)]
pub struct Reading {
    /// The options that were given, each with the format that it is of.
    given: Vec<(&'static str, FileFormat)>,
    #[cfg(feature = "keras")]
    config: Option<String>,
    #[cfg(feature = "pytorch")]
    prefix: Option<String>,
    #[cfg(feature = "pytorch")]
    nonlinearity: Option<String>,
    #[cfg(feature = "onnx")]
    onnx: birnn::OnnxOptions,
}

#[wasm_bindgen]
#[cfg_attr(
    not(all(feature = "keras", feature = "onnx", feature = "pytorch")),
    allow(unused_variables)
)]
impl Reading {
    #[wasm_bindgen(constructor)]
    pub fn new() -> Reading {
        Reading::default()
    }

    /// Keras: the configuration of a file of weights alone.
    pub fn config(&mut self, json: String) {
        self.given.push(("config", FileFormat::Keras));
        #[cfg(feature = "keras")]
        self.config.replace(json);
    }

    /// PyTorch: which of its modules it is.
    pub fn prefix(&mut self, prefix: String) {
        self.given.push(("prefix", FileFormat::Torch));
        #[cfg(feature = "pytorch")]
        self.prefix.replace(prefix);
    }

    /// PyTorch: that of an `RNN`.
    pub fn nonlinearity(&mut self, nonlinearity: String) {
        self.given.push(("nonlinearity", FileFormat::Torch));
        #[cfg(feature = "pytorch")]
        self.nonlinearity.replace(nonlinearity);
    }

    /// ONNX: an input that is an output of the call before.
    pub fn tied(&mut self, input: &str, output: &str) {
        self.given.push(("tied", FileFormat::Onnx));
        #[cfg(feature = "onnx")]
        self.change(|onnx| onnx.tied(input, output));
    }

    /// ONNX: the length of axes.
    pub fn axis_length(&mut self, axis: &str, length: usize) {
        self.given.push(("axisLengths", FileFormat::Onnx));
        #[cfg(feature = "onnx")]
        self.change(|onnx| onnx.length(axis, length));
    }

    /// ONNX: an input that no call gives, of floats.
    pub fn fixed_floats(
        &mut self,
        input: &str,
        data: &Float32Array,
        shape: Vec<usize>,
    ) -> Result<(), JsValue> {
        self.given.push(("fixedInputs", FileFormat::Onnx));
        let array = crate::given::array(&format!("the fixed input {input:?}"), data, shape)?;
        #[cfg(feature = "onnx")]
        self.change(|onnx| onnx.fixed_input(input, birnn::program::Values::Floats(array)));
        Ok(())
    }

    /// ONNX: an input that no call gives, of whole numbers or, where they are all 0 or 1 and
    /// `are_bools`, truth values.
    pub fn fixed_integers(
        &mut self,
        input: &str,
        data: Vec<i64>,
        shape: Vec<usize>,
        are_bools: bool,
    ) -> Result<(), JsValue> {
        self.given.push(("fixedInputs", FileFormat::Onnx));
        let found = data.len();
        let array = ndarray::ArrayD::from_shape_vec(ndarray::IxDyn(&shape), data);
        let array = array.map_err(|_| {
            let text = format!("the fixed input {input:?} has {found} values, which don't fill");
            with_kind("InputShape", &format!("{text} its shape {shape:?}"))
        })?;
        #[cfg(feature = "onnx")]
        self.change(|onnx| {
            use birnn::program::Values;
            let values = match are_bools {
                true => Values::Bools(array.mapv(|value| value != 0)),
                false => Values::Integers(array),
            };
            onnx.fixed_input(input, values)
        });
        Ok(())
    }

    /// ONNX: a file beside the model.
    pub fn external(&mut self, name: &str, bytes: Bytes) {
        self.given.push(("externalData", FileFormat::Onnx));
        #[cfg(feature = "onnx")]
        self.change(|onnx| onnx.external_file(name, bytes.into_vec()));
    }
}

impl Reading {
    #[cfg(feature = "onnx")]
    fn change(&mut self, change: impl FnOnce(birnn::OnnxOptions) -> birnn::OnnxOptions) {
        self.onnx = change(std::mem::take(&mut self.onnx));
    }

    /// That no option is of another format than the file's.
    fn check(&self, format: FileFormat) -> Result<(), JsValue> {
        match self.given.iter().find(|(_, of)| *of != format) {
            Some((name, of)) => {
                let text = format!("{name} is an option of {of:?} files; this one is {format:?}'s");
                Err(with_kind("Argument", &text))
            }
            None => Ok(()),
        }
    }

    fn read(self, name: &str, bytes: Vec<u8>) -> Result<birnn::Model, JsValue> {
        let format = FileFormat::of_bytes(name, &bytes).map_err(|error| failure(&error))?;
        self.check(format)?;
        let model = match format {
            #[cfg(feature = "keras")]
            FileFormat::Keras => self.read_keras(name, bytes),
            #[cfg(feature = "onnx")]
            FileFormat::Onnx => self.onnx.load_bytes(name, &bytes),
            #[cfg(feature = "pytorch")]
            FileFormat::Torch => self.torch()?.load_bytes(name, bytes),
            FileFormat::Portable => birnn::Model::from_portable_bytes(name, &bytes),
            #[allow(unreachable_patterns)] // where all formats are built in
            format => {
                let text = format!(
                    "{name} is a file of {format:?}, which birnn/portable doesn't read: import \
                     from birnn, or save the model in birnn's own form"
                );
                return Err(with_kind("MalformedFile", &text));
            }
        };
        model.map_err(|error| failure(&error))
    }

    #[cfg(feature = "keras")]
    fn read_keras(self, name: &str, bytes: Vec<u8>) -> birnn::Result<birnn::Model> {
        match self.config {
            None => birnn::Model::from_keras_bytes(name, bytes),
            Some(json) => {
                let mut model = birnn::Model::from_keras_config(&json)?;
                model.load_keras_weights_bytes(name, bytes)?;
                Ok(model)
            }
        }
    }

    #[cfg(feature = "pytorch")]
    fn torch(self) -> Result<birnn::torch::TorchOptions, JsValue> {
        let mut options = birnn::torch::TorchOptions::new();
        if let Some(prefix) = self.prefix {
            options = options.prefix(prefix);
        }
        match self.nonlinearity.as_deref() {
            None | Some("tanh") => Ok(options),
            Some("relu") => Ok(options.nonlinearity(birnn::Activation::Relu)),
            Some(other) => {
                let text = format!("nonlinearity is {other:?}; PyTorch has \"tanh\" and \"relu\"");
                Err(with_kind("Argument", &text))
            }
        }
    }
}

/// A network with its weights.
#[wasm_bindgen]
pub struct Model {
    model: birnn::Model,
}

#[wasm_bindgen]
impl Model {
    /// Reads the content of a file, which says its format; `name` stands for it in messages.
    pub fn read(name: &str, bytes: Bytes, reading: Reading) -> Result<Model, JsValue> {
        Ok(Model { model: reading.read(name, bytes.into_vec())? })
    }

    /// What `birnn.js` tells of it, in JSON.
    pub fn describe(&self) -> String {
        let model = &self.model;
        let summary = model.summary();
        let text = summary.to_string();
        let inputs = summary.rows.iter().take(model.input_names().len());
        let input = |row: &SummaryRow| {
            let shape = row.output_shapes.first();
            json!({
                "name": row.name,
                "shape": shape,
                "dtype": "float32",
                "givenAs": row.given_as,
            })
        };
        let row = |row: &SummaryRow| {
            json!({
                "name": row.name,
                "className": row.class_name,
                "outputShapes": row.output_shapes,
                "parameters": row.parameters,
                "connectedTo": row.connected_to,
                "givenAs": row.given_as,
            })
        };
        json!({
            "inputs": inputs.map(input).collect::<Vec<Value>>(),
            "outputs": model.output_names(),
            "layerNames": model.layer_names(),
            "recurrentLayers": recurrent_layers(model),
            "isStateful": model.is_stateful(),
            "summary": {
                "rows": summary.rows.iter().map(row).collect::<Vec<Value>>(),
                "parameters": summary.parameters,
                "text": text,
            },
        })
        .to_string()
    }

    /// The weights of a layer: for each array its values and its shape, one after the other.
    pub fn weights(&self, layer: &str) -> Result<Array, JsValue> {
        let list = Array::new();
        for array in self.model.weights(layer).map_err(|error| failure(&error))? {
            give(&list, &array.view());
        }
        Ok(list)
    }

    /// Makes the model ready for a device; the promise is of a `Session`.
    pub fn compile(&self, device: &Device) -> Promise {
        let (model, device) = (self.model.clone(), device.device.clone());
        future_to_promise(async move {
            let session = device.compile_async(&model).await.map_err(|error| failure(&error))?;
            Ok(Session::new(session).into())
        })
    }

    /// What a recurrent layer does at each timestep: a list for each call of it, with a list for
    /// each direction. These have the direction's name, whether it reads backwards, and then one
    /// after the other the name, the values and the shape of each array.
    pub fn trace(&self, layer: &str, given: &Given) -> Result<Array, JsValue> {
        let calls = birnn::reference::trace::<f32>(&self.model, layer, given.inputs()?);
        let list = Array::new();
        for call in calls.map_err(|error| failure(&error))? {
            list.push(&call.into_iter().map(direction).collect::<Array>());
        }
        Ok(list)
    }

    /// The model in birnn's own form.
    pub fn save(&self, half_weights: bool) -> Result<Vec<u8>, JsValue> {
        let options = SaveOptions::new().half_weights(half_weights);
        options.bytes(&self.model).map_err(|error| failure(&error))
    }
}

/// The layers that `trace` knows, in JSON.
fn recurrent_layers(model: &birnn::Model) -> Vec<Value> {
    let direction = |(direction, layer): (Direction, &Recurrent)| {
        let cell = layer.cell();
        json!({
            "direction": direction.to_string(),
            "goBackwards": layer.go_backwards(),
            "cell": cell.class_name(),
            "units": layer.units(),
            "hasCellState": cell.has_cell_state(),
            "gates": cell.gates().iter().map(|gate| gate.title).collect::<Vec<_>>(),
        })
    };
    let of_layer = |layer: &Layer| {
        let directions: Vec<Value> =
            layer.innermost().directions().into_iter().map(direction).collect();
        (!directions.is_empty()).then(|| json!({ "name": layer.name(), "directions": directions }))
    };
    model.layers().filter_map(of_layer).collect()
}

fn direction(trace: Trace<f32>) -> Array {
    let list = Array::of2(&trace.direction.to_string().into(), &trace.go_backwards.into());
    let add = |name: &str, array: &Array3<f32>| {
        list.push(&name.into());
        give(&list, &array.view().into_dyn());
    };
    add("hidden state", &trace.hidden);
    if let Some(cell) = &trace.cell {
        add("cell state", cell);
    }
    trace.gates.iter().for_each(|(gate, values)| add(gate.title, values));
    list
}
