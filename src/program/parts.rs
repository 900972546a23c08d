//! What a program is built from, as it stands in files.

use super::body::Body;
use super::operation::Operation;
use super::values::Values;
use super::{Input, Origin, Program, Step, Value};
use crate::error::{Error, Result};
use crate::layer::Layer;
use serde::{Deserialize, Serialize};

/// A program. Its arrays are numbered: first the inputs, then the constants, then what each
/// operation returns, in order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProgramParts {
    inputs: Vec<Input>,
    /// The name of each one's tensor.
    constants: Vec<String>,
    /// In an order in which each reads what was there before.
    pub operations: Vec<OperationPart>,
    outputs: Vec<OutputPart>,
    ties: Vec<TiePart>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OperationPart {
    name: String,
    operation: Operation,
    /// The numbers of the arrays that it reads.
    operands: Vec<Option<usize>>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OutputPart {
    name: String,
    array: usize,
}

/// An input that is an output of the call before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TiePart {
    input: String,
    output: String,
}

impl Body {
    /// What the program can be built from again: what no call changes is a constant, and what no
    /// output needs is left out. `weights`: those of the model's layers. `store` keeps the values
    /// of a constant under a name like the one that it is given, and returns that name.
    pub(crate) fn parts(
        &self,
        weights: &[Vec<Values>],
        store: &mut dyn FnMut(String, &Values) -> String,
    ) -> ProgramParts {
        let mut numbers = vec![None; self.origins.len()];
        for (value, origin) in self.origins.iter().enumerate() {
            if let Origin::Input(input) = origin {
                numbers[value] = Some(*input);
            }
        }
        let mut next = self.inputs.len();
        let mut number = || {
            next += 1;
            next - 1
        };
        let mut constants = Vec::new();
        for (value, known) in self.known.iter().enumerate() {
            if let Some(known) = known {
                numbers[value] = Some(number());
                constants.push(store(format!("constant {}", constants.len()), &known.values));
            }
        }
        let needed = self.needed_steps();
        // Of each step the numbers of its weights.
        let mut of_weights = vec![Vec::new(); self.steps.len()];
        for (index, step) in self.steps.iter().enumerate().filter(|(index, _)| needed[*index]) {
            let Some(of) = self.layers[index] else { continue };
            for (place, values) in weights.get(of.layer).into_iter().flatten().enumerate() {
                of_weights[index].push(Some(number()));
                constants.push(store(format!("{}/{place}", step.name), values));
            }
        }
        let mut operations = Vec::new();
        for (index, step) in self.steps.iter().enumerate().filter(|(index, _)| needed[*index]) {
            let Step { name, operation, operands, first_result } = step;
            let read = operands.iter().map(|operand| numbers[(*operand)?]);
            let operands = read.chain(of_weights[index].iter().copied()).collect();
            for result in 0..operation.results() {
                // What is known is a constant already.
                let result_number = number();
                numbers[first_result + result].get_or_insert(result_number);
            }
            let mut operation = operation.clone();
            if let Operation::Recurrent { layer, .. } = &mut operation {
                **layer = layer.as_ref().clone().bare();
            }
            let name = name.clone();
            operations.push(OperationPart { name, operation, operands });
        }
        let outputs = self.outputs.iter().filter_map(|(name, value)| {
            Some(OutputPart { name: name.clone(), array: numbers[*value]? })
        });
        let tie = |tie: usize| TiePart {
            input: self.tied_name(tie).to_string(),
            output: self.outputs[self.ties[tie].output].0.clone(),
        };
        ProgramParts {
            inputs: self.inputs.clone(),
            constants,
            operations,
            outputs: outputs.collect(),
            ties: (0..self.ties()).map(tie).collect(),
        }
    }

    /// The steps that an output needs.
    fn needed_steps(&self) -> Vec<bool> {
        let mut needed = vec![false; self.steps.len()];
        let mut open: Vec<usize> = self.outputs.iter().map(|(_, value)| *value).collect();
        while let Some(value) = open.pop() {
            if self.known[value].is_some() {
                continue;
            }
            if let Origin::Result(step) = self.origins[value]
                && !std::mem::replace(&mut needed[step], true)
            {
                open.extend(self.steps[step].operands.iter().flatten());
            }
        }
        needed
    }
}

impl ProgramParts {
    /// The layers of its recurrent operations.
    pub(crate) fn layers(&self) -> impl Iterator<Item = &Layer> {
        self.operations.iter().filter_map(|part| match &part.operation {
            Operation::Recurrent { layer, .. } => Some(&**layer),
            _ => None,
        })
    }

    /// How many arrays it has.
    pub(crate) fn arrays(&self) -> usize {
        let results = self.operations.iter().map(|part| part.operation.results());
        results.fold(self.inputs.len() + self.constants.len(), usize::saturating_add)
    }

    /// How many arrays and operations it has.
    pub(crate) fn calls(&self) -> usize {
        self.arrays().saturating_add(self.operations.len())
    }

    /// The program. `fetch` gives the values of a constant by its name.
    ///
    /// # Errors
    /// As [`Program::input`] and [`Program::add`]; [`Error::Graph`] where an array isn't there.
    pub(crate) fn program(self, fetch: &mut dyn FnMut(&str) -> Result<Values>) -> Result<Program> {
        let mut program = Program::new();
        let mut arrays: Vec<Value> = Vec::new();
        for input in self.inputs {
            arrays.push(program.add_input(input)?);
        }
        for name in &self.constants {
            arrays.push(program.constant(fetch(name)?));
        }
        for OperationPart { name, operation, operands } in self.operations {
            let operands = operands
                .into_iter()
                .map(|operand| operand.map(|number| array(&arrays, number, &name)).transpose());
            let operands = operands.collect::<Result<Vec<Option<Value>>>>()?;
            arrays.extend(program.add(&name, operation, operands)?);
        }
        for OutputPart { name, array: number } in self.outputs {
            program.output(&name, array(&arrays, number, &name)?);
        }
        for TiePart { input, output } in self.ties {
            program.tie(&input, &output);
        }
        Ok(program)
    }
}

fn array(arrays: &[Value], number: usize, reader: &str) -> Result<Value> {
    let missing = || {
        let there = arrays.len();
        Error::Graph(format!("{reader:?} reads array {number}, and there are {there} before it"))
    };
    arrays.get(number).copied().ok_or_else(missing)
}
