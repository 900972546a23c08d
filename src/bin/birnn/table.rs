//! Tables of numbers as text: `.csv`.

use crate::npy::{NOT_WHOLE, TOO_LARGE, rounded};
use anyhow::{Result, anyhow, bail};
use ndarray::{ArrayD, IxDyn};

/// Lines of equally many numbers, in blocks of equally many lines with empty lines between them.
pub struct Table {
    values: Vec<f32>,
    blocks: usize,
    lines: usize,
    columns: usize,
}

impl Table {
    /// Reads text with commas (or tabs, or semicolons) between the numbers. A first line
    /// without a number is a header; what follows `#` at the start of a line is passed over.
    pub fn parse(bytes: &[u8]) -> Result<Table> {
        let text = std::str::from_utf8(bytes).map_err(|error| {
            anyhow!("it is neither NumPy's nor text: byte {} is not UTF-8", error.valid_up_to())
        })?;
        let text = text.trim_start_matches('\u{feff}');
        let separator = separator(text);
        let mut table = Table { values: Vec::new(), blocks: 0, lines: 0, columns: 0 };
        let mut block = 0; // lines of the block so far
        let mut header = None;
        for (number, line) in text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()))
        {
            if line.starts_with('#') {
                continue;
            }
            if line.is_empty() {
                table.close_block(&mut block, number)?;
                continue;
            }
            let fields: Vec<&str> = line.split(separator).map(plain).collect();
            let is_first = table.values.is_empty() && header.is_none();
            let is_name = |field: &&str| !field.is_empty() && value(field).is_none();
            if is_first && fields.iter().any(is_name) {
                if let Some(found) = fields.iter().find(|field| value(field).is_some()) {
                    bail!(
                        "line {number} holds {found}, a number, and {:?}, which is none: \
                         a first line is of names, or of numbers",
                        fields.iter().find(|field| is_name(field)).unwrap_or(&"")
                    );
                }
                header = Some(line);
                table.columns = fields.len();
                continue;
            }
            if table.columns != 0 && table.columns != fields.len() {
                bail!(
                    "line {number} has {} values, and those before it {}",
                    fields.len(),
                    table.columns
                );
            }
            table.columns = fields.len();
            for (column, field) in fields.into_iter().enumerate() {
                let value = parsed(field)
                    .map_err(|reason| anyhow!("line {number}, value {}: {reason}", column + 1))?;
                table.values.push(value);
            }
            block += 1;
        }
        table.close_block(&mut block, text.lines().count())?;
        match table.values.is_empty() {
            true => match header {
                Some(names) => bail!(
                    "its only line {:?} is taken for the names of columns, and no line of numbers \
                     follows",
                    shortened(names)
                ),
                None => bail!("it holds no numbers"),
            },
            false => Ok(table),
        }
    }

    fn close_block(&mut self, block: &mut usize, line: usize) -> Result<()> {
        match std::mem::take(block) {
            0 => return Ok(()), // several empty lines
            lines if self.blocks > 0 && lines != self.lines => bail!(
                "the {lines} lines before line {line} are a sequence, and the one before has {}: \
                 sequences of a batch are equally long",
                self.lines
            ),
            lines => self.lines = lines,
        }
        self.blocks += 1;
        Ok(())
    }

    /// The array of so many axes: `[blocks, lines, columns]`, `[lines, columns]` of one block, or
    /// one line or column.
    pub fn array(self, axes: usize) -> Result<ArrayD<f32>> {
        let Table { values, blocks, lines, columns } = self;
        let shape = match axes {
            3 => vec![blocks, lines, columns],
            2 if blocks == 1 => vec![lines, columns],
            1 if blocks == 1 && (lines == 1 || columns == 1) => vec![lines * columns],
            0..3 => bail!(
                "it holds {blocks} times {lines} lines of {columns} numbers, and the input has \
                 {axes} axes"
            ),
            _ => bail!("the input has {axes} axes, and a table has three at most: save it as .npy"),
        };
        Ok(ArrayD::from_shape_vec(IxDyn(&shape), values)?)
    }
}

/// What stands between the numbers of the first line.
fn separator(text: &str) -> char {
    let first = text.lines().find(|line| !line.trim().is_empty() && !line.starts_with('#'));
    let first = first.unwrap_or_default();
    [',', '\t', ';'].into_iter().find(|&separator| first.contains(separator)).unwrap_or(',')
}

/// The beginning of a line that may be long.
fn shortened(line: &str) -> String {
    const MOST: usize = 60;
    match line.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_string(),
    }
}

fn plain(field: &str) -> &str {
    let field = field.trim();
    let quoted = field.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    quoted.map_or(field, str::trim)
}

fn value(field: &str) -> Option<f64> {
    match field.to_ascii_lowercase().as_str() {
        "true" => Some(1.0),
        "false" => Some(0.0),
        number => number.parse().ok(),
    }
}

fn parsed(field: &str) -> Result<f32, String> {
    if field.is_empty() {
        return Err("it is empty; write nan where that is meant".to_string());
    }
    let exact = value(field).ok_or_else(|| {
        // As numpy.savetxt writes them.
        let blanks = field.split_whitespace().count() > 1;
        let instead =
            if blanks { "; values have commas, semicolons or tabs between them" } else { "" };
        format!("{field:?} is no number{instead}")
    })?;
    let near = rounded(exact).ok_or_else(|| format!("{field} {TOO_LARGE}"))?;
    let is_whole = field.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    match is_whole && f64::from(near) != exact {
        true => Err(format!("{field} {NOT_WHOLE}")),
        false => Ok(near),
    }
}

#[cfg(test)]
mod tests {
    use super::Table;
    use ndarray::{arr2, arr3};

    fn error(text: &str, axes: usize) -> String {
        let table = Table::parse(text.as_bytes()).and_then(|table| table.array(axes));
        table.expect_err(text).to_string()
    }

    #[test]
    fn lines_are_timesteps_and_empty_lines_end_sequences() {
        let text =
            "\u{feff}# of a sensor\na,b\n1, 2.5\n\"-3\",nan\r\n\n\n5;6,1\n".replace("5;6", "5e0");
        let array = Table::parse(text.as_bytes()).map(|table| (table.blocks, table.lines));
        assert_eq!(
            array.map_err(|e| e.to_string()),
            Err("the 1 lines before line 7 are a sequence, \
            and the one before has 2: sequences of a batch are equally long"
                .to_string())
        );
        let text = "a,b\n1,2\n3,4\n\n5,6\n7,8\n";
        let array = Table::parse(text.as_bytes()).unwrap().array(3).unwrap();
        assert_eq!(array, arr3(&[[[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0], [7.0, 8.0]]]).into_dyn());
        assert!(error(text, 2).contains("2 times 2 lines of 2 numbers"));
        let array = Table::parse(b"true\tFalse\n1\t-2e-1\n").unwrap().array(2).unwrap();
        assert_eq!(array, arr2(&[[1.0, 0.0], [1.0, -0.2]]).into_dyn());
        assert_eq!(Table::parse(b"1\n2\n").unwrap().array(1).unwrap().shape(), [2]);
    }

    #[test]
    fn what_is_no_number_is_named() {
        assert!(error("1,2\n3\n", 3).contains("line 2 has 1 values, and those before it 2"));
        assert!(error("1,2\n3,x\n", 3).ends_with("line 2, value 2: \"x\" is no number"));
        assert!(error("1 2\n3 4\n", 2).contains("is no number; values have commas"));
        assert!(error("1,2\n3,\n", 3).contains("it is empty"));
        assert!(error("16777217\n", 2).contains("float32 cannot hold"));
        assert!(error("1e39\n", 2).contains("too large"));
        assert!(error("a,b\n", 2).contains("\"a,b\" is taken for the names of columns"));
        assert!(error("\n", 2).contains("no numbers"));
        // A broken row of numbers is no header.
        assert!(error("1,x\n2,3\n", 2).contains("line 1 holds 1, a number, and \"x\""));
        assert!(error("1\n", 4).contains(".npy"));
        assert!(Table::parse(b"\xff\xfe").is_err());
    }
}
