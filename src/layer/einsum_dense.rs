//! EinsumDense: the product with a kernel along any axes.

use super::definition::{Definition, MaskRule, WeightSpec, Wrong, arguments, size};
use super::dims::{Dims, describe};
use super::initializer::Initializer;
use super::lowering::Lowering;
use crate::error::Error;
use crate::graph::{ArrayId, Constant};
use crate::operator::{
    Activate, BatchedMatMul, Binary, BinaryFunction, MatMul, Reduce, ReduceFunction, Transpose,
};
use birnn_cell::Activation;
use ndarray::ArrayD;

arguments! {
    /// Keras's `EinsumDense`: `activation(einsum(equation, x, kernel) + bias)`, the sum of the
    /// products of the input and a kernel as an equation says that has a letter for each axis.
    ///
    /// In `ab,bc->ac` the input is `[a, b]`, the kernel `[b, c]` and the output `[a, c]`: what
    /// isn't in the output is summed over, so that this is a [`Dense`](super::Dense). The first
    /// axis of input and output is the batch. Three dots at the beginning or the end of input and
    /// output, as in `...x,xy->...y`, stand for all other axes.
    ///
    /// `output_shape` has the lengths of the output's axes without the batch, and without those
    /// that the dots stand for; an axis of any length, or one that the input has too, may be
    /// `None`. Its weights are `kernel`, with an axis for each of its letters, and `bias`, if there
    /// is one.
    ///
    /// ```
    /// use birnn::{Device, Graph, layer::EinsumDense};
    /// // Two heads of three features each from four features of every timestep.
    /// let heads = EinsumDense::new("btf,fhd->bthd".to_string(), vec![None, Some(2), Some(3)]);
    /// let heads = heads.bias_axes(Some("hd".to_string()));
    /// let mut graph = Graph::new();
    /// let x = graph.sequence_input("x", None, 4)?;
    /// let model = graph.add(heads, x).and_then(|y| graph.build(y))?.initialize(1)?;
    /// let x = ndarray::Array3::<f32>::ones((1, 5, 4));
    /// let outputs = Device::cpu().compile(&model)?.run(x.view())?;
    /// assert_eq!(outputs.output().shape(), [1, 5, 2, 3]);
    /// # Ok::<(), birnn::Error>(())
    /// ```
    EinsumDense(
        /// What is multiplied and summed over: `input,kernel->output`.
        equation: String,
        /// The lengths of the output's axes.
        output_shape: Vec<Option<usize>>
    ) {
        /// The activation of the sums (default: linear). Softmax and its kin go over the last axis.
        activation: Activation = Activation::Linear,
        /// The axes of the output along which the bias has numbers of its own (default: `None`,
        /// which is no bias).
        bias_axes: Option<String> = None,
    }
}

/// An equation for an input of so many axes, whose letters are characters; those that dots stand
/// for have private ones.
struct Terms {
    input: Vec<char>,
    kernel: Vec<char>,
    output: Vec<char>,
    /// How many axes the dots stand for, the batch among them where they come first.
    dots: usize,
    dots_first: bool,
}

/// The letters of an equation's terms, and where its dots are: first (true), last, or nowhere.
fn parts(equation: &str) -> Result<([String; 3], Option<bool>), String> {
    let wrong = |reason: &str| Err(format!("{equation:?} {reason}"));
    let terms = equation.split_once("->");
    let terms = terms.and_then(|(left, output)| {
        let (input, kernel) = left.split_once(',')?;
        Some([input, kernel, output].map(str::trim))
    });
    let Some([input, kernel, output]) = terms else {
        return wrong("isn't input,kernel->output");
    };
    let has_dots = |term: &str, first: bool| match first {
        true => term.starts_with("..."),
        false => term.ends_with("..."),
    };
    let dots =
        [true, false].into_iter().find(|&first| has_dots(input, first) && has_dots(output, first));
    let bare = |term: &str, dots: Option<bool>| match dots {
        Some(true) => term.trim_start_matches('.').to_string(),
        Some(false) => term.trim_end_matches('.').to_string(),
        None => term.to_string(),
    };
    let letters = [bare(input, dots), kernel.to_string(), bare(output, dots)];
    for term in &letters {
        let twice = term
            .chars()
            .enumerate()
            .any(|(place, letter)| term.chars().take(place).any(|before| before == letter));
        if term.is_empty() || twice || !term.chars().all(|c| c.is_ascii_alphabetic()) {
            return wrong("has a term that isn't of letters, each once");
        }
    }
    let [input, kernel, output] = &letters;
    if let Some(letter) = kernel.chars().find(|&c| !input.contains(c) && !output.contains(c)) {
        return wrong(&format!("has {letter:?} in the kernel alone"));
    }
    if let Some(letter) = output.chars().find(|&c| !input.contains(c) && !kernel.contains(c)) {
        return wrong(&format!("has {letter:?} in the output alone"));
    }
    let batch = input.chars().next();
    if dots != Some(true)
        && (batch != output.chars().next() || batch.is_some_and(|batch| kernel.contains(batch)))
    {
        return wrong("needs the same first letter, the batch, in input and output alone");
    }
    Ok((letters, dots))
}

impl EinsumDense {
    /// The equation for an input of so many axes, the batch among them.
    fn terms(&self, rank: usize) -> Result<Terms, String> {
        let ([input, kernel, output], place) = parts(&self.equation)?;
        let named = input.chars().count();
        let least = named + usize::from(place == Some(true));
        if rank < least || place.is_none() && rank != named {
            return Err(format!("its input has {rank} axes, and {:?} others", self.equation));
        }
        let dots: Vec<char> = ('\u{E000}'..='\u{F8FF}').take(rank.saturating_sub(named)).collect();
        let whole = |term: &str| -> Vec<char> {
            match place {
                Some(true) => dots.iter().copied().chain(term.chars()).collect(),
                _ => term.chars().chain(dots.iter().copied()).collect(),
            }
        };
        let (input, output) = (whole(&input), whole(&output));
        let dots_first = place == Some(true);
        Ok(Terms { input, kernel: kernel.chars().collect(), output, dots: dots.len(), dots_first })
    }

    /// The terms, and the lengths of the output's axes but the batch, as far as they are known.
    fn shaped(&self, input: &Dims) -> Result<(Terms, Dims), String> {
        let terms = self.terms(input.len() + 1)?;
        let given = &self.output_shape;
        let by_dots = terms.dots.saturating_sub(usize::from(terms.dots_first));
        if given.len() + by_dots + 1 != terms.output.len() {
            return Err(format!(
                "its output_shape {given:?} has {} axes, and {:?} others",
                given.len(),
                self.equation
            ));
        }
        let own = |place: usize| match terms.dots_first {
            true => place.checked_sub(by_dots).and_then(|place| given[place]),
            false => given.get(place).copied().flatten(),
        };
        let mut output = Vec::with_capacity(terms.output.len() - 1);
        for (place, letter) in terms.output.iter().enumerate().skip(1) {
            let given = own(place - 1);
            let read = terms.input.iter().position(|other| other == letter);
            let read = read.and_then(|axis| input[axis - 1]);
            match (read, given) {
                (Some(read), Some(given)) if read != given => {
                    return Err(format!(
                        "its output_shape says {given} where its input is {}",
                        describe(input)
                    ));
                }
                _ => output.push(read.or(given)),
            }
        }
        Ok((terms, output))
    }

    /// The length of an axis by its letter, without the batch.
    fn length(terms: &Terms, input: &Dims, output: &Dims, letter: char) -> Option<usize> {
        let of = |letters: &[char], dims: &Dims| {
            let axis = letters.iter().position(|&other| other == letter)?;
            dims.get(axis.checked_sub(1)?).copied().flatten()
        };
        of(&terms.input, input).or_else(|| of(&terms.output, output))
    }

    /// The shape of the bias, which is added to the last axes of the output.
    fn bias(&self, terms: &Terms, output: &Dims) -> Result<Option<Vec<usize>>, String> {
        let Some(axes) = &self.bias_axes else { return Ok(None) };
        let named = |place: usize| match terms.dots_first {
            true => place >= terms.dots,
            false => place < terms.output.len() - terms.dots,
        };
        let mut first = terms.output.len();
        for letter in axes.chars() {
            let place = terms.output.iter().position(|&other| other == letter);
            match place.filter(|&place| named(place) && place > 0) {
                Some(place) => first = first.min(place),
                None => return Err(format!("its bias_axes {axes:?} aren't axes of the output")),
            }
        }
        let length = |place: usize| match axes.contains(terms.output[place]) {
            false => Ok(1),
            true => output[place - 1]
                .ok_or_else(|| format!("its bias_axes {axes:?} have no fixed length")),
        };
        (first..terms.output.len()).map(length).collect::<Result<_, _>>().map(Some)
    }

    /// The lengths of the kernel's axes.
    fn kernel(&self, terms: &Terms, input: &Dims, output: &Dims) -> Result<Vec<usize>, String> {
        let length = |&letter: &char| {
            EinsumDense::length(terms, input, output, letter).ok_or_else(|| {
                format!("the axis {letter:?} of its kernel has no fixed length in output_shape")
            })
        };
        terms.kernel.iter().map(length).collect()
    }
}

/// Which axes are what, by their letters.
struct Axes {
    /// In all three: for each index there is a kernel.
    both: Vec<char>,
    /// Of the input that the output has, without the batch.
    rows: Vec<char>,
    /// Of input and kernel that are summed over.
    summed: Vec<char>,
    /// Of the kernel that the output has.
    columns: Vec<char>,
    /// Of the input alone.
    gone: Vec<char>,
}

impl Axes {
    fn of(terms: &Terms) -> Axes {
        let (mut both, mut rows, mut summed, mut gone) = (vec![], vec![], vec![], vec![]);
        for &letter in &terms.input[1..] {
            match (terms.kernel.contains(&letter), terms.output.contains(&letter)) {
                (true, true) => both.push(letter),
                (false, true) => rows.push(letter),
                (true, false) => summed.push(letter),
                (false, false) => gone.push(letter),
            }
        }
        let is_column = |letter: &&char| !terms.input.contains(letter);
        // In the order of the output, where columns are often the last axes.
        let columns = terms.output.iter().filter(is_column).copied().collect();
        Axes { both, rows, summed, columns, gone }
    }

    /// The order of the kernel's axes that its matrices have.
    fn of_kernel(&self) -> Vec<char> {
        [&self.both[..], &self.summed, &self.columns].concat()
    }
}

/// Where each of these letters is among others.
fn places(letters: &[char], wanted: &[char]) -> Vec<usize> {
    wanted.iter().filter_map(|letter| letters.iter().position(|other| other == letter)).collect()
}

fn ordered(call: &mut Lowering, array: ArrayId, order: Vec<usize>) -> Result<ArrayId, Error> {
    match order.iter().copied().eq(0..order.len()) {
        true => Ok(array),
        false => call.apply(Transpose { order }, array),
    }
}

impl Definition for EinsumDense {
    fn class_name(&self) -> &'static str {
        "EinsumDense"
    }

    fn check(&self) -> Result<(), Wrong> {
        parts(&self.equation).map_err(|reason| ("equation", reason))?;
        if self.bias_axes.as_deref() == Some("") {
            return Err(("bias_axes", "names no axis; give None for no bias".to_string()));
        }
        for &length in self.output_shape.iter().flatten() {
            size("output_shape", length)?;
        }
        if self.activation.output_features(Some(2)).is_ok_and(|features| features != Some(2)) {
            let reason = "glu would halve the output_shape; put an Activation behind the layer";
            return Err(("activation", reason.to_string()));
        }
        Ok(())
    }

    fn output(&self, inputs: &[Dims]) -> Result<Dims, String> {
        let (terms, output) = self.shaped(&inputs[0])?;
        self.kernel(&terms, &inputs[0], &output)?;
        self.bias(&terms, &output)?;
        Ok(output)
    }

    fn weights(&self, inputs: &[Dims]) -> Vec<WeightSpec> {
        let Ok((terms, output)) = self.shaped(&inputs[0]) else { return Vec::new() };
        let kernel = self.kernel(&terms, &inputs[0], &output).unwrap_or_default();
        let bias = self.bias(&terms, &output).ok().flatten();
        let kernel = WeightSpec::new("kernel", kernel, Initializer::GlorotUniform);
        let bias = bias.map(|bias| WeightSpec::new("bias", bias, Initializer::Zeros));
        [kernel].into_iter().chain(bias).collect()
    }

    /// The kernel as matrices, and the bias.
    fn constants<'w>(&self, weights: &'w [ArrayD<f32>], inputs: &[Dims]) -> Vec<Constant<'w>> {
        let matrices = |kernel: &'w ArrayD<f32>| {
            let terms = self.terms(inputs[0].len() + 1).ok()?;
            let axes = Axes::of(&terms);
            let order = places(&terms.kernel, &axes.of_kernel());
            let length = |letters: &[char]| -> usize {
                places(&terms.kernel, letters)
                    .into_iter()
                    .map(|axis| kernel.shape()[axis])
                    .product()
            };
            let mut shape = vec![length(&axes.summed), length(&axes.columns)];
            if !axes.both.is_empty() {
                shape.insert(0, length(&axes.both));
            }
            let kernel = kernel.view().permuted_axes(order);
            let kernel = kernel.mapv(f64::from).as_standard_layout().into_owned();
            kernel.into_shape_with_order(shape).ok().map(Constant::Derived)
        };
        let kernel = weights
            .iter()
            .take(1)
            .map(|kernel| matrices(kernel).unwrap_or_else(|| Constant::weight(kernel.view())));
        kernel.chain(weights.iter().skip(1).map(|bias| Constant::weight(bias.view()))).collect()
    }

    fn masking(&self) -> MaskRule {
        MaskRule::Drop
    }

    fn lower(&self, call: &mut Lowering) -> Result<ArrayId, Error> {
        let wrong = |name: &str, reason: String| Error::Graph(format!("layer {name:?}: {reason}"));
        let mut x = call.input(0);
        let shape = call.shape(x);
        let input: Dims = shape[1..].iter().map(|&length| Some(length)).collect();
        let name = call.name;
        let (terms, output) = self.shaped(&input).map_err(|reason| wrong(name, reason))?;
        let bias = self.bias(&terms, &output).map_err(|reason| wrong(name, reason))?;
        let axes = Axes::of(&terms);
        let mut letters = terms.input.clone();
        if !axes.gone.is_empty() {
            let mut gone = places(&letters, &axes.gone);
            gone.sort_unstable();
            x = call
                .apply(Reduce { axes: gone, function: ReduceFunction::Sum, keep_axes: false }, x)?;
            letters.retain(|letter| !axes.gone.contains(letter));
        }
        let length =
            |letter: &char| EinsumDense::length(&terms, &input, &output, *letter).unwrap_or(1);
        let lengths = |letters: &[char]| -> Vec<usize> { letters.iter().map(length).collect() };
        let product = |letters: &[char]| -> usize { letters.iter().map(length).product() };
        let (batch, summed, columns) = (shape[0], product(&axes.summed), product(&axes.columns));
        let wanted = [&letters[..1], &axes.both, &axes.rows, &axes.summed].concat();
        x = ordered(call, x, places(&letters, &wanted))?;
        // The letters of the product, in the order that it has.
        let made = [&letters[..1], &axes.both, &axes.rows, &axes.columns].concat();
        let shape_made = [vec![batch], lengths(&made[1..])].concat();
        let bias_axes = self.bias_axes.as_deref().unwrap_or_default();
        // A bias with a number for each column, and an activation of what is a row of the product.
        let fused = made == terms.output
            && bias.as_ref().is_none_or(|bias| bias[..] == [columns])
            && (bias.is_none() || bias_axes.chars().eq(axes.columns.iter().copied()))
            && axes.both.is_empty()
            && (self.activation.is_elementwise() || axes.columns.len() == 1);
        let y = if axes.both.is_empty() {
            let rows = [vec![batch], lengths(&axes.rows), vec![summed]].concat();
            let rows = call.reshaped(x, rows)?;
            let kernel = call.constant(0, [summed, columns]);
            let bias = match (fused, &bias) {
                (true, Some(shape)) => Some(call.constant(1, shape.clone())),
                _ => None,
            };
            let activation = if fused { self.activation } else { Activation::Linear };
            call.add(MatMul { activation }, [Some(rows), Some(kernel), bias])?
        } else {
            let both = product(&axes.both);
            let matrices = vec![batch, both, product(&axes.rows), summed];
            let matrices = call.reshaped(x, matrices)?;
            let kernel = call.constant(0, [both, summed, columns]);
            call.add(BatchedMatMul, [Some(matrices), Some(kernel)])?
        };
        let y = call.reshaped(y, shape_made)?;
        if fused {
            return Ok(y);
        }
        let mut y = ordered(call, y, places(&made, &terms.output))?;
        if let Some(shape) = bias {
            let bias = call.constant(1, shape);
            y = call.add(Binary { function: BinaryFunction::Add }, [Some(y), Some(bias)])?;
        }
        match self.activation {
            Activation::Linear => Ok(y),
            activation => call.apply(Activate { activation }, y),
        }
    }
}
