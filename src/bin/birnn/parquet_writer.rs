//! Arrays to the columns of a Parquet file, as `parquet.rs` reads them.

use anyhow::{Context, Result, bail};
use ndarray::{ArrayViewD, Axis, Slice};
use parquet::basic::{Compression, LogicalType, Repetition, Type as Physical};
use parquet::data_type::FloatType;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{Type, TypePtr};
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

/// About how many values a row group has, of all columns together: 64 MiB.
const GROUP_VALUES: usize = 16 << 20;

/// A name and an array.
pub type Column<'a> = (&'a str, ArrayViewD<'a, f32>);

/// Writes a column for each array. A row of the file is one of each array's first axis: `[rows]` is
/// a column of numbers, `[rows, n]` one of lists, and each further axis nests them deeper.
pub fn write(path: &Path, columns: &[Column]) -> Result<()> {
    // Looked at before a file is made.
    rows(columns)?;
    let file = File::create(path).with_context(|| format!("cannot make {}", path.display()))?;
    write_groups(file, columns, GROUP_VALUES)
}

fn write_groups(file: impl Write + Send, columns: &[Column], group_values: usize) -> Result<()> {
    let rows = rows(columns)?;
    let fields = columns.iter().map(|(name, array)| field(name, array.ndim() - 1));
    let fields = fields.collect::<Result<Vec<TypePtr>, _>>()?;
    let schema = Type::group_type_builder("outputs").with_fields(fields).build()?;
    let properties = WriterProperties::builder()
        .set_created_by(concat!("birnn version ", env!("CARGO_PKG_VERSION")).to_string())
        .set_compression(Compression::SNAPPY)
        // Few floats are equal.
        .set_dictionary_enabled(false)
        .build();
    let mut writer = SerializedFileWriter::new(file, Arc::new(schema), Arc::new(properties))?;
    let values_of_a_row: usize =
        columns.iter().map(|(_, array)| array.shape()[1..].iter().product::<usize>()).sum();
    let group_rows = (group_values / values_of_a_row.max(1)).max(1);
    for start in (0..rows).step_by(group_rows) {
        let end = rows.min(start + group_rows);
        let mut group = writer.next_row_group()?;
        for (_, array) in columns {
            let part = array.slice_axis(Axis(0), Slice::from(start..end));
            let Levels { defined, continued } = Levels::of(part.shape());
            let values: Vec<f32> = part.iter().copied().collect();
            let mut column = group.next_column()?.context("the schema has fewer columns")?;
            column.typed::<FloatType>().write_batch(&values, Some(&defined), Some(&continued))?;
            column.close()?;
        }
        group.close()?;
    }
    writer.close()?;
    Ok(())
}

/// How many rows all arrays have.
fn rows(columns: &[Column]) -> Result<usize> {
    let Some((first, array)) = columns.first() else { bail!("the model has no outputs") };
    let length = |name: &str, array: &ArrayViewD<f32>| match array.shape().first() {
        Some(&rows) => Ok(rows),
        None => bail!("the output {name} is a single number, which has no rows: {INSTEAD}"),
    };
    let rows = length(first, array)?;
    for (name, array) in columns {
        let other = length(name, array)?;
        if other != rows {
            bail!("the output {first} has {rows} rows and {name} has {other}: {INSTEAD}");
        }
    }
    Ok(rows)
}

const INSTEAD: &str = "write arrays, by --out DIR";

/// A column of numbers, or of lists in lists in so many levels. No value and no list is missing.
fn field(name: &str, depth: usize) -> Result<TypePtr, ParquetError> {
    let field = match depth {
        0 => Type::primitive_type_builder(name, Physical::FLOAT)
            .with_repetition(Repetition::REQUIRED)
            .build()?,
        _ => {
            let items = Type::group_type_builder("list")
                .with_repetition(Repetition::REPEATED)
                .with_fields(vec![field("element", depth - 1)?])
                .build()?;
            Type::group_type_builder(name)
                .with_repetition(Repetition::REQUIRED)
                .with_logical_type(Some(LogicalType::List))
                .with_fields(vec![Arc::new(items)])
                .build()?
        }
    };
    Ok(Arc::new(field))
}

/// Parquet's levels of each value of an array: how many lists around it have it, and how many it
/// continues (0 where a row begins). An empty list stands as a value that isn't there.
struct Levels {
    defined: Vec<i16>,
    continued: Vec<i16>,
}

impl Levels {
    fn of(shape: &[usize]) -> Levels {
        // The lists down to the first that are empty.
        let full = shape.iter().skip(1).position(|&length| length == 0);
        let shape = &shape[..full.map_or(shape.len(), |full| full + 1)];
        let depth = shape.len() - 1;
        let count = shape.iter().product();
        // Of each level of lists how many values a list has, the innermost first.
        let mut lengths = Vec::new();
        for &length in shape[1..].iter().rev() {
            lengths.push(length * lengths.last().unwrap_or(&1));
        }
        let begun = |place: usize| lengths.iter().filter(|&&n| place.is_multiple_of(n)).count();
        let level = |levels: usize| i16::try_from(levels).unwrap_or(i16::MAX);
        Levels {
            defined: vec![level(depth); count],
            continued: (0..count).map(|place| level(depth - begun(place))).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Levels, write_groups};
    use crate::parquet::read;
    use ndarray::{Array3, ArrayD, Axis, IxDyn, concatenate, s};
    use ndarray_npy::read_npy;
    use proptest::prelude::*;

    /// The file of these columns.
    fn file(columns: &[(&str, &ArrayD<f32>)], group_values: usize) -> anyhow::Result<Vec<u8>> {
        let columns: Vec<_> = columns.iter().map(|(name, array)| (*name, array.view())).collect();
        let mut bytes = Vec::new();
        write_groups(&mut bytes, &columns, group_values).map(|()| bytes)
    }

    proptest! {
        /// Every column is read again as it was, whatever its lists and the row groups.
        #[test]
        fn what_is_written_is_read(
            rows in 1usize..9,
            shapes in prop::collection::vec(prop::collection::vec(1usize..5, 0..4), 1..5),
            group_values in 1usize..200,
            seed in any::<u32>(),
        ) {
            let mut state = seed;
            let mut value = || {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                // Any bits but those of NaN, which isn't equal to itself.
                let value = f32::from_bits(state);
                if value.is_nan() { f32::INFINITY } else { value }
            };
            let arrays: Vec<_> = shapes
                .iter()
                .map(|shape| {
                    let shape = [&[rows], &shape[..]].concat();
                    ArrayD::from_shape_simple_fn(IxDyn(&shape), &mut value)
                })
                .collect();
            let names: Vec<_> = (0..arrays.len()).map(|place| format!("{place}_y")).collect();
            let columns: Vec<_> = names.iter().map(String::as_str).zip(&arrays).collect();
            let bytes = file(&columns, group_values).unwrap();
            for (name, array) in columns {
                let columns = read(bytes.clone(), Some(name)).unwrap();
                prop_assert_eq!(&columns.column(name, array.ndim()).unwrap(), array);
            }
        }
    }

    /// `written.parquet`, which tests/fixtures/generate_parquet.py compares with what PyArrow,
    /// pandas and Polars read. BIRNN_WRITE_DOCS=1 writes it instead.
    #[test]
    fn the_fixture_is_what_is_written() {
        let path = "tests/fixtures/parquet/written.parquet";
        let x: Array3<f32> = read_npy("tests/fixtures/keras/notebook_x.npy").expect("the fixture");
        let two = concatenate(Axis(0), &[x.view(), x.mapv(|value| value * -0.5).view()]);
        let nested = two.expect("rows").into_dyn();
        let shaped =
            |shape: &[usize]| nested.clone().into_shape_with_order(shape).expect("a shape");
        let numbers = nested.slice(s![.., 0, 0]).to_owned().into_dyn();
        let columns = [
            ("0_numbers", &numbers),
            ("1_lists", &shaped(&[2, 16])),
            ("2_nested", &nested),
            ("3_deeper", &shaped(&[2, 2, 4, 2])),
            ("4_empty", &ArrayD::zeros(IxDyn(&[2, 3, 0]))),
        ];
        // A row group for each row.
        let bytes = file(&columns, 1).expect("written");
        if std::env::var("BIRNN_WRITE_DOCS").as_deref() == Ok("1") {
            std::fs::write(path, &bytes).expect("the fixture is written");
        }
        assert!(
            std::fs::read(path).expect("the fixture") == bytes,
            "{path} isn't what is written: write it with BIRNN_WRITE_DOCS=1, and run \
             tests/fixtures/generate_parquet.py"
        );
    }

    #[test]
    fn outputs_without_the_same_rows_are_errors() {
        let zeros = |shape: &[usize]| ArrayD::zeros(IxDyn(shape));
        let error = |columns: &[(&str, &ArrayD<f32>)]| file(columns, 9).unwrap_err().to_string();
        let text = error(&[("0_y", &zeros(&[3, 2])), ("1_h", &zeros(&[2, 2]))]);
        assert_eq!(text, "the output 0_y has 3 rows and 1_h has 2: write arrays, by --out DIR");
        assert!(error(&[("0_y", &zeros(&[]))]).contains("0_y is a single number"));
        assert!(error(&[]).contains("no outputs"));
    }

    /// Lists that are empty are written, and refused as an input as any other is.
    #[test]
    fn empty_lists_are_written() {
        let empty = ArrayD::zeros(IxDyn(&[2, 3, 0]));
        let bytes = file(&[("0_y", &empty)], 9).unwrap();
        let error = read(bytes, None).unwrap().array(3).unwrap_err();
        assert!(format!("{error:#}").contains("row 0 has no value, or an empty list"), "{error:#}");
    }

    #[test]
    fn levels_are_those_of_nested_lists() {
        let Levels { defined, continued } = Levels::of(&[2, 2, 3]);
        assert_eq!(continued, [0, 2, 2, 1, 2, 2, 0, 2, 2, 1, 2, 2]);
        assert_eq!(defined, [2; 12]);
        let Levels { defined, continued } = Levels::of(&[3]);
        assert_eq!((defined, continued), (vec![0; 3], vec![0; 3]));
        // Two lists in each of two rows, all of them empty.
        let Levels { defined, continued } = Levels::of(&[2, 2, 0, 5]);
        assert_eq!((defined, continued), (vec![1; 4], vec![0, 1, 0, 1]));
    }
}
