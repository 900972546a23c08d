//! A program as a layer.

use super::body::Body;
use super::evaluate::Evaluator;
use super::parts::ProgramParts;
use super::values::{Kind, Values};
use super::{Length, Program};
use crate::error::{Error, Result};
use crate::graph::{ArrayId, Constant, OperatorGraph, Source};
use crate::layer::{Definition, Dims, Layer, Lowering, MaskRule, Role};
use ndarray::ArrayD;
use std::any::Any;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, PoisonError};

/// How many values the host may compute for a call of a function, when it is called and when its
/// shapes are tried.
const VALUES_OF_A_CALL: usize = 1 << 22;
const VALUES_OF_A_TRIAL: usize = 1 << 16;
/// Lengths that stand for one that isn't known, in pairs: what is different between the two isn't
/// known either. They have many divisors, for reshapes; the larger ones are for places that lie
/// outside of the smaller.
const UNKNOWN: [[usize; 2]; 3] = [[12, 24], [120, 240], [2520, 5040]];
/// How many lengths of known axes are tried in place of unknown ones.
const MOST_KNOWN: usize = 16;
/// Shapes that are kept.
const MOST_SHAPES: usize = 16;
/// Rows of the batch in the two trials.
const ROWS: [usize; 2] = [2, 3];

/// A [`Program`] as a layer of a [`Graph`](crate::Graph): operations on arrays of whole shapes, of
/// which the first axis is the batch, between layers. It is called on the program's inputs, in
/// their order, and returns the program's outputs. It has no weights, drops masks, and converts to
/// a [`Layer`] by `into()`.
///
/// What it returns has to have the batch as its first axis, alone.
///
/// ```
/// use birnn::program::{Kind, Length, Operation, Program, Values};
/// use birnn::{Device, Graph, Gru};
/// use ndarray::Array3;
///
/// // The last of every two timesteps: [batch, timesteps, 3] to [batch, timesteps / 2, 3].
/// let mut program = Program::new();
/// let x = program.input("x", [Length::Any, Length::Any, Length::Fixed(3)], Kind::Float)?;
/// let [starts, ends, axes, steps] =
///     [1, i64::MAX, 1, 2].map(|number| program.constant(Values::integers([number])));
/// let every_other = program.add("slice", Operation::Slice, [x, starts, ends, axes, steps])?[0];
/// program.output("every_other", every_other);
/// let every_other = program.function()?;
///
/// let mut graph = Graph::new();
/// let x = graph.sequence_input("x", None, 2)?;
/// let states = graph.add(Gru::new(3).return_sequences(true), x)?;
/// let halved = graph.add(every_other.named("halved"), states[0])?;
/// let last = graph.add(Gru::new(4), halved[0])?;
/// let model = graph.build([halved[0], last[0]])?.initialize(1)?;
/// let outputs = Device::cpu().compile(&model)?.run(Array3::<f32>::ones((5, 9, 2)).view())?;
/// assert_eq!(outputs.output().shape(), [5, 4, 3]);
/// # Ok::<(), birnn::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Function {
    body: Arc<Body>,
    /// What it returns for some axes of inputs, which every call of a session asks for.
    known: Arc<Mutex<Vec<Known>>>,
}

/// What a function returns where its inputs have these axes.
type Known = (Vec<Dims>, Vec<Returned>);

/// An array that a [`Function`] returns.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Returned {
    /// The lengths of all its axes; `None` is any length, among them the batch.
    pub axes: Vec<Option<usize>>,
    /// Whether its first axis is the batch, and as long.
    pub has_batch: bool,
    /// What its numbers are.
    pub kind: Kind,
}

impl Program {
    /// Makes a layer of the program. What follows from constants alone is computed now.
    ///
    /// An input whose first axis is [`Length::Fixed`] makes the layer one for batches of this size.
    ///
    /// # Errors
    /// [`Error::Graph`] where the program has no input or no output, has a recurrent operation
    /// (which is a layer of its own), or an input is tied to an output.
    pub fn function(self) -> Result<Function> {
        let wrong = |reason: &str| Err(Error::Graph(format!("a function {reason}")));
        if self.inputs.is_empty() {
            return wrong("has to read an array");
        }
        if !self.ties.is_empty() {
            return wrong("keeps nothing from call to call, so that no input is tied to an output");
        }
        if self.steps.iter().any(|step| step.operation.is_recurrent()) {
            return wrong("holds no recurrent operation: add a layer to the graph");
        }
        let (body, _) = self.complete_within(VALUES_OF_A_TRIAL)?;
        Ok(Function { body: Arc::new(body), known: Arc::default() })
    }
}

impl Function {
    /// Of a layer that is one, or calls one on every timestep.
    pub(crate) fn of(layer: &Layer) -> Option<&Function> {
        layer.innermost().definition()?.as_any()?.downcast_ref()
    }

    /// As [`Body::parts`].
    pub(crate) fn parts(&self, store: &mut dyn FnMut(String, &Values) -> String) -> ProgramParts {
        self.body.parts(&[], store)
    }

    /// Gives the layer a name, and makes it a [`Layer`].
    pub fn named(self, name: impl Into<String>) -> Layer {
        Layer::from(self).named(name)
    }

    /// What it returns where it is called on arrays of such axes, the batch not among them; `None`
    /// is any length.
    ///
    /// # Errors
    /// [`Error::Graph`] where an operation can't be, with the operation's name.
    pub fn returns(&self, inputs: &[&[Option<usize>]]) -> Result<Vec<Returned>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, returned)) = known.iter().find(|(axes, _)| axes == inputs) {
            return Ok(returned.clone());
        }
        let returned = self.tried(inputs)?;
        if known.len() >= MOST_SHAPES {
            known.clear();
        }
        known.push((inputs.iter().map(|axes| axes.to_vec()).collect(), returned.clone()));
        Ok(returned)
    }

    fn tried(&self, inputs: &[&[Option<usize>]]) -> Result<Vec<Returned>> {
        self.check(inputs)?;
        let (rows, pairs) = self.trials(inputs);
        let mut first_error = None;
        for lengths in pairs {
            let trial = |index: usize| self.trial(inputs, rows[index], lengths[index]);
            match trial(0).and_then(|one| Ok((one, trial(1)?))) {
                Ok((one, other)) => {
                    let both = one.into_iter().zip(other);
                    return Ok(both.map(|(one, other)| returned(rows, one, other)).collect());
                }
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        Err(first_error.unwrap_or_else(|| Error::Graph("a function can't be called".into())))
    }

    fn check(&self, inputs: &[&[Option<usize>]]) -> Result<()> {
        let declared = &self.body.inputs;
        if declared.len() != inputs.len() {
            let (wanted, found) = (declared.len(), inputs.len());
            return Err(Error::Graph(format!("a function of {wanted} arrays is given {found}")));
        }
        for (input, found) in declared.iter().zip(inputs) {
            let fits = |(axis, found): (&Length, &Option<usize>)| match (axis.fixed(), found) {
                (Some(length), Some(found)) => length == *found,
                _ => true,
            };
            let axes = input.axes.get(1..).unwrap_or_default();
            if input.axes.len() != found.len() + 1 || !axes.iter().zip(*found).all(fits) {
                let (name, axes) = (&input.name, &input.axes);
                return Err(Error::Graph(format!(
                    "input {name:?} of a function has the axes {axes:?}, and after the batch it is \
                     given {found:?}"
                )));
            }
        }
        Ok(())
    }

    /// The rows of the batch in two trials, and the lengths that unknown axes have in them, pair by
    /// pair.
    fn trials(&self, inputs: &[&[Option<usize>]]) -> ([usize; 2], Vec<[usize; 2]>) {
        let fixed = self.body.inputs.iter().find_map(|input| input.axes.first()?.fixed());
        let rows = fixed.map_or(ROWS, |rows| [rows, rows]);
        let unknown = inputs.iter().zip(&self.body.inputs).any(|(found, input)| {
            let mut axes = found.iter().zip(input.axes.iter().skip(1));
            axes.any(|(found, declared)| found.or(declared.fixed()).is_none())
        });
        if !unknown {
            return (rows, vec![[1, 1]]);
        }
        // An unknown axis that has to fit a known one is as long.
        let constants = self.body.known_shapes();
        let declared = self.body.inputs.iter().flat_map(|input| &input.axes);
        let mut known: Vec<usize> = inputs.iter().copied().flatten().flatten().copied().collect();
        known.extend(declared.filter_map(Length::fixed).chain(constants));
        known.retain(|&length| length > 1);
        known.sort_unstable();
        known.dedup();
        known.truncate(MOST_KNOWN);
        let alike = known.into_iter().map(|length| [length, length]);
        (rows, UNKNOWN.into_iter().chain(alike).collect())
    }

    /// The shapes and kinds of what it returns, for so many rows and this length of every unknown
    /// axis.
    fn trial(
        &self,
        inputs: &[&[Option<usize>]],
        rows: usize,
        length: usize,
    ) -> Result<Vec<(Vec<usize>, Kind)>> {
        let mut graph = OperatorGraph::default();
        let mut fed = Vec::with_capacity(inputs.len());
        for (index, (axes, input)) in inputs.iter().zip(&self.body.inputs).enumerate() {
            let declared = input.axes.iter().skip(1);
            let lengths = axes.iter().zip(declared);
            let lengths = lengths.map(|(axis, named)| axis.or(named.fixed()).unwrap_or(length));
            let shape: Vec<usize> = std::iter::once(rows).chain(lengths).collect();
            fed.push(graph.feed(Source::Input(index), shape));
        }
        let evaluator = Evaluator::within(graph, 0, VALUES_OF_A_TRIAL);
        let results = self.body.evaluate(evaluator, &fed).1?;
        Ok(results.iter().map(|result| (result.shape().to_vec(), result.kind())).collect())
    }
}

/// What two trials with so many rows say of an array.
fn returned(
    rows: [usize; 2],
    (one, kind): (Vec<usize>, Kind),
    (other, _): (Vec<usize>, Kind),
) -> Returned {
    let has_batch = one.first() == Some(&rows[0]) && other.first() == Some(&rows[1]);
    let axes = one.iter().zip(&other).map(|(one, other)| (one == other).then_some(*one));
    let mut axes: Vec<Option<usize>> = axes.collect();
    if let (true, Some(first)) = (has_batch, axes.first_mut()) {
        *first = None;
    }
    Returned { axes, has_batch, kind }
}

impl From<Function> for Layer {
    fn from(function: Function) -> Layer {
        let definition: Arc<dyn Definition> = Arc::new(function);
        definition.into()
    }
}

impl Definition for Function {
    fn class_name(&self) -> &'static str {
        "Function"
    }

    fn inputs(&self) -> RangeInclusive<usize> {
        self.body.inputs.len()..=self.body.inputs.len()
    }

    fn output(&self, inputs: &[Dims]) -> Result<Dims, String> {
        let mut results = self.results(inputs)?;
        if results.is_empty() { Err("it returns nothing".into()) } else { Ok(results.remove(0).1) }
    }

    fn results(&self, inputs: &[Dims]) -> Result<Vec<(Role, Dims)>, String> {
        let axes: Vec<&[Option<usize>]> = inputs.iter().map(Vec::as_slice).collect();
        let text = |error| match error {
            Error::Graph(text) => text,
            error => error.to_string(),
        };
        let returned = self.returns(&axes).map_err(text)?;
        let names = self.body.outputs.iter().map(|(name, _)| name);
        let dims = |(returned, name): (Returned, &String)| match returned.has_batch {
            true => Ok((Role::Output, returned.axes[1..].to_vec())),
            false => Err(format!("{name:?} hasn't the batch as its first axis, alone")),
        };
        returned.into_iter().zip(names).map(dims).collect()
    }

    fn constants<'w>(&'w self, _: &'w [ArrayD<f32>], _: &[Dims]) -> Vec<Constant<'w>> {
        self.body.constants()
    }

    fn lower(&self, call: &mut Lowering) -> Result<ArrayId> {
        Ok(self.lower_from(call, &[])?[0])
    }

    fn lower_from(&self, call: &mut Lowering, _: &[Option<ArrayId>]) -> Result<Vec<ArrayId>> {
        let rows = call.shape(call.input(0)).first().copied();
        let graph = std::mem::take(call.graph);
        let evaluator = Evaluator::within(graph, call.layer, VALUES_OF_A_CALL);
        let (mut evaluator, results) = self.body.evaluate(evaluator, &call.inputs);
        let wrong = |reason: &str| Error::Graph(format!("layer {:?}: {reason}", call.name));
        let written = results.and_then(|results| {
            let mut written = Vec::with_capacity(results.len());
            for result in &results {
                if result.shape().first().copied() != rows {
                    return Err(wrong("what it returns hasn't the batch as its first axis"));
                }
                written.push(evaluator.straight(result).map_err(|reason| wrong(&reason))?);
            }
            Ok(written)
        });
        *call.graph = evaluator.graph;
        written
    }

    fn masking(&self) -> MaskRule {
        MaskRule::Drop
    }

    fn reads_numbers(&self) -> bool {
        true
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }

    fn equals(&self, other: &dyn Definition) -> bool {
        let all = |function: &Function| {
            let mut constants = Vec::new();
            let parts = function.parts(&mut |name, values| {
                constants.push(values.clone());
                name
            });
            (parts, constants)
        };
        let other = other.as_any().and_then(|other| other.downcast_ref::<Function>());
        other.is_some_and(|other| all(self) == all(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::{Binary, Operation, Reduction, Value};

    /// A function of arrays of so many axes, each of any length.
    fn function(
        ranks: &[usize],
        build: impl Fn(&mut Program, &[Value]) -> Value,
    ) -> Result<Function> {
        let mut program = Program::new();
        let names = (0..ranks.len()).map(|index| format!("x{index}"));
        let inputs = names.zip(ranks).map(|(name, &rank)| {
            program.input(&name, vec![Length::Any; rank], Kind::Float).unwrap()
        });
        let inputs: Vec<Value> = inputs.collect();
        let output = build(&mut program, &inputs);
        program.output("y", output);
        program.function()
    }

    fn add(program: &mut Program, operation: Operation, operands: &[Value]) -> Value {
        program.add("it", operation, operands.iter().copied()).unwrap()[0]
    }

    fn integers(program: &mut Program, numbers: impl IntoIterator<Item = i64>) -> Value {
        program.constant(Values::integers(numbers))
    }

    fn sum(a: &mut Program, x: &[Value]) -> Value {
        add(a, Operation::Binary(Binary::Add), x)
    }

    #[test]
    fn shapes_follow_from_two_trials() {
        let reshaped = |shape: &'static [i64]| {
            function(&[3], move |program, x| {
                let shape = integers(program, shape.iter().copied());
                add(program, Operation::Reshape { zero_copies: false }, &[x[0], shape])
            })
        };
        let shape = |function: Result<Function>, axes: &[Option<usize>]| {
            let returned = function.unwrap().returns(&[axes]).unwrap().remove(0);
            (returned.axes, returned.has_batch)
        };
        let any = [None, Some(4)];
        assert_eq!(shape(reshaped(&[-1, 8]), &[Some(6), Some(4)]), (vec![None, Some(8)], false));
        assert_eq!(shape(reshaped(&[-1, 24]), &[Some(6), Some(4)]), (vec![None, Some(24)], true));
        assert_eq!(shape(reshaped(&[-1, 4]), &any), (vec![None, Some(4)], false));
        let last = function(&[3], |program, x| {
            let place = program.constant(Values::integer(99));
            add(program, Operation::Take { axis: 1 }, &[x[0], place])
        });
        assert_eq!(shape(last, &any), (vec![None, Some(4)], true));
        let mean = function(&[3], |program, x| {
            let axes = integers(program, [0]);
            let reduce = Operation::Reduce { reduction: Reduction::Mean, keep: false };
            add(program, reduce, &[x[0], axes])
        });
        assert_eq!(shape(mean, &any), (vec![None, Some(4)], false));
        // A length that isn't known fits one that is.
        let both = function(&[3, 3], sum).unwrap();
        let returned = both.returns(&[&any, &[Some(7), Some(1)]]).unwrap().remove(0);
        assert_eq!((returned.axes, returned.kind), (vec![None, Some(7), Some(4)], Kind::Float));
    }

    #[test]
    fn what_can_not_be_is_an_error() {
        let both = function(&[3, 2], sum).unwrap();
        let text = |axes: &[&[Option<usize>]]| both.returns(axes).unwrap_err().to_string();
        assert!(text(&[&[Some(7), Some(4)], &[Some(3)]]).contains("don't fit each other"));
        assert!(text(&[&[Some(7), Some(4)]]).contains("2 arrays is given 1"));
        assert!(text(&[&[Some(7)], &[Some(4)]]).contains("\"x0\""));
        let nothing = function(&[], |program, _| program.constant(Values::float(1.0)));
        assert!(nothing.is_err());
        let mut tied = Program::new();
        let x = tied.input("x", [Length::Any], Kind::Float).unwrap();
        tied.output("y", x);
        tied.tie("x", "y");
        assert!(tied.function().unwrap_err().to_string().contains("tied"));
        // Without the batch it is no layer.
        let mean = function(&[2], |program, x| {
            let reduce = Operation::Reduce { reduction: Reduction::Mean, keep: true };
            add(program, reduce, &[x[0]])
        });
        let mut graph = crate::Graph::new();
        let x = graph.input("x", &[Some(3)]).unwrap();
        let error = graph.add(mean.unwrap(), x).unwrap_err().to_string();
        assert!(error.contains("the batch as its first axis"), "{error}");
    }
}
