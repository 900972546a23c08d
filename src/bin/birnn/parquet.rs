//! Parquet files to columns. The crate `parquet` reads the pages; what it would follow blindly, a
//! schema without end, is looked at first.

use crate::columns::Columns;
use crate::npy::{MOST_BYTES, NOT_WHOLE, TOO_LARGE, rounded, whole};
use crate::parquet_footer;
use anyhow::{Context, Result, anyhow, bail};
use bytes::Bytes;
use half::f16;
use ndarray::{ArrayD, IxDyn};
use parquet::basic::{ConvertedType, LogicalType, Type as Physical};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::DataType;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::schema::types::ColumnDescriptor;

/// How many rows are decoded at a time.
const CHUNK: usize = 8192;
/// What pandas calls the columns of an index; they are no input.
const INDEX: &str = "__index_level_";

/// Reads the columns of a file, or one of them by its name. The crate panics on some damaged files,
/// as on those in which a column has a negative length.
pub fn read(bytes: Vec<u8>, wanted: Option<&str>) -> Result<Columns> {
    quiet_panics::caught(|| columns(bytes, wanted)).unwrap_or_else(|| bail!("it is damaged"))
}

fn columns(bytes: Vec<u8>, wanted: Option<&str>) -> Result<Columns> {
    parquet_footer::check(&bytes)?;
    let reader = SerializedFileReader::new(Bytes::from(bytes)).map_err(told)?;
    let schema = reader.metadata().file_metadata().schema_descr();
    let name = |leaf: usize| schema.get_column_root(leaf).name();
    let mut columns: Vec<(String, Result<ArrayD<f32>>)> = Vec::new();
    for leaf in 0..schema.num_columns() {
        let name = name(leaf);
        let is_read = wanted.map_or(!name.starts_with(INDEX), |wanted| wanted == name);
        if !is_read {
            continue;
        }
        let read = match columns.last() {
            // Another part of the same column.
            Some((last, _)) if last == name => {
                columns.pop();
                Err(anyhow!(
                    "it is of records or a map, or another column has its name, too; columns of \
                     numbers or lists are read"
                ))
            }
            _ => column(&reader, leaf),
        };
        let read = read.with_context(|| format!("column {name:?}"));
        columns.push((name.to_string(), read));
    }
    if let (Some(wanted), true) = (wanted, columns.is_empty()) {
        let mut names: Vec<_> = (0..schema.num_columns()).map(name).collect();
        names.dedup();
        bail!("it holds no column {wanted:?}, but {}", names.join(", "));
    }
    Ok(Columns::new(columns))
}

/// Panics that are caught, without their messages on standard error.
mod quiet_panics {
    use std::cell::Cell;
    use std::panic::{self, AssertUnwindSafe};
    use std::sync::Once;

    thread_local! {
        static QUIET: Cell<bool> = const { Cell::new(false) };
    }

    /// What the work returns; `None` where it panics.
    pub fn caught<T>(work: impl FnOnce() -> T) -> Option<T> {
        static INSTALLED: Once = Once::new();
        INSTALLED.call_once(|| {
            let before = panic::take_hook();
            panic::set_hook(Box::new(move |info| {
                if !QUIET.get() {
                    before(info);
                }
            }));
        });
        QUIET.set(true);
        // All that the work changes is gone with it.
        let result = panic::catch_unwind(AssertUnwindSafe(work));
        QUIET.set(false);
        result.ok()
    }
}

/// An error of the crate's, without what a compression needs that is not built in.
fn told(error: parquet::errors::ParquetError) -> anyhow::Error {
    let text = error.to_string();
    match text.contains("Disabled feature") || text.contains("not supported") {
        true => anyhow!(
            "its pages are compressed in a way that isn't read: write it with compression snappy, \
             gzip or none ({text})"
        ),
        false => anyhow!("it is damaged, or not Parquet as birnn reads it: {text}"),
    }
}

/// A column of all row groups.
fn column(reader: &SerializedFileReader<Bytes>, leaf: usize) -> Result<ArrayD<f32>> {
    let descriptor = reader.metadata().file_metadata().schema_descr().column(leaf);
    let kind = kind(&descriptor)?;
    let mut found = Found { depth: descriptor.max_rep_level(), ..Found::default() };
    let full = descriptor.max_def_level();
    for group in 0..reader.num_row_groups() {
        let pages = reader.get_row_group(group).and_then(|group| group.get_column_reader(leaf));
        match pages.map_err(told)? {
            ColumnReader::BoolColumnReader(pages) => {
                found.read(pages, full, |&value| Ok(value.into()))?;
            }
            ColumnReader::Int32ColumnReader(pages) => found.read(pages, full, |&value| {
                // Parquet keeps unsigned numbers as the signed ones of the same bits.
                let value =
                    if kind == Kind::Unsigned { i64::from(value as u32) } else { value.into() };
                whole(value).ok_or_else(|| format!("{value} {NOT_WHOLE}"))
            })?,
            ColumnReader::Int64ColumnReader(pages) => found.read(pages, full, |&value| {
                let value =
                    if kind == Kind::Unsigned { i128::from(value as u64) } else { value.into() };
                whole(value).ok_or_else(|| format!("{value} {NOT_WHOLE}"))
            })?,
            ColumnReader::FloatColumnReader(pages) => {
                found.read(pages, full, |&value| Ok(value))?
            }
            ColumnReader::DoubleColumnReader(pages) => found.read(pages, full, |&value| {
                rounded(value).ok_or_else(|| format!("{value:?} {TOO_LARGE}"))
            })?,
            ColumnReader::FixedLenByteArrayColumnReader(pages) => {
                found.read(pages, full, |value| match value.data() {
                    [low, high] => Ok(f16::from_le_bytes([*low, *high]).into()),
                    _ => Err("it isn't of two bytes, as float16 is".to_string()),
                })?;
            }
            _ => bail!("it isn't of numbers"), // `kind` has refused it
        }
    }
    found.array()
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Plain,
    Unsigned,
}

/// What the numbers of a column are, or why they aren't read.
fn kind(column: &ColumnDescriptor) -> Result<Kind> {
    use ConvertedType as C;
    let refused =
        |what: &str, instead: &str| -> Result<Kind> { bail!("its values are {what}; {instead}") };
    let logical = column.logical_type_ref();
    match (column.physical_type(), column.converted_type()) {
        (Physical::FIXED_LEN_BYTE_ARRAY, _) if logical == Some(&LogicalType::Float16) => {
            Ok(Kind::Plain)
        }
        (Physical::BOOLEAN | Physical::FLOAT | Physical::DOUBLE, _) => Ok(Kind::Plain),
        (_, C::DECIMAL) => refused("decimals", "cast them to float32"),
        (Physical::INT32 | Physical::INT64, C::UINT_8 | C::UINT_16 | C::UINT_32 | C::UINT_64) => {
            Ok(Kind::Unsigned)
        }
        (
            Physical::INT32 | Physical::INT64,
            C::NONE | C::INT_8 | C::INT_16 | C::INT_32 | C::INT_64,
        ) if logical.is_none_or(|logical| matches!(logical, LogicalType::Integer(_))) => {
            Ok(Kind::Plain)
        }
        (Physical::INT32 | Physical::INT64 | Physical::INT96, _) => {
            refused("dates or times", "turn them into floats first, such as days since the first")
        }
        _ => refused(
            "text or bytes",
            "turn them into numbers first, or read other columns, as in x.parquet:NAME",
        ),
    }
}

/// What is found of a column.
#[derive(Default)]
struct Found {
    /// How deep its lists are nested; 0: it is of numbers.
    depth: i16,
    values: Vec<f32>,
    /// Of each value of lists how many lists it continues: 0 where a row begins.
    continued: Vec<i16>,
    rows: usize,
}

impl Found {
    /// Reads the pages of a row group. `full` is the level of values that are there.
    fn read<T: DataType>(
        &mut self,
        mut pages: ColumnReaderImpl<T>,
        full: i16,
        to_f32: impl Fn(&T::T) -> Result<f32, String>,
    ) -> Result<()> {
        let (mut defined, mut continued, mut values) = (Vec::new(), Vec::new(), Vec::new());
        loop {
            defined.clear();
            continued.clear();
            values.clear();
            let read =
                pages.read_records(CHUNK, Some(&mut defined), Some(&mut continued), &mut values);
            let (records, _, levels) = read.map_err(told)?;
            if levels == 0 {
                return Ok(());
            }
            let row_of = |place: usize| match self.depth {
                0 => self.rows + place,
                // The row that is at work.
                _ => {
                    self.rows + continued[..=place].iter().filter(|&&level| level == 0).count() - 1
                }
            };
            if let Some(missing) = defined.iter().position(|&level| level < full) {
                bail!("row {} has no value, or an empty list, there: fill it", row_of(missing));
            }
            let bytes = (self.values.len() + values.len()) as u64 * size_of::<f32>() as u64;
            if bytes > MOST_BYTES || self.values.try_reserve(values.len()).is_err() {
                bail!("it has more values than fit the memory, or {MOST_BYTES} bytes");
            }
            for (place, value) in values.iter().enumerate() {
                let value = to_f32(value).map_err(|why| anyhow!("row {}: {why}", row_of(place)))?;
                self.values.push(value);
            }
            if self.depth > 0 {
                if self.continued.try_reserve(continued.len()).is_err() {
                    bail!("it has more values than fit the memory");
                }
                self.continued.extend(&continued);
            }
            self.rows += records;
        }
    }

    /// The array; its lists have to be equally long.
    fn array(self) -> Result<ArrayD<f32>> {
        let Found { depth, values, continued, rows } = self;
        if depth == 0 {
            return Ok(ArrayD::from_shape_vec(IxDyn(&[rows]), values)?);
        }
        if values.is_empty() {
            bail!("it has no rows");
        }
        // The lengths of the lists of the first row, the innermost first, in values.
        let mut periods = vec![1];
        for level in (0..depth).rev() {
            let end = continued.iter().skip(1).position(|&next| next <= level);
            periods.push(end.map_or(values.len(), |end| end + 1));
        }
        let mut shape = vec![rows];
        for pair in periods.windows(2).rev() {
            shape.push(pair[1] / pair[0]);
        }
        // Where a value continues fewer lists, one ends: in each row at the same places.
        let expected = |place: usize| {
            let starts = periods.iter().filter(|&&period| place.is_multiple_of(period)).count();
            depth - (starts as i16 - 1)
        };
        let differs = |(place, &level): (usize, &i16)| level != expected(place);
        let odd = continued.iter().enumerate().position(differs);
        let whole = shape.iter().try_fold(1usize, |product, &n| product.checked_mul(n));
        if odd.is_some() || whole != Some(values.len()) {
            let place = odd.unwrap_or(values.len() - 1);
            let row = continued[..=place].iter().filter(|&&level| level == 0).count() - 1;
            bail!(
                "the lists of row {row} or the row before are not as long as those of row 0, {:?}: \
                 pad them",
                &shape[1..]
            );
        }
        Ok(ArrayD::from_shape_vec(IxDyn(&shape), values)?)
    }
}

#[cfg(test)]
mod tests {
    use super::read;
    use ndarray::{Array3, ArrayD, Axis, concatenate};
    use ndarray_npy::read_npy;
    use rand_chacha::ChaCha12Rng;
    use rand_chacha::rand_core::{Rng, SeedableRng};

    const FILES: [&str; 6] = ["timesteps", "features", "nested", "split", "polars", "types"];

    fn bytes(name: &str) -> Vec<u8> {
        std::fs::read(format!("tests/fixtures/parquet/{name}.parquet")).expect("the fixture")
    }

    fn array(name: &str) -> ArrayD<f32> {
        read(bytes(name), None).and_then(|columns| columns.array(3)).expect(name)
    }

    /// What pandas, PyArrow and Polars wrote, in several encodings.
    #[test]
    fn sequences_are_read_as_they_were_written() {
        let x: Array3<f32> = read_npy("tests/fixtures/keras/notebook_x.npy").expect("the fixture");
        for one in ["timesteps", "polars"] {
            assert_eq!(array(one), x.clone().into_dyn(), "{one}");
        }
        let two = concatenate(Axis(0), &[x.view(), x.mapv(|value| value * -0.5).view()]);
        let two = two.expect("rows").into_dyn();
        for both in ["features", "nested", "split"] {
            assert_eq!(array(both), two, "{both}");
        }
        let b = read(bytes("timesteps"), Some("b")).and_then(|columns| columns.array(3));
        assert_eq!(b.expect("a column"), x.slice(ndarray::s![.., .., 1..]).into_dyn());
    }

    #[test]
    fn every_type_of_numbers_is_read() {
        for name in ["bool", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"] {
            let column = read(bytes("types"), Some(name)).and_then(|columns| columns.array(1));
            let expected = ndarray::arr1(&[0.0, 1.0, 1.0, 0.0]).into_dyn();
            assert_eq!(column.expect(name), expected, "{name}");
        }
    }

    #[test]
    fn what_is_not_read_is_named() {
        let refused = [
            ("text", "are text or bytes; turn"),
            ("date", "are dates or times; turn"),
            ("time", "are dates or times; turn"),
            ("decimal", "are decimals; cast"),
            ("record", "it is of records or a map"),
            ("missing", "row 1 has no value"),
            ("empty", "row 1 has no value, or an empty list"),
            ("ragged", "not as long as those of row 0, [1]: pad them"),
            ("large", "row 1: 16777217 is a whole number that float32 cannot hold"),
            ("unsigned", "row 1: 9223372036854775809 is a whole number"),
            ("infinite", "row 1: 1e39 is too large for float32"),
            ("gone", "it holds no column \"gone\", but text, date,"),
        ];
        for (name, why) in refused {
            let column = read(bytes("refused"), Some(name)).and_then(|columns| columns.array(2));
            let error = column.expect_err(name);
            let text = format!("{error:#}");
            assert!(text.contains(why) && text.contains(name), "{text}");
        }
        let error = read(bytes("zstd"), None).and_then(|columns| columns.array(2));
        let error = error.expect_err("zstd");
        assert!(format!("{error:#}").contains("compression snappy"), "{error:#}");
    }

    /// Files that are cut off or damaged are refused or read as something else; none brings the
    /// program down.
    #[test]
    fn damaged_files_are_errors() {
        for name in FILES {
            let sound = bytes(name);
            for end in (0..sound.len()).step_by(7) {
                assert!(read(sound[..end].to_vec(), None).is_err(), "{name}, cut at {end}");
            }
            let mut rng = ChaCha12Rng::seed_from_u64(1);
            for _ in 0..300 {
                let mut damaged = sound.clone();
                for _ in 0..1 + rng.next_u32() % 4 {
                    let place = rng.next_u32() as usize % damaged.len();
                    damaged[place] = rng.next_u32() as u8;
                }
                let _ = read(damaged, None).and_then(|columns| columns.array(3));
            }
        }
    }
}
