//! How arrays, their names and the device are printed.

use crate::words;
use birnn::{DeviceInfo, Direction, Output, Role};
use ndarray::Dimension;
use ndarray::{ArrayD, ArrayViewD, Axis};
use num_traits::Float;
use std::fmt::{Display, LowerExp};
use std::io::{self, Write};

/// Which device runs it, and why.
pub fn device(out: &mut impl Write, info: &DeviceInfo) -> io::Result<()> {
    writeln!(out, "Device: {info}")?;
    writeln!(out, "Why: {}", words::told(&info.reason))
}

/// The outputs as the notebook printed them; with `exact`, how far each is from it.
pub fn outputs(
    out: &mut impl Write,
    outputs: &[Output],
    exact: Option<&[Output<f64>]>,
) -> io::Result<()> {
    for (index, output) in outputs.iter().enumerate() {
        let difference = exact.map(|exact| difference(&output.array, &exact[index].array));
        let difference = difference
            .map_or(String::new(), |d| format!(", at most {:.1e} from the f64 reference", d.value));
        let label = label(outputs, output);
        writeln!(out, "\n{label}, shape {:?}{difference}", output.array.shape())?;
        array(out, &output.array.view())?;
    }
    Ok(())
}

/// The difference of each output from the reference, a line each.
pub fn differences(
    out: &mut impl Write,
    outputs: &[Output],
    exact: &[Output<f64>],
) -> io::Result<()> {
    for (output, exact) in outputs.iter().zip(exact) {
        let difference = difference(&output.array, &exact.array).value;
        writeln!(
            out,
            "{}: at most {difference:.1e} from the f64 reference",
            label(outputs, output)
        )?;
    }
    Ok(())
}

/// The notebook's name of an output; with the layer's, where the model returns arrays of several
/// layers.
pub fn label(outputs: &[Output], output: &Output) -> String {
    let name = match output.role {
        Role::Output => "Output State".to_string(),
        Role::DirectionOutput(direction) => format!("Output State {}", title(direction)),
        Role::HiddenState(direction) => format!("Hidden State {}", title(direction)),
        Role::CellState(direction) => format!("Cell State {}", title(direction)),
        Role::AttentionScores => "Attention Scores".to_string(),
        role => role.to_string(),
    };
    let one_layer = outputs.iter().all(|other| other.layer == output.layer);
    if one_layer { name } else { format!("{name} of {}", output.layer) }
}

fn title(direction: Direction) -> &'static str {
    match direction {
        Direction::Forward => "Forward",
        Direction::Backward => "Backward",
    }
}

/// How far two arrays of a shape are from each other.
pub struct Difference {
    /// The largest one; NaN where one of them alone is NaN.
    pub value: f64,
    /// Where it is; of equal arrays the first place.
    pub index: Vec<usize>,
}

/// The largest difference; what is NaN, or infinite with one sign, in both differs by nothing.
pub fn difference<F: Copy + Into<f64>>(found: &ArrayD<F>, exact: &ArrayD<f64>) -> Difference {
    let same = |f: f64, e: f64| f == e || (f.is_nan() && e.is_nan());
    let mut largest = Difference { value: 0.0, index: vec![0; found.ndim()] };
    for ((index, &found), &exact) in found.indexed_iter().zip(exact) {
        let found = found.into();
        let value = if same(found, exact) { 0.0 } else { (found - exact).abs() };
        if value.is_nan() || value > largest.value {
            largest = Difference { value, index: index.as_array_view().to_vec() };
        }
        if value.is_nan() {
            break;
        }
    }
    largest
}

/// Eight decimals in columns with commas between them, scientific where those would not show every
/// value.
pub fn array<F: Copy + Into<f64> + Display + LowerExp>(
    out: &mut impl Write,
    array: &ArrayViewD<F>,
) -> io::Result<()> {
    if needs_exponent(array) {
        writeln!(out, "{array:15.8e}")
    } else {
        writeln!(out, "{array:11.8}")
    }
}

/// NumPy's rule, as it is for float64.
fn needs_exponent<F: Copy + Into<f64>>(array: &ArrayViewD<F>) -> bool {
    let sizes = array.iter().map(|&v| v.into().abs()).filter(|v| v.is_finite() && *v != 0.0);
    let (min, max) =
        sizes.fold((f64::INFINITY, 0.0), |(min, max): (f64, f64), v| (v.min(min), v.max(max)));
    max >= 1e8 || (max > 0.0 && (min < 1e-4 || max / min > 1e3))
}

/// The characters of a line of NumPy's, the closing bracket included.
const LINE: usize = 75;
/// The decimals that NumPy shows at most.
const DECIMALS: usize = 8;

/// An array of at least one axis as `print` of NumPy 2.4 shows it. NumPy leaves values out of the
/// middle of an array of more than 1000; here they are all shown.
pub fn numpy<F: Float + Display + LowerExp>(array: &ArrayViewD<F>) -> String {
    if array.is_empty() {
        return "[]".to_string();
    }
    let columns = Columns::of(array);
    bracketed(array, &columns, 1)
}

/// An array in brackets. `depth` is the number of open brackets on the line before its values, the
/// own one included, by which the lines after the first are indented.
fn bracketed<F: Float + Display + LowerExp>(
    array: &ArrayViewD<F>,
    columns: &Columns,
    depth: usize,
) -> String {
    let indent = " ".repeat(depth);
    let inside = if array.ndim() == 1 {
        // One closing bracket for each open one has to fit on the line.
        wrapped(array.iter().map(|&value| columns.show(value)), &indent, LINE - depth)
    } else {
        let parts = array.axis_iter(Axis(0)).map(|part| bracketed(&part, columns, depth + 1));
        let newlines = "\n".repeat(array.ndim() - 1);
        parts.collect::<Vec<_>>().join(&format!("{newlines}{indent}"))
    };
    format!("[{inside}]")
}

/// Words with spaces between them in lines of at most `width` characters; every line but the first
/// begins with the indent, which counts on the first one, too.
pub fn wrapped(words: impl Iterator<Item = String>, indent: &str, width: usize) -> String {
    let mut text = String::new();
    let mut used = indent.len();
    for (index, word) in words.enumerate() {
        // NumPy counts the spaces at the end of a line, and leaves them out.
        if index > 0 && used + 1 + word.len() > width {
            text.truncate(text.trim_end().len());
            text.push('\n');
            text.push_str(indent);
            used = indent.len();
        } else if index > 0 {
            text.push(' ');
            used += 1;
        }
        text.push_str(&word);
        used += word.len();
    }
    text
}

/// What NumPy's numbers of an array have in common, so that they stand below each other.
struct Columns {
    /// How many digits the exponents have; `None`: the numbers are written without one.
    exponent: Option<usize>,
    /// Characters before the point, the sign included.
    before: usize,
    /// Digits after the point.
    after: usize,
}

impl Columns {
    fn of<F: Float + Display + LowerExp>(array: &ArrayViewD<F>) -> Columns {
        let finite = || array.iter().copied().filter(|value| value.is_finite());
        let mut columns = Columns { exponent: None, before: 0, after: 0 };
        if is_scientific(finite()) {
            let shown: Vec<_> = finite().map(shortest_scientific).collect();
            columns.exponent = shown.iter().map(|(_, exponent)| exponent_digits(*exponent)).max();
            columns.fit(shown.iter().map(|(mantissa, _)| mantissa.as_str()));
        } else {
            let shown: Vec<_> = finite().map(shortest).collect();
            columns.fit(shown.iter().map(String::as_str));
        }
        // What is not finite is as wide as a number, point included, and may need more room.
        let room = columns.width() - columns.before;
        for value in array.iter().filter(|value| !value.is_finite()) {
            columns.before = columns.before.max(not_finite(*value).len().saturating_sub(room));
        }
        columns
    }

    /// Makes room for numbers, which have a point each.
    fn fit<'a>(&mut self, numbers: impl Iterator<Item = &'a str>) {
        for (before, after) in numbers.filter_map(|number| number.split_once('.')) {
            self.before = self.before.max(before.len());
            self.after = self.after.max(after.len());
        }
    }

    fn width(&self) -> usize {
        let exponent = self.exponent.map_or(0, |digits| digits + 2); // with the e and the sign
        self.before + 1 + self.after + exponent
    }

    fn show<F: Float + Display + LowerExp>(&self, value: F) -> String {
        let (width, after) = (self.width(), self.after);
        if !value.is_finite() {
            return format!("{:>width$}", not_finite(value));
        }
        let Some(digits) = self.exponent else {
            let number = shortest(value);
            let unused = after.saturating_sub(decimals(&number));
            return format!("{:>width$}", number + &" ".repeat(unused));
        };
        let (mantissa, exponent) = split_exponent(&format!("{value:.after$e}"));
        let sign = if exponent < 0 { '-' } else { '+' };
        let exponent = exponent.unsigned_abs();
        format!("{:>width$}", format!("{mantissa}e{sign}{exponent:0digits$}"))
    }
}

/// NumPy's rule for an array, which depends on its type: float32 has six digits that always hold.
fn is_scientific<F: Float>(finite: impl Iterator<Item = F>) -> bool {
    let sizes = finite.map(F::abs).filter(|size| !size.is_zero());
    let (min, max) =
        sizes.fold((F::infinity(), F::zero()), |(min, max), size| (min.min(size), max.max(size)));
    let of = |number: f64| F::from(number).unwrap_or_else(F::infinity);
    let largest = of(if size_of::<F>() == size_of::<f32>() { 1e6 } else { 1e8 });
    !max.is_zero() && (max >= largest || min < of(1e-4) || max / min > of(1e3))
}

fn not_finite<F: Float>(value: F) -> &'static str {
    match () {
        _ if value.is_nan() => "nan",
        _ if value.is_sign_negative() => "-inf",
        _ => "inf",
    }
}

/// The fewest digits that no other number of the type has, but at most eight decimals, without
/// zeros at the end and with a point.
fn shortest<F: Float + Display>(value: F) -> String {
    // Of two such numbers that are as near, Rust takes the larger and NumPy the even one, to which
    // a number of decimals rounds.
    let decimals = decimals(&value.to_string()).min(DECIMALS);
    with_point(format!("{value:.decimals$}"))
}

/// The same of a number with an exponent: its mantissa and the exponent.
fn shortest_scientific<F: Float + LowerExp>(value: F) -> (String, i32) {
    let (mantissa, _) = split_exponent(&format!("{value:e}"));
    let decimals = decimals(&mantissa).min(DECIMALS);
    let (mantissa, exponent) = split_exponent(&format!("{value:.decimals$e}"));
    (with_point(mantissa), exponent)
}

fn decimals(number: &str) -> usize {
    number.split_once('.').map_or(0, |(_, decimals)| decimals.len())
}

/// A number with a point and without zeros after its last other decimal.
fn with_point(mut number: String) -> String {
    match number.contains('.') {
        true => number.truncate(number.trim_end_matches('0').len()),
        false => number.push('.'),
    }
    number
}

/// Takes Rust's `1.5e-7` apart; the mantissa gets a point.
fn split_exponent(number: &str) -> (String, i32) {
    let (mantissa, exponent) = number.split_once('e').unwrap_or((number, "0"));
    let point = if mantissa.contains('.') { "" } else { "." };
    (format!("{mantissa}{point}"), exponent.parse().unwrap_or(0))
}

/// NumPy writes two digits at least.
fn exponent_digits(exponent: i32) -> usize {
    exponent.unsigned_abs().to_string().len().max(2)
}

#[cfg(test)]
mod tests {
    use super::numpy;
    use ndarray::{ArrayD, IxDyn};

    fn array<F: Copy>(shape: &[usize], values: &[F]) -> ArrayD<F> {
        ArrayD::from_shape_vec(IxDyn(shape), values.to_vec()).unwrap()
    }

    fn f32s(values: &[f32]) -> String {
        numpy(&array(&[values.len()], values).view())
    }

    fn f64s(values: &[f64]) -> String {
        numpy(&array(&[values.len()], values).view())
    }

    /// All strings here are what NumPy 2.4.6 printed.
    #[test]
    fn arrays_are_printed_as_numpy_prints_them() {
        let values = [
            0.01372506,
            -0.03622774,
            0.10887402,
            -0.1403001,
            0.07373115,
            0.1629204,
            -0.16764866,
            0.03792358,
            -0.0562262,
            -0.10975386,
            -0.06439384,
            -0.12988992_f32,
        ];
        let expected = "\
[[[ 0.01372506 -0.03622774  0.10887402 -0.1403001   0.07373115
    0.1629204 ]
  [-0.16764866  0.03792358 -0.0562262  -0.10975386 -0.06439384
   -0.12988992]]]";
        assert_eq!(numpy(&array(&[1, 2, 6], &values).view()), expected);
        // One row of that array fits on a line of its own.
        let expected = "[ 0.01372506 -0.03622774  0.10887402 -0.1403001   0.07373115  0.1629204 ]";
        assert_eq!(f32s(&values[..6]), expected);
        assert_eq!(f64s(&[0.123000001, 0.5]), "[0.123 0.5  ]");
        assert_eq!(f32s(&[1.0, 2.0]), "[1. 2.]");
        assert_eq!(f32s(&[0.0, -0.0]), "[ 0. -0.]");
        assert_eq!(f32s(&[0.1, 99.9]), "[ 0.1 99.9]");
        let axes =
            "[[[[0.]\n   [0.]]\n\n  [[0.]\n   [0.]]]\n\n\n [[[0.]\n   [0.]]\n\n  [[0.]\n   [0.]]]]";
        assert_eq!(numpy(&array(&[2, 2, 2, 1], &[0.0_f32; 8]).view()), axes);
        assert_eq!(numpy(&array::<f32>(&[2, 0], &[]).view()), "[]");
    }

    /// Half of a last decimal goes to the even digit.
    #[test]
    fn decimals_are_rounded_as_numpy_rounds_them() {
        assert_eq!(f32s(&[0.001953125, -0.5]), "[ 0.00195312 -0.5       ]");
        assert_eq!(f64s(&[0.001953125, -0.5]), "[ 0.00195312 -0.5       ]");
        assert_eq!(f64s(&[0.005859375, 0.5]), "[0.00585938 0.5       ]");
        // As few digits as tell this float32 apart leave two, as near, to choose from.
        assert_eq!(f32s(&[325.0 / 256.0, -201.0 / 512.0]), "[ 1.2695312  -0.39257812]");
    }

    #[test]
    fn numbers_far_apart_get_exponents() {
        assert_eq!(f32s(&[0.3, 1e-5, 1.2345671e-5]), "[3.0000001e-01 9.9999997e-06 1.2345671e-05]");
        assert_eq!(f32s(&[1e6, 123456.7]), "[1.000000e+06 1.234567e+05]");
        assert_eq!(f32s(&[999999.5, 123456.7]), "[999999.5 123456.7]");
        assert_eq!(f64s(&[1e-200, -1.0]), "[ 1.e-200 -1.e+000]");
        assert_eq!(f64s(&[123456789.0, 1.0]), "[1.23456789e+08 1.00000000e+00]");
        assert_eq!(f32s(&[1e-5, 1e30]), "[1.e-05 1.e+30]");
        assert_eq!(f32s(&[0.0, 1e-5]), "[0.e+00 1.e-05]");
    }

    #[test]
    fn what_is_not_finite_stands_in_the_columns() {
        assert_eq!(f32s(&[f32::NAN, f32::NEG_INFINITY, 1.5]), "[ nan -inf  1.5]");
        assert_eq!(f32s(&[f32::INFINITY, 0.5]), "[inf 0.5]");
        assert_eq!(f64s(&[f64::NAN]), "[nan]");
        assert_eq!(f32s(&[1e-5, f32::NAN, f32::NEG_INFINITY]), "[1.e-05    nan   -inf]");
    }

    #[test]
    fn long_rows_are_cut_at_75_characters() {
        let values: Vec<f32> =
            (0..30).map(|i| (f64::from(i) * (2.0 / 29.0) - 1.0) as f32).collect();
        let expected = "\
[[-1.         -0.9310345  -0.86206895 -0.79310346 -0.7241379  -0.6551724
  -0.5862069  -0.51724136 -0.44827586 -0.37931034 -0.31034482 -0.2413793
  -0.1724138  -0.10344828 -0.03448276]
 [ 0.03448276  0.10344828  0.1724138   0.2413793   0.31034482  0.37931034
   0.44827586  0.51724136  0.5862069   0.6551724   0.7241379   0.79310346
   0.86206895  0.9310345   1.        ]]";
        assert_eq!(numpy(&array(&[2, 15], &values).view()), expected);
    }
}
