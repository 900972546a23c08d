//! How arrays, their names and the device are printed.

use birnn::{DeviceInfo, Direction, Output, Outputs, Role};
use ndarray::{ArrayD, ArrayViewD, Zip};
use std::fmt::{Display, LowerExp};
use std::io::{self, Write};

/// Which device runs it, and why.
pub fn device(out: &mut impl Write, info: &DeviceInfo) -> io::Result<()> {
    writeln!(out, "Device: {info}")?;
    writeln!(out, "Why: {}", info.reason)
}

/// The outputs as the notebook printed them; with `exact`, how far each is from it.
pub fn outputs(
    out: &mut impl Write,
    outputs: &Outputs,
    exact: Option<&Outputs<f64>>,
) -> io::Result<()> {
    for (index, output) in outputs.list().iter().enumerate() {
        let difference = exact.map(|exact| difference(&output.array, &exact.list()[index].array));
        let difference = difference
            .map_or(String::new(), |d| format!(", at most {d:.1e} from the f64 reference"));
        let label = label(outputs, output);
        writeln!(out, "\n{label}, shape {:?}{difference}", output.array.shape())?;
        array(out, &output.array.view())?;
    }
    Ok(())
}

/// The difference of each output from the reference, a line each.
pub fn differences(
    out: &mut impl Write,
    outputs: &Outputs,
    exact: &Outputs<f64>,
) -> io::Result<()> {
    for (output, exact) in outputs.list().iter().zip(exact.list()) {
        let difference = difference(&output.array, &exact.array);
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
pub fn label(outputs: &Outputs, output: &Output) -> String {
    let name = match output.role {
        Role::Output => "Output State".to_string(),
        Role::DirectionOutput(direction) => format!("Output State {}", title(direction)),
        Role::HiddenState(direction) => format!("Hidden State {}", title(direction)),
        Role::CellState(direction) => format!("Cell State {}", title(direction)),
        role => role.to_string(),
    };
    let one_layer = outputs.list().iter().all(|other| other.layer == output.layer);
    if one_layer { name } else { format!("{name} of {}", output.layer) }
}

fn title(direction: Direction) -> &'static str {
    match direction {
        Direction::Forward => "Forward",
        Direction::Backward => "Backward",
    }
}

/// The largest difference; what is NaN, or infinite with one sign, in both differs by nothing.
pub fn difference(found: &ArrayD<f32>, exact: &ArrayD<f64>) -> f64 {
    let same = |f: f64, e: f64| f == e || (f.is_nan() && e.is_nan());
    let larger = |max: f64, d: f64| if d.is_nan() || d > max { d } else { max };
    Zip::from(found).and(exact).fold(0.0, |max, &f, &e| {
        let f = f64::from(f);
        if same(f, e) || max.is_nan() { max } else { larger(max, (f - e).abs()) }
    })
}

/// As NumPy prints it: eight decimals in columns, scientific where those would not show every
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

/// NumPy's rule.
fn needs_exponent<F: Copy + Into<f64>>(array: &ArrayViewD<F>) -> bool {
    let sizes = array.iter().map(|&v| v.into().abs()).filter(|v| v.is_finite() && *v != 0.0);
    let (min, max) =
        sizes.fold((f64::INFINITY, 0.0), |(min, max): (f64, f64), v| (v.min(min), v.max(max)));
    max >= 1e8 || (max > 0.0 && (min < 1e-4 || max / min > 1e3))
}
