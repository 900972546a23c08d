//! The end of a Parquet file, as far as it has to be known before the crate `parquet` follows it:
//! that crate builds the tree of the schema by recursion, and reserves memory for as many children
//! as a node says to have.

use anyhow::{Result, anyhow, bail};

const MOST_FOOTER: usize = 64 << 20;
const MOST_DEPTH: usize = 32;
const MOST_NODES: usize = 1 << 16;

// Types of Thrift's compact protocol.
const I32: u8 = 5;
const LIST: u8 = 9;
const STRUCT: u8 = 12;

pub fn check(bytes: &[u8]) -> Result<()> {
    let cut = || anyhow!("it is cut off: it doesn't end as Parquet files do");
    let Some((rest, [a, b, c, d, magic @ ..])) = bytes.split_last_chunk::<8>() else {
        return Err(cut());
    };
    match magic {
        b"PAR1" => {}
        b"PARE" => bail!("it is encrypted"),
        _ => return Err(cut()),
    }
    let length = u32::from_le_bytes([*a, *b, *c, *d]) as usize;
    if length > MOST_FOOTER {
        bail!("its metadata has {length} bytes; at most {MOST_FOOTER} are read");
    }
    let start = rest.len().checked_sub(length).ok_or_else(cut)?;
    let mut metadata = Thrift { rest: &rest[start..] };
    schema(&mut metadata).ok_or_else(|| {
        anyhow!(
            "its schema is damaged, or has more than {MOST_NODES} columns or {MOST_DEPTH} levels"
        )
    })
}

/// `None` where the schema isn't sound.
fn schema(metadata: &mut Thrift) -> Option<()> {
    let mut field = 0;
    loop {
        match metadata.field(&mut field)? {
            None => return None, // there is no schema
            Some(LIST) if field == 2 => break,
            Some(kind) => metadata.skip(kind, 0)?,
        }
    }
    let (nodes, kind) = metadata.list()?;
    if kind != STRUCT || nodes > MOST_NODES {
        return None;
    }
    // Of each node on the way down how many children are still to come.
    let mut open: Vec<usize> = Vec::new();
    for _ in 0..nodes {
        let children = children(metadata)?;
        if let Some(parent) = open.last_mut() {
            *parent = parent.checked_sub(1)?;
        }
        if children > nodes {
            return None;
        }
        open.push(children);
        while open.last() == Some(&0) {
            open.pop();
        }
        if open.len() > MOST_DEPTH {
            return None;
        }
    }
    Some(())
}

/// How many children a node of the schema says to have.
fn children(metadata: &mut Thrift) -> Option<usize> {
    let (mut field, mut children) = (0, 0);
    while let Some(kind) = metadata.field(&mut field)? {
        match (field, kind) {
            (5, I32) => children = usize::try_from(metadata.integer()?).ok()?,
            _ => metadata.skip(kind, 0)?,
        }
    }
    Some(children)
}

/// Bytes in Thrift's compact protocol; each function is `None` where they end too early.
struct Thrift<'a> {
    rest: &'a [u8],
}

impl Thrift<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (&first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(first)
    }

    fn bytes(&mut self, count: usize) -> Option<()> {
        self.rest = self.rest.get(count..)?;
        Some(())
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    fn integer(&mut self) -> Option<i64> {
        let zigzag = self.varint()?;
        Some((zigzag >> 1) as i64 ^ -((zigzag & 1) as i64))
    }

    /// The type of the next field of a struct, whose number is put in `field`; `Some(None)` at
    /// its end.
    fn field(&mut self, field: &mut i64) -> Option<Option<u8>> {
        let byte = self.byte()?;
        if byte == 0 {
            return Some(None);
        }
        match byte >> 4 {
            0 => *field = self.integer()?,
            more => *field = field.checked_add(more.into())?,
        }
        Some(Some(byte & 15))
    }

    /// How many elements a list has, and their type.
    fn list(&mut self) -> Option<(usize, u8)> {
        let byte = self.byte()?;
        let count = match byte >> 4 {
            15 => usize::try_from(self.varint()?).ok()?,
            few => few.into(),
        };
        Some((count, byte & 15))
    }

    fn skip(&mut self, kind: u8, depth: usize) -> Option<()> {
        if depth > MOST_DEPTH {
            return None;
        }
        match kind {
            1 | 2 => Some(()), // a truth value, which is the type itself
            3 => self.bytes(1),
            4..=6 => self.varint().map(|_| ()),
            7 => self.bytes(8),
            8 => {
                let count = usize::try_from(self.varint()?).ok()?;
                self.bytes(count)
            }
            LIST | 10 => {
                let (count, kind) = self.list()?;
                for _ in 0..count {
                    // In a list a truth value is a byte.
                    if kind <= 2 { self.bytes(1)? } else { self.skip(kind, depth + 1)? }
                }
                Some(())
            }
            11 => {
                let count = self.varint()?;
                if count == 0 {
                    return Some(());
                }
                let kinds = self.byte()?;
                for _ in 0..count {
                    for kind in [kinds >> 4, kinds & 15] {
                        if kind <= 2 { self.bytes(1)? } else { self.skip(kind, depth + 1)? }
                    }
                }
                Some(())
            }
            STRUCT => {
                let mut field = 0;
                while let Some(kind) = self.field(&mut field)? {
                    self.skip(kind, depth + 1)?;
                }
                Some(())
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::check;

    /// A file with this metadata.
    fn file(metadata: &[u8]) -> Vec<u8> {
        let length = u32::try_from(metadata.len()).expect("short").to_le_bytes();
        [b"PAR1", metadata, &length[..], b"PAR1"].concat()
    }

    fn error(bytes: &[u8]) -> String {
        check(bytes).expect_err("refused").to_string()
    }

    /// Metadata whose schema has these nodes, each with so many children.
    fn schema(children: &[i32]) -> Vec<u8> {
        let varint = |mut value: u64| {
            let mut bytes = Vec::new();
            while value >= 0x80 {
                bytes.push(value as u8 | 0x80);
                value >>= 7;
            }
            bytes.push(value as u8);
            bytes
        };
        // Field 2, a list of structs whose number follows as a varint.
        let mut bytes = vec![0x29, 0xfc];
        bytes.extend(varint(children.len() as u64));
        for &children in children {
            bytes.push(0x55); // field 5 of type i32
            bytes.extend(varint(((children << 1) ^ (children >> 31)) as u32 as u64));
            bytes.push(0);
        }
        bytes.push(0);
        bytes
    }

    #[test]
    fn a_schema_is_a_tree_of_few_levels() {
        assert!(check(&file(&schema(&[2, 0, 1, 0]))).is_ok());
        let deep: Vec<i32> = std::iter::repeat_n(1, 100_000).chain([0]).collect();
        for wrong in [schema(&deep), schema(&[1 << 30, 0]), schema(&[-1])] {
            assert!(error(&file(&wrong)).contains("schema is damaged"));
        }
        let deep: Vec<i32> = std::iter::repeat_n(1, 40).chain([0]).collect();
        assert!(error(&file(&schema(&deep))).contains("32 levels"));
        assert!(error(&file(&[])).contains("schema is damaged"));
        assert!(error(&file(&[0x29, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x7f])).contains("schema"));
    }

    #[test]
    fn a_file_ends_with_the_length_of_its_metadata() {
        assert!(error(b"PAR1").contains("cut off"));
        assert!(error(b"PAR1\xff\0\0\0PAR1").contains("cut off"));
        assert!(error(b"PAR1\xff\xff\xff\xffPAR1").contains("at most"));
        assert!(error(b"PAR1\0\0\0\0PARE").contains("encrypted"));
        assert!(error(b"PAR1\0\0\0\0PAR2").contains("cut off"));
    }
}
