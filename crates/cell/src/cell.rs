use crate::options::CellOptions;
use crate::timestep::{Formula, Real, State, Timestep};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::hash::{Hash, Hasher};

/// The recurrence that a recurrent layer runs: what is computed at each timestep.
///
/// [`Cell::ALL`] lists them. Each has a file with its description and its formula; all other code
/// asks the description.
///
/// ```
/// # use birnn_cell::Cell;
/// let names: Vec<_> = Cell::GRU.gates().iter().map(|gate| gate.name).collect();
/// assert_eq!(names, ["z", "r", "h"]);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "NamedCell", try_from = "NamedCell")]
pub struct Cell {
    description: &'static Description,
    /// What is computed otherwise than usual.
    pub options: CellOptions,
}

/// A cell as files have it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct NamedCell {
    name: String,
    options: CellOptions,
}

impl From<Cell> for NamedCell {
    fn from(cell: Cell) -> NamedCell {
        NamedCell { name: cell.name().to_string(), options: cell.options }
    }
}

impl TryFrom<NamedCell> for Cell {
    type Error = String;

    fn try_from(NamedCell { name, options }: NamedCell) -> Result<Cell, String> {
        let cell = Cell::ALL.iter().find(|cell| cell.name() == name);
        cell.map(|cell| cell.with(options)).ok_or_else(|| format!("no cell is named {name:?}"))
    }
}

/// What is to be known of a cell, but for its formula.
#[derive(Debug)]
pub struct Description {
    /// Its name in messages of the planner and in files, such as `gru_reset_before`.
    pub name: &'static str,
    /// The class of the layer that runs it, such as `GRU`; Keras's where Keras has it.
    pub class_name: &'static str,
    /// Its name for people, such as `GRU, reset before`.
    pub title: &'static str,
    /// In the order in which their columns stand side by side in `kernel`, `recurrent_kernel` and
    /// `bias`.
    pub gates: &'static [Gate],
    /// Whether it has a cell state besides the hidden state.
    pub cell_state: bool,
    /// The gates that can have peepholes, in the order of the rows of that weight.
    pub peepholes: &'static [usize],
    /// Whether the forget gate can be one minus the input gate.
    pub can_couple: bool,
    /// The gate whose bias starts at one where the layer has `unit_forget_bias`.
    pub forget_gate: Option<usize>,
    /// What it computes.
    pub(crate) formula: Formula,
}

/// A gate; a candidate counts as one, too. It is an activation of a sum, to which the input x
/// contributes x·kernel + bias, by the gate's columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gate {
    /// Its letter in formulas.
    pub name: &'static str,
    /// In words.
    pub title: &'static str,
    /// What the hidden state contributes.
    pub hidden: HiddenProduct,
    /// Which of the layer's activations it has.
    pub activation: GateActivation,
}

/// What the hidden state h contributes to a gate's sum. U is the gate's columns of
/// `recurrent_kernel`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HiddenProduct {
    /// h·U, which is added to what the input contributes.
    Added,
    /// h·U plus a recurrent bias, which the formula multiplies by another gate before it is added.
    Apart,
    /// (g ⊙ h)·U, where g is another gate: in a second step, as it takes g of all units.
    Gated,
}

/// One of the two activations of a recurrent layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GateActivation {
    /// `recurrent_activation`
    Recurrent,
    /// `activation`
    Main,
}

/// A weight that each unit has one value of, and that is no summand of a sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UnitWeight {
    /// The recurrent bias of the gate of this number, where it stays [apart](HiddenProduct::Apart).
    RecurrentBias(usize),
    /// This row of the peepholes.
    Peephole(usize),
}

/// What an array of weights is to a recurrent layer. The columns of the first three are those of
/// the gates, side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WeightRole {
    /// `kernel`, `[features, gates · units]`, which multiplies the input.
    Kernel,
    /// `recurrent_kernel`, `[units, gates · units]`, which multiplies the hidden state.
    RecurrentKernel,
    /// `bias`, `[gates · units]`; `[2, gates · units]` where there is a recurrent bias, too.
    Bias,
    /// `peepholes`, `[gates that have one, units]`, which multiply the cell state.
    Peepholes,
}

impl WeightRole {
    /// The argument's name.
    pub fn name(self) -> &'static str {
        match self {
            WeightRole::Kernel => "kernel",
            WeightRole::RecurrentKernel => "recurrent_kernel",
            WeightRole::Bias => "bias",
            WeightRole::Peepholes => "peepholes",
        }
    }
}

impl Cell {
    pub(crate) const fn new(description: &'static Description) -> Cell {
        let options =
            CellOptions { clip: None, peepholes: false, coupled: false, state_activation: None };
        Cell { description, options }
    }

    /// The cell with these options.
    #[must_use]
    pub fn with(self, options: CellOptions) -> Cell {
        Cell { options, ..self }
    }

    /// The state after a timestep, by the formula.
    pub fn after<F: Real>(&self, timestep: &Timestep<F>, state: &State<F>) -> State<F> {
        F::step(&self.description.formula)(timestep, state)
    }

    /// All that is known of it.
    pub fn description(&self) -> &'static Description {
        self.description
    }

    /// Its name in files and in messages of the planner, such as `gru_reset_before`.
    pub fn name(&self) -> &'static str {
        self.description.name
    }

    /// The class of the layer that runs it, such as `LSTM`.
    pub fn class_name(&self) -> &'static str {
        self.description.class_name
    }

    /// The gates, in the order of their columns in `kernel` and `recurrent_kernel`. The candidate
    /// counts as a gate, too.
    pub fn gates(&self) -> &'static [Gate] {
        self.description.gates
    }

    /// Whether any gate has `recurrent_activation`: a SimpleRNN's has not.
    pub fn has_gates(&self) -> bool {
        self.gates().iter().any(|gate| gate.activation == GateActivation::Recurrent)
    }

    /// Whether it has a cell state besides the hidden state: only an LSTM has.
    pub fn has_cell_state(&self) -> bool {
        self.description.cell_state
    }

    /// The number of states of a direction: 2 for an LSTM (hidden and cell state), otherwise 1.
    pub fn states(&self) -> usize {
        1 + usize::from(self.has_cell_state())
    }

    /// Rows of the bias: 2 for a GRU with `reset_after`, whose second row is added to the product
    /// of the hidden state; otherwise 1, which means a vector.
    pub fn bias_rows(&self) -> usize {
        1 + usize::from(self.gates().iter().any(|gate| gate.hidden == HiddenProduct::Apart))
    }

    /// The gates whose recurrent product is of the hidden state.
    pub fn first_gates(&self) -> Vec<usize> {
        self.gates_where(|gate| gate.hidden != HiddenProduct::Gated)
    }

    /// The gates whose recurrent product is of the hidden state times another gate, in a second
    /// step; none for most cells.
    pub fn second_gates(&self) -> Vec<usize> {
        self.gates_where(|gate| gate.hidden == HiddenProduct::Gated)
    }

    fn gates_where(&self, holds: impl Fn(&Gate) -> bool) -> Vec<usize> {
        (0..self.gates().len()).filter(|&gate| holds(&self.gates()[gate])).collect()
    }

    /// The weights of which each unit has one value, in the order in which backends pack them.
    pub fn unit_weights(&self) -> Vec<UnitWeight> {
        let apart = self.gates_where(|gate| gate.hidden == HiddenProduct::Apart);
        let peepholes = if self.options.peepholes { self.description.peepholes.len() } else { 0 };
        let apart = apart.into_iter().map(UnitWeight::RecurrentBias);
        apart.chain((0..peepholes).map(UnitWeight::Peephole)).collect()
    }

    /// The arrays of weights of a layer, in their order in files.
    pub fn weights(&self, use_bias: bool) -> Vec<WeightRole> {
        let mut roles = vec![WeightRole::Kernel, WeightRole::RecurrentKernel];
        roles.extend(use_bias.then_some(WeightRole::Bias));
        roles.extend(self.options.peepholes.then_some(WeightRole::Peepholes));
        roles
    }

    /// The shape of an array of weights.
    pub fn weight_shape(&self, role: WeightRole, features: usize, units: usize) -> Vec<usize> {
        let columns = self.gates().len() * units;
        match role {
            WeightRole::Kernel => vec![features, columns],
            WeightRole::RecurrentKernel => vec![units, columns],
            WeightRole::Bias if self.bias_rows() == 1 => vec![columns],
            WeightRole::Bias => vec![self.bias_rows(), columns],
            WeightRole::Peepholes => vec![self.description.peepholes.len(), units],
        }
    }

    /// What is wrong with its options, as the option's name and a reason; `None`: nothing.
    pub fn wrong_option(&self) -> Option<(&'static str, String)> {
        let has_not = |option| Some((option, format!("a {} has none", self.class_name())));
        match self.options {
            CellOptions { clip: Some(clip), .. } if f32::from(clip).partial_cmp(&0.0) != ABOVE => {
                Some(("clip", format!("{} is not above zero", f32::from(clip))))
            }
            CellOptions { peepholes: true, .. } if self.description.peepholes.is_empty() => {
                has_not("peepholes")
            }
            CellOptions { coupled: true, .. } if !self.description.can_couple => has_not("coupled"),
            CellOptions { state_activation: Some(_), .. } if !self.has_cell_state() => {
                has_not("state_activation")
            }
            CellOptions { state_activation: Some(activation), .. }
                if !activation.is_elementwise() =>
            {
                let reason = format!("{activation} goes over a whole axis");
                Some(("state_activation", format!("{reason}; a cell takes element-wise ones")))
            }
            _ => None,
        }
    }
}

const ABOVE: Option<std::cmp::Ordering> = Some(std::cmp::Ordering::Greater);

impl fmt::Debug for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        if self.options != CellOptions::default() {
            write!(f, " {:?}", self.options)?;
        }
        Ok(())
    }
}

impl PartialEq for Description {
    fn eq(&self, other: &Description) -> bool {
        self.name == other.name
    }
}

impl Eq for Description {}

impl Hash for Description {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Activation;

    #[test]
    fn descriptions_fit_what_backends_can_do() {
        for cell in Cell::ALL {
            let gates = cell.gates().len();
            assert!((1..=4).contains(&gates), "{cell:?}: {gates} gates");
            // Gates of the second step come last, so that those of the first are the first columns.
            let columns = [cell.first_gates(), cell.second_gates()].concat();
            assert_eq!(columns, (0..gates).collect::<Vec<_>>(), "{cell:?}");
            let first = Cell::ALL.iter().position(|other| other.name() == cell.name());
            assert_eq!(Cell::ALL.iter().rposition(|other| other == cell), first, "{cell:?}");
        }
    }

    #[test]
    fn cells_and_activations_are_read_as_they_were_written() {
        let options = CellOptions { clip: Some(0.1.into()), ..CellOptions::default() };
        for cell in Cell::ALL.iter().flat_map(|cell| [*cell, cell.with(options)]) {
            let text = serde_json::to_string(&cell).unwrap();
            assert_eq!(serde_json::from_str::<Cell>(&text).unwrap(), cell);
        }
        let values = [0.1, -0.0, f32::MIN_POSITIVE, f32::INFINITY, f32::NEG_INFINITY, f32::NAN];
        let parameters = values.map(|value| Activation::Elu(value.into()));
        for activation in Activation::ALL.into_iter().chain(parameters) {
            let text = serde_json::to_string(&activation).unwrap();
            assert_eq!(serde_json::from_str::<Activation>(&text).unwrap(), activation, "{text}");
        }
        let unknown =
            r#"{"name": "lstn", "options": {"clip": null, "peepholes": false, "coupled": false}}"#;
        let error = serde_json::from_str::<Cell>(unknown).unwrap_err();
        assert!(error.to_string().contains("no cell is named \"lstn\""), "{error}");
        assert!(serde_json::from_str::<Activation>(r#"{"Elu": "1"}"#).is_err());
    }

    #[test]
    fn options_that_a_cell_has_not_are_found() {
        let clip = |clip: f32| CellOptions { clip: Some(clip.into()), ..CellOptions::default() };
        let wrong = |cell: Cell, options| cell.with(options).wrong_option().map(|(name, _)| name);
        for cell in Cell::ALL {
            assert_eq!(wrong(*cell, clip(1.5)), None);
            for value in [0.0, -1.0, f32::NAN] {
                assert_eq!(wrong(*cell, clip(value)), Some("clip"));
            }
        }
        let peepholes = CellOptions { peepholes: true, ..CellOptions::default() };
        let coupled = CellOptions { coupled: true, ..CellOptions::default() };
        assert_eq!(wrong(Cell::GRU, peepholes), Some("peepholes"));
        assert_eq!(wrong(Cell::SIMPLE_RNN, coupled), Some("coupled"));
        assert_eq!(wrong(Cell::LSTM, CellOptions { coupled: true, ..peepholes }), None);
        let of_state = |activation| CellOptions {
            state_activation: Some(activation),
            ..CellOptions::default()
        };
        assert_eq!(wrong(Cell::LSTM, of_state(Activation::Relu)), None);
        assert_eq!(wrong(Cell::LSTM, of_state(Activation::Softmax)), Some("state_activation"));
        assert_eq!(wrong(Cell::MGU, of_state(Activation::Relu)), Some("state_activation"));
    }
}
