//! A model's outputs to files.

use crate::npy;
use anyhow::{Context, Result, bail};
use birnn::Output;
use std::path::{Path, PathBuf};

/// Where an output was written.
pub struct Written {
    pub path: PathBuf,
    /// Its column, of a Parquet file.
    pub column: Option<String>,
}

/// That outputs can be written there; looked at before anything is computed.
pub fn check(target: &Path) -> Result<()> {
    if is_parquet(target) && cfg!(not(feature = "parquet")) {
        bail!(
            "--out {}: this birnn was built without Parquet: cargo install --path . --features \
             cli,parquet builds it in",
            target.display()
        );
    }
    Ok(())
}

/// Writes each output to a `.npy` file of a directory, or all to the columns of a `.parquet` file.
/// Returns where each one is.
pub fn write(target: &Path, outputs: &[Output]) -> Result<Vec<Written>> {
    match is_parquet(target) {
        true => write_columns(target, outputs),
        false => write_arrays(target, outputs),
    }
}

fn is_parquet(target: &Path) -> bool {
    target.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("parquet"))
}

fn write_arrays(dir: &Path, outputs: &[Output]) -> Result<Vec<Written>> {
    std::fs::create_dir_all(dir)
        .with_context(|| format!("cannot make the directory {}", dir.display()))?;
    let written = outputs.iter().enumerate().map(|(index, output)| {
        let path = dir.join(format!("{}.npy", name(index, outputs.len(), output)));
        npy::write(&path, &output.array).map(|()| Written { path, column: None })
    });
    written.collect()
}

#[cfg(feature = "parquet")]
fn write_columns(path: &Path, outputs: &[Output]) -> Result<Vec<Written>> {
    let names =
        outputs.iter().enumerate().map(|(place, output)| name(place, outputs.len(), output));
    let names: Vec<String> = names.collect();
    let columns: Vec<_> =
        names.iter().map(String::as_str).zip(outputs.iter().map(|o| o.array.view())).collect();
    crate::parquet_writer::write(path, &columns)
        .with_context(|| format!("cannot write {}", path.display()))?;
    let written = |name| Written { path: path.to_path_buf(), column: Some(name) };
    Ok(names.into_iter().map(written).collect())
}

#[cfg(not(feature = "parquet"))]
fn write_columns(path: &Path, _: &[Output]) -> Result<Vec<Written>> {
    check(path).map(|()| Vec::new())
}

/// The place keeps the names apart, and stands before the first underscore.
fn name(index: usize, of: usize, output: &Output) -> String {
    let layer = npy::plain(&output.layer);
    // As many digits as the last one has, so that the names sort as the outputs do.
    let digits = (of - 1).to_string().len();
    format!("{index:0digits$}_{layer}_{}", output.role.to_string().replace(' ', "_"))
}

#[cfg(test)]
mod tests {
    use super::name;
    use birnn::{Direction, Output, Role};
    use ndarray::{ArrayD, IxDyn};

    #[test]
    fn files_have_short_plain_names() {
        let output = |layer: &str, role| Output {
            layer: layer.to_string(),
            role,
            array: ArrayD::zeros(IxDyn(&[])),
        };
        let of_13 = |layer: &str, role| name(12, 13, &output(layer, role));
        assert_eq!(name(2, 10, &output("a", Role::Output)), "2_a_output");
        assert_eq!(name(2, 11, &output("a", Role::Output)), "02_a_output");
        let hidden = Role::HiddenState(Direction::Backward);
        assert_eq!(of_13("lstm_1", hidden), "12_lstm_1_backward_hidden_state");
        assert_eq!(of_13("../a/b:c d\\é.v-2", Role::Output), "12_.._a_b_c_d__.v-2_output");
        let long = of_13(&"ü".repeat(1000), Role::Output);
        assert_eq!(long, format!("12_{}_output", "_".repeat(64)));
    }
}
