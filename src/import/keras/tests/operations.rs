//! Operations in the place of layers: how files call them, and what is said of those that can't be.

use super::*;
use crate::layer::Rescaling;
use crate::{CustomLayer, KerasOptions};

/// A functional model of Keras 2: `x` of three features, `ids`, and these layers.
fn of_tensorflow(layers: Vec<Value>, output: &str) -> Value {
    let ids = json!({"class_name": "InputLayer", "name": "ids", "inbound_nodes": [],
        "config": {"name": "ids", "batch_input_shape": [null, 4], "dtype": "int32"}});
    let mut all = vec![input("x", json!([null, null, 3])), ids];
    all.extend(layers);
    json!({"class_name": "Functional", "config": {"layers": all,
        "input_layers": [["x", 0, 0], ["ids", 0, 0]], "output_layers": [[output, 0, 0]]}})
}

fn function(name: &str, function: &str, node: Value) -> Value {
    let class = if function == "__operators__.getitem" { "SlicingOpLambda" } else { "TFOpLambda" };
    let config = json!({"name": name, "trainable": true, "dtype": "float32", "function": function});
    json!({"class_name": class, "name": name, "config": config, "inbound_nodes": [node]})
}

/// The axes of what the model returns, the batch among them, or why it is none.
fn returned(layers: Vec<Value>, output: &str) -> Result<Vec<Option<usize>>, String> {
    let model = keras2(of_tensorflow(layers, output)).map_err(|error| error.to_string())?;
    Ok(model.summary().rows.last().unwrap().output_shapes[0].clone())
}

#[test]
fn functions_are_called_in_all_forms() {
    let x = || json!(["x", 0, 0, {"name": null}]);
    let one = |node: Value, name: &str| returned(vec![function("it", name, node)], "it");
    let axes = |axes: &[usize]| -> Result<Vec<Option<usize>>, String> {
        Ok([None].into_iter().chain(axes.iter().map(|&n| (n > 0).then_some(n))).collect())
    };
    assert_eq!(one(json!(["x", 0, 0, {"y": 1.0, "name": null}]), "math.add"), axes(&[0, 3]));
    assert_eq!(
        one(json!(["_CONSTANT_VALUE", -1, 2, {"y": ["x", 0, 0]}]), "math.pow"),
        axes(&[0, 3])
    );
    assert_eq!(
        one(json!([["x", 0, 0, {"axis": -1}], ["x", 0, 0, {"axis": -1}]]), "concat"),
        axes(&[0, 6])
    );
    assert_eq!(one(json!([["x", 0, 0, {"axis": 1}]]), "stack"), axes(&[1, 0, 3]));
    assert_eq!(one(json!(["x", 0, 0, {"perm": [0, 2, 1]}]), "compat.v1.transpose"), axes(&[3, 0]));
    let last = json!([{"start": null, "stop": null, "step": null}, -1]);
    let dots =
        json!([{"class_name": "__ellipsis__"}, null, {"start": 1, "stop": null, "step": null}]);
    for (key, wanted) in [(last, axes(&[3])), (dots, axes(&[0, 1, 2]))] {
        assert_eq!(one(json!(["x", 0, 0, {"slice_spec": key}]), "__operators__.getitem"), wanted);
    }
    // By the length of another array.
    let layers = vec![
        function("shape", "compat.v1.shape", json!(["x", 0, 0, {"out_type": "int32"}])),
        function("rows", "__operators__.getitem", json!(["shape", 0, 0, {"slice_spec": 0}])),
        function("flat", "reshape", json!(["x", 0, 0, {"shape": [["rows", 0, 0], -1]}])),
        function("zeros", "zeros", json!([["rows", 0, 0, {}], ["_CONSTANT_VALUE", -1, 5, {}]])),
    ];
    assert_eq!(returned(layers.clone(), "flat"), Ok(vec![None, None]));
    assert_eq!(returned(layers.clone(), "zeros"), axes(&[5]));
    let reason = returned(layers, "shape").unwrap_err();
    assert!(reason.contains("\"shape\"") && reason.contains("batch as its first axis"), "{reason}");
    let reason = one(x(), "math.zeta").unwrap_err();
    for words in ["\"it\"", "tf.math.zeta", "KerasOptions::custom", "ONNX"] {
        assert!(reason.contains(words), "{reason}");
    }
    let unknown = one(json!(["x", 0, 0, {"y": 1.0, "beta": 3}]), "math.add").unwrap_err();
    assert!(unknown.contains("beta=3"), "{unknown}");
    let missing = one(x(), "math.add").unwrap_err();
    assert!(missing.contains("\"it\": y: is missing"), "{missing}");
    let dropped = one(json!(["x", 0, 0, {"rate": 0.5}]), "nn.dropout").unwrap_err();
    assert!(dropped.contains("tf.nn.dropout"), "{dropped}");
}

/// A layer that the caller gives can stand for a function.
#[test]
fn functions_can_be_custom_layers() {
    let options = KerasOptions::new().custom("TFOpLambda", |layer| {
        assert_eq!(layer.text("function")?, "math.atan");
        Ok(CustomLayer::new(Rescaling::new(0.5)))
    });
    let mut config = of_tensorflow(vec![function("it", "math.atan", json!(["x", 0, 0, {}]))], "it");
    config["keras_version"] = json!("2.15.0");
    let model = options.load_config(&config.to_string()).unwrap();
    assert_eq!(model.layer_names(), ["it"]);
}

/// The HDF5 files of Keras 3 name no modules.
#[test]
fn operations_have_no_module_in_hdf5_files() {
    let mut add = operation("Add", "add", json!([tensor("x"), 1]), json!({}));
    add.as_object_mut().unwrap().remove("module");
    let mut config = functional(
        rnn(json!({})),
        json!([{"args": [tensor("add")], "kwargs": {}}]),
        json!([["rnn", 0, 0]]),
    );
    config["config"]["layers"].as_array_mut().unwrap().push(add);
    let model = keras3(config.clone()).unwrap();
    assert_eq!(model.layer_names(), ["rnn", "add"]);
    config["config"]["layers"][3]["config"]["trainable"] = json!(true);
    assert!(keras3(config).unwrap_err().to_string().contains("layer \"add\""));
}

/// What several read is computed once; what one reads becomes one layer with it.
#[test]
fn operations_in_a_row_are_one_layer() {
    let row = |reads: [&str; 3]| {
        let mut layers = vec![
            operation("Tanh", "a", json!([tensor("x")]), json!({})),
            operation("Exp", "b", json!([tensor(reads[0])]), json!({})),
            operation("Negative", "c", json!([tensor(reads[1])]), json!({})),
            operation("Add", "d", json!([tensor("c"), tensor(reads[2])]), json!({})),
        ];
        layers.insert(0, input("x", json!([null, null, 3])));
        let config = json!({"layers": layers, "input_layers": [["x", 0, 0]],
            "output_layers": [["d", 0, 0]]});
        keras3(json!({"class_name": "Functional", "config": config})).unwrap().layer_names()
    };
    assert_eq!(row(["a", "b", "x"]), ["d"]);
    assert_eq!(row(["a", "b", "b"]), ["b", "d"]);
}
