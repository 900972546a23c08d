//! The format: a line for the input, a line for each layer in a row, and the values of its weights
//! in the order of Keras's `get_weights()`.
//!
//! ```text
//! # counts how often it was called
//! input x 1
//! layer sum SimpleRNN 1 return_sequences
//! weights sum 1 1 0
//! ```

use birnn::layer::{Recurrent, RecurrentBuilder};
use birnn::{Bidirectional, Dense, Error, Graph, Gru, Layer, Lstm, Model, Result, SimpleRnn};
use ndarray::ArrayD;

/// The comments of a file, which the model carries along.
pub struct Comments(pub Vec<String>);

/// Reads a model; `file` stands for it in messages.
///
/// # Errors
/// [`Error::MalformedFile`] with the line at fault, and what birnn says of layers and weights that
/// don't fit together.
pub fn read(file: &str, text: &str) -> Result<Model> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let (comments, lines): (Vec<&str>, Vec<&str>) = lines.partition(|line| line.starts_with('#'));
    let lines = lines.into_iter().map(|text| Line { file, text });
    let (weights, layers): (Vec<Line>, Vec<Line>) = lines.partition(|line| line.begins("weights"));
    let mut model = layers_in_a_row(file, &layers)?;
    for line in weights {
        set_weights(&mut model, line)?;
    }
    model.attach(Comments(comments.into_iter().map(String::from).collect()));
    Ok(model)
}

#[derive(Clone, Copy)]
struct Line<'a> {
    file: &'a str,
    text: &'a str,
}

impl<'a> Line<'a> {
    fn begins(self, word: &str) -> bool {
        self.words().next() == Some(word)
    }

    fn words(self) -> impl Iterator<Item = &'a str> {
        self.text.split_whitespace()
    }

    fn malformed<T>(self, reason: &str) -> Result<T> {
        Err(Error::MalformedFile {
            file: self.file.to_string(),
            reason: format!("{reason}: {:?}", self.text),
        })
    }

    fn number(self, word: Option<&str>) -> Result<usize> {
        match word.and_then(|word| word.parse().ok()) {
            Some(number) => Ok(number),
            None => self.malformed("a whole number is missing"),
        }
    }
}

fn layers_in_a_row(file: &str, lines: &[Line]) -> Result<Model> {
    let Some((input, layers)) = lines.split_first().filter(|(first, _)| first.begins("input"))
    else {
        return Line { file, text: "" }.malformed("the input has to come first");
    };
    let mut words = input.words().skip(1);
    let name = words.next().unwrap_or("x");
    let features = input.number(words.next())?;
    let mut graph = Graph::new();
    let mut outputs = vec![graph.sequence_input(name, None, features)?];
    for line in layers {
        outputs = graph.add(layer(*line)?, outputs[0])?;
    }
    graph.build(outputs)
}

/// `layer NAME CLASS UNITS FLAG…`
fn layer(line: Line) -> Result<Layer> {
    let mut words = line.words();
    let (Some("layer"), Some(name), Some(class)) = (words.next(), words.next(), words.next())
    else {
        return line.malformed("it is no layer");
    };
    let units = line.number(words.next())?;
    let flags: Vec<&str> = words.collect();
    let layer = match class {
        "Dense" => return Ok(Dense::new(units).named(name)),
        "LSTM" => recurrent(Lstm::new(units), line, &flags)?,
        "GRU" => recurrent(Gru::new(units), line, &flags)?,
        "SimpleRNN" => recurrent(SimpleRnn::new(units), line, &flags)?,
        _ => return line.malformed("its class isn't known"),
    };
    Ok(match flags.contains(&"bidirectional") {
        true => Layer::from(Bidirectional::new(layer)).named(name),
        false => Layer::from(layer).named(name),
    })
}

fn recurrent<C>(mut layer: RecurrentBuilder<C>, line: Line, flags: &[&str]) -> Result<Recurrent> {
    for flag in flags {
        layer = match *flag {
            "bidirectional" => layer,
            "return_sequences" => layer.return_sequences(true),
            "return_state" => layer.return_state(true),
            "no_bias" => layer.use_bias(false),
            _ => return line.malformed("a flag isn't known"),
        };
    }
    Ok(layer.into())
}

/// `weights NAME VALUE…`: the model says how many there are, and in which shapes.
fn set_weights(model: &mut Model, line: Line) -> Result<()> {
    let mut words = line.words().skip(1);
    let Some(name) = words.next() else { return line.malformed("a name is missing") };
    let Ok(values) = words.map(str::parse).collect::<Result<Vec<f32>, _>>() else {
        return line.malformed("a value is no number");
    };
    let mut values = values.into_iter();
    let mut arrays = Vec::new();
    for spec in model.weight_specs(name)? {
        let count = spec.shape.iter().product();
        let array = ArrayD::from_shape_vec(spec.shape, values.by_ref().take(count).collect());
        let Ok(array) = array else { return line.malformed("values are missing") };
        arrays.push(array);
    }
    match values.next() {
        Some(_) => line.malformed("there are more values than weights"),
        None => model.set_weights(name, arrays),
    }
}
