//! From arguments to recurrent layers: alone, from cells, in `Bidirectional` and in
//! `TimeDistributed`.

use super::arguments::Arguments;
use super::class::{self, Class, Kind, SUPPORTED};
use super::conv_lstm;
use super::stateless;
use super::version::Version;
use crate::layer::{Concatenate, Merge, Recurrent, RecurrentBuilder};
use crate::{Activation, Bidirectional, Cell, Error, Layer, MergeMode, Result, TimeDistributed};
use serde_json::Value;

/// The arguments that a layer has and its cell has not.
pub(super) const OF_THE_LAYER: [&str; 5] =
    ["go_backwards", "return_sequences", "return_state", "stateful", "zero_output_for_mask"];
const MAX_CELLS: usize = 1024;

/// What a layer of the file becomes.
pub(super) struct Built {
    pub layers: Vec<Layer>,
    pub wiring: Wiring,
    /// Why it can't be called with a mask, where it can't.
    pub unmasked: Option<Unmasked>,
}

/// That a layer can't be called with a mask.
pub(super) struct Unmasked {
    pub error: Error,
    /// Of masks of so many axes, beside the batch, or fewer; of any where there is none.
    pub axes: Option<usize>,
}

impl Unmasked {
    pub(super) fn always(error: Error) -> Unmasked {
        Unmasked { error, axes: None }
    }
}

/// How the layers that stand for one are connected.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Wiring {
    /// Each reads the output of the one before.
    Row,
    /// Each reads the output of the one before; they are no cells.
    Chain,
    /// So many that read forward in a row; the others, in a row of their own, read backward; the
    /// last one may merge.
    Both { forward: usize, merge_mode: MergeMode },
}

impl From<Layer> for Built {
    fn from(layer: Layer) -> Built {
        Built { layers: vec![layer], wiring: Wiring::Row, unmasked: None }
    }
}

/// The arguments of a layer that its cell has not.
#[derive(Clone, Copy)]
pub(super) struct Flags<'a> {
    name: &'a str,
    go_backwards: bool,
    return_sequences: bool,
    return_state: bool,
    stateful: bool,
    zero_output_for_mask: bool,
}

impl<'a> Flags<'a> {
    pub(super) fn of(arguments: &Arguments<'a>) -> Result<Flags<'a>> {
        Ok(Flags {
            name: arguments.text("name").unwrap_or_default(),
            go_backwards: arguments.flag("go_backwards", false)?,
            return_sequences: arguments.flag("return_sequences", false)?,
            return_state: arguments.flag("return_state", false)?,
            stateful: arguments.flag("stateful", false)?,
            zero_output_for_mask: arguments.flag("zero_output_for_mask", false)?,
        })
    }

    /// The layer with these arguments in the place of its own.
    pub(super) fn of_layer(self, layer: Recurrent) -> Recurrent {
        layer
            .with_go_backwards(self.go_backwards)
            .with_return_sequences(self.return_sequences)
            .with_return_state(self.return_state)
            .with_stateful(self.stateful)
            .with_zero_output_for_mask(self.zero_output_for_mask)
    }

    /// Those of cell number `index` of several: each reads every step's output of the one before,
    /// only the first turns time round, and only the last one's outputs are the layer's.
    fn of_cell(self, index: usize, last: usize) -> Flags<'a> {
        Flags {
            go_backwards: self.go_backwards && index == 0,
            return_sequences: self.return_sequences || index < last,
            zero_output_for_mask: self.zero_output_for_mask && index == last,
            ..self
        }
    }
}

/// `LSTM`, `GRU` or `SimpleRNN`, or one of the first two for cuDNN.
pub(super) fn recurrent(arguments: &Arguments, kind: Kind) -> Result<Recurrent> {
    arguments.check_others(&[&OF_THE_LAYER[..], &of_the_kind(kind)].concat())?;
    layer(arguments, kind, Flags::of(arguments)?)
}

/// The arguments of a cell; a layer such as `LSTM` has them among its own.
fn of_the_kind(kind: Kind) -> Vec<&'static str> {
    if kind.cudnn {
        return vec!["units"]; // what cuDNN computes has no choice of activations, and always a bias
    }
    let mut arguments = vec!["units", "activation", "use_bias"];
    arguments.extend(kind.cell.has_gates().then_some("recurrent_activation"));
    arguments.extend((kind.cell == Cell::GRU).then_some("reset_after"));
    arguments
}

/// The layer of a cell; an `LSTM` has its cell's arguments among its own.
fn layer(cell: &Arguments, kind: Kind, flags: Flags) -> Result<Recurrent> {
    let (units, known) = (cell.size("units")?, of_the_kind(kind));
    let mut runs = kind.cell;
    // Files without the argument are older than it, and then mean false.
    if known.contains(&"reset_after")
        && !cell.flag("reset_after", cell.version() == Version::Keras3)?
    {
        runs = Cell::GRU_RESET_BEFORE;
    }
    let mut layer = RecurrentBuilder::of(runs, units)
        .go_backwards(flags.go_backwards)
        .return_sequences(flags.return_sequences)
        .return_state(flags.return_state)
        .stateful(flags.stateful)
        .zero_output_for_mask(flags.zero_output_for_mask)
        .named(flags.name);
    if known.contains(&"recurrent_activation") {
        layer = layer.recurrent_activation(elementwise(cell, "recurrent_activation")?);
    }
    if known.contains(&"activation") {
        layer = layer.activation(elementwise(cell, "activation")?);
        layer = layer.use_bias(cell.flag("use_bias", true)?);
    }
    Ok(layer.into())
}

/// A recurrent layer takes no activation that goes over a whole axis.
fn elementwise(cell: &Arguments, name: &str) -> Result<Activation> {
    let activation = cell.activation(name)?;
    match activation.is_elementwise() {
        true => Ok(activation),
        false => {
            let reason = "it goes over all units at once, and recurrent layers take element-wise \
                          activations here; if only the output is meant, train with an Activation \
                          layer behind this one";
            cell.unsupported(name, &activation.keras_name().into(), reason)
        }
    }
}

/// `RNN` of one cell or of several, in the order in which they run.
pub(super) fn rnn(arguments: &Arguments) -> Result<Vec<Recurrent>> {
    arguments.check_others(&[&OF_THE_LAYER[..], &["cell"]].concat())?;
    let Some(cell) = arguments.get("cell") else {
        return arguments.wrong("cell", "is missing".into());
    };
    let (holder, cells) = cells(arguments, cell)?;
    if cells.is_empty() || cells.len() > MAX_CELLS {
        return arguments
            .wrong("cell", format!("{} cells; an RNN has 1 to {MAX_CELLS}", cells.len()));
    }
    let (flags, last) = (Flags::of(arguments)?, cells.len() - 1);
    let of_cell = |(index, cell)| of_cell(arguments, &holder, cell, flags.of_cell(index, last));
    cells.into_iter().enumerate().map(of_cell).collect()
}

/// The cells, and the arguments that they stand in.
fn cells<'a>(
    arguments: &Arguments<'a>,
    cell: &'a Value,
) -> Result<(Option<Arguments<'a>>, Vec<&'a Value>)> {
    if let Some(list) = cell.as_array() {
        return Ok((None, list.iter().collect()));
    }
    let name = cell.get("class_name").and_then(Value::as_str).unwrap_or_default();
    if name.strip_prefix("Keras>").unwrap_or(name) != "StackedRNNCells"
        || !class::is_kerass_own(cell, name)
    {
        return Ok((None, vec![cell]));
    }
    let stacked = arguments.of("cell", cell)?;
    stacked.check_others(&["cells", "reverse_state_order"])?;
    if stacked.flag("reverse_state_order", false)? {
        let reason = "save the model with reverse_state_order=False";
        return stacked.unsupported("reverse_state_order", &Value::Bool(true), reason);
    }
    match stacked.get("cells").and_then(Value::as_array) {
        Some(list) => Ok((Some(stacked), list.iter().collect())),
        None => stacked.wrong("cells", "is no list".into()),
    }
}

fn of_cell(
    arguments: &Arguments,
    holder: &Option<Arguments>,
    value: &Value,
    flags: Flags,
) -> Result<Recurrent> {
    let kind = class::cell(value).map_err(|class_name| Error::UnsupportedLayer {
        layer: arguments.layer().to_string(),
        class_name: format!("RNN({class_name})"),
        supported: SUPPORTED,
    })?;
    let cell = match holder {
        Some(stacked) => stacked.of("cells", value)?,
        None => arguments.of("cell", value)?,
    };
    cell.check_others(&of_the_kind(kind))?;
    layer(&cell, kind, flags)
}

/// The layers of the cells that `Bidirectional` or `TimeDistributed` wraps.
fn wrapped(arguments: &Arguments, argument: &str, wrapper: &str) -> Result<Option<Vec<Recurrent>>> {
    let Some(value) = arguments.get(argument) else { return Ok(None) };
    let unsupported = |class_name: &str| {
        Err(Error::UnsupportedLayer {
            layer: arguments.layer().to_string(),
            class_name: format!("{wrapper}({class_name})"),
            supported: SUPPORTED,
        })
    };
    let inner = arguments.of(argument, value);
    match class::of(value) {
        Ok(Class::Recurrent(kind)) => Ok(Some(vec![recurrent(&inner?, kind)?])),
        Ok(Class::Rnn) => rnn(&inner?).map(Some),
        Ok(other) => unsupported(other.name()),
        Err(class_name) => unsupported(&class_name),
    }
}

/// `Bidirectional`.
pub(super) fn bidirectional(arguments: &Arguments) -> Result<Built> {
    arguments.check_others(&["layer", "backward_layer", "merge_mode"])?;
    if let Some(value) = arguments.get("layer")
        && let Ok(Class::ConvLstm(axes)) = class::of(value)
    {
        let merge_mode = merge_mode(arguments)?;
        return Ok(conv_lstm::bidirectional(arguments, value, axes, merge_mode)?.into());
    }
    let Some(forward) = wrapped(arguments, "layer", "Bidirectional")? else {
        return arguments.wrong("layer", "is missing".into());
    };
    let backward = wrapped(arguments, "backward_layer", "Bidirectional")?;
    match (&forward[..], backward.as_deref()) {
        // A Bidirectional without a backward_layer runs the forward one the other way round.
        ([forward], None) => {
            let both = Bidirectional::new(forward.clone()).merge_mode(merge_mode(arguments)?);
            Ok(Layer::from(both).into())
        }
        ([forward], Some([backward])) => {
            check_states(arguments, forward, backward)?;
            let both = Bidirectional::new(forward.clone()).backward_layer(backward.clone());
            Ok(Layer::from(both.merge_mode(merge_mode(arguments)?)).into())
        }
        _ => both_of_cells(arguments, forward, backward),
    }
}

/// `Bidirectional` of an `RNN` of several cells.
fn both_of_cells(
    arguments: &Arguments,
    forward: Vec<Recurrent>,
    backward: Option<Vec<Recurrent>>,
) -> Result<Built> {
    let backwards = forward[0].go_backwards()
        || backward.as_ref().is_some_and(|cells| !cells[0].go_backwards());
    if backwards {
        let reason = "with several cells the forward layer has to read forward and the backward \
                      layer backward";
        return arguments.unsupported(
            "layer.go_backwards",
            &Value::Bool(forward[0].go_backwards()),
            reason,
        );
    }
    let (merge_mode, sequences) =
        (merge_mode(arguments)?, forward[forward.len() - 1].return_sequences());
    let backward = backward.unwrap_or_else(|| forward.clone());
    let (count, last) = (forward.len(), backward.len() - 1);
    let name =
        |direction: &str, index: usize| format!("{}/{direction}_cell_{index}", arguments.layer());
    let forward = forward.into_iter().enumerate().map(|(index, cell)| {
        let zeros = sequences && index + 1 == count; // Bidirectional's rule
        Layer::from(cell.with_go_backwards(false).with_zero_output_for_mask(zeros))
            .named(name("forward", index))
    });
    let backward = backward.into_iter().enumerate().map(|(index, cell)| {
        let layer = match index < last || sequences {
            true => aligned(cell),
            false => Layer::from(cell.with_go_backwards(true).with_zero_output_for_mask(false)),
        };
        layer.named(name("backward", index))
    });
    let merge: Option<Layer> = match merge_mode {
        MergeMode::None => None,
        MergeMode::Concat => Some(Concatenate::new().into()),
        MergeMode::Sum => Some(Merge::add().into()),
        MergeMode::Mul => Some(Merge::multiply().into()),
        MergeMode::Ave => Some(Merge::average().into()),
    };
    let merge = merge.map(|layer| layer.named(format!("{}/merge", arguments.layer())));
    let layers = forward.chain(backward).chain(merge).collect();
    Ok(Built { layers, wiring: Wiring::Both { forward: count, merge_mode }, unmasked: None })
}

/// A cell that reads time from the end, with its outputs in the order of time, as the next one
/// needs them and the mask is: one direction of a Bidirectional. The other is the same cell once
/// more, whose output nobody reads.
pub(super) fn aligned(cell: Recurrent) -> Layer {
    Bidirectional::new(cell.with_go_backwards(false).with_zero_output_for_mask(true))
        .merge_mode(MergeMode::None)
        .into()
}

pub(super) fn merge_mode(arguments: &Arguments) -> Result<MergeMode> {
    let Some(value) = arguments.get("merge_mode") else {
        return Ok(if arguments.has("merge_mode") { MergeMode::None } else { MergeMode::Concat });
    };
    match value.as_str().and_then(|name| MergeMode::from_keras_name(Some(name))) {
        Some(mode) => Ok(mode),
        None => arguments.unsupported(
            "merge_mode",
            value,
            "use \"concat\", \"sum\", \"mul\", \"ave\" or None",
        ),
    }
}

/// Keras 3 takes both directions to have as many states: with an LSTM on one side only it saves a
/// model that it can't run, so there is no result to reproduce. Keras 2 returns each direction's
/// own.
fn check_states(arguments: &Arguments, forward: &Recurrent, backward: &Recurrent) -> Result<()> {
    let differ = forward.cell().states() != backward.cell().states();
    if differ && forward.return_state() && arguments.version() != Version::Keras2 {
        let class = Value::from(backward.cell().class_name());
        let reason = "with return_state=True Keras 3 can't run directions of which only one has a \
                      cell state; use the same class on both sides, or return_state=False";
        return arguments.unsupported("backward_layer", &class, reason);
    }
    Ok(())
}

/// `TimeDistributed`; of an `RNN` of several cells one for each.
pub(super) fn time_distributed(arguments: &Arguments) -> Result<Vec<TimeDistributed>> {
    arguments.check_others(&["layer"])?;
    let Some(value) = arguments.get("layer") else {
        return arguments.wrong("layer", "is missing".into());
    };
    let inner = arguments.of("layer", value)?;
    let name = inner.text("name").unwrap_or("layer");
    let unsupported = |class_name: &str| Error::UnsupportedLayer {
        layer: arguments.layer().to_string(),
        class_name: format!("TimeDistributed({class_name})"),
        supported: SUPPORTED,
    };
    let layer = match class::of(value) {
        Ok(Class::Stateless(class_name)) => {
            stateless::layer(class_name, &inner, stateless::Calling::default())?
        }
        Ok(Class::ConvLstm(axes)) => conv_lstm::layer(&inner, axes)?,
        Ok(Class::Bidirectional) => match <[Layer; 1]>::try_from(bidirectional(&inner)?.layers) {
            Ok([layer]) => layer,
            Err(_) => {
                return Err(unsupported(
                    "Bidirectional of an RNN of several cells; use one layer for each cell",
                ));
            }
        },
        Ok(Class::TimeDistributed) => {
            match <[TimeDistributed; 1]>::try_from(time_distributed(&inner)?) {
                Ok([layer]) => layer.into(),
                Err(_) => {
                    return Err(unsupported(
                        "TimeDistributed of an RNN of several cells; use one layer for each",
                    ));
                }
            }
        }
        _ => {
            let cells = wrapped(arguments, "layer", "TimeDistributed")?.unwrap_or_default();
            let each = |cell| TimeDistributed::new(Layer::from(cell).named(name));
            return Ok(cells.into_iter().map(each).collect());
        }
    };
    Ok(vec![TimeDistributed::new(layer.named(name))])
}
