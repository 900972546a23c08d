//! Protobuf's wire format: a message is a row of fields, each with a number and a value.

/// A value as it stands in a message. What it means says the field's number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Wire<'a> {
    Varint(u64),
    Fixed64(u64),
    /// A text, a message, or many numbers.
    Bytes(&'a [u8]),
    Fixed32(u32),
}

/// What is wrong with a message.
pub(super) type Reason<T> = Result<T, String>;

/// The fields of a message, in order. It ends with the first that is wrong.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub fn of(message: &'a [u8]) -> Fields<'a> {
        Fields { rest: message }
    }

    fn field(&mut self) -> Reason<(u64, Wire<'a>)> {
        let tag = self.varint()?;
        let wire = match tag & 7 {
            0 => Wire::Varint(self.varint()?),
            1 => Wire::Fixed64(u64::from_le_bytes(self.array()?)),
            2 => {
                let length = usize::try_from(self.varint()?).unwrap_or(usize::MAX);
                Wire::Bytes(self.bytes(length)?)
            }
            5 => Wire::Fixed32(u32::from_le_bytes(self.array()?)),
            other => return Err(format!("a field of wire type {other}")),
        };
        match tag >> 3 {
            0 => Err("a field of number 0".into()),
            number => Ok((number, wire)),
        }
    }

    fn varint(&mut self) -> Reason<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let [byte] = self.array()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err("a number of more than ten bytes".into())
    }

    fn array<const N: usize>(&mut self) -> Reason<[u8; N]> {
        let bytes = self.bytes(N)?;
        bytes.try_into().map_err(|_| "it ends within a number".to_string())
    }

    fn bytes(&mut self, length: usize) -> Reason<&'a [u8]> {
        match self.rest.split_at_checked(length) {
            Some((bytes, rest)) => {
                self.rest = rest;
                Ok(bytes)
            }
            None => {
                let left = self.rest.len();
                self.rest = &[];
                Err(format!("a field of {length} bytes where {left} are left"))
            }
        }
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Reason<(u64, Wire<'a>)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}

impl<'a> Wire<'a> {
    pub fn bytes(self) -> Reason<&'a [u8]> {
        match self {
            Wire::Bytes(bytes) => Ok(bytes),
            _ => Err("a number in place of a text or message".into()),
        }
    }

    pub fn text(self) -> Reason<&'a str> {
        std::str::from_utf8(self.bytes()?).map_err(|_| "a text that isn't UTF-8".into())
    }

    pub fn integer(self) -> Reason<i64> {
        match self {
            Wire::Varint(value) => Ok(value as i64),
            _ => Err("no whole number in place of one".into()),
        }
    }

    pub fn float(self) -> Reason<f32> {
        match self {
            Wire::Fixed32(bits) => Ok(f32::from_bits(bits)),
            _ => Err("no number in place of one".into()),
        }
    }

    /// Adds whole numbers: one, or many that are packed.
    pub fn integers(self, to: &mut Vec<i64>) -> Reason<()> {
        match self {
            Wire::Varint(value) => to.push(value as i64),
            Wire::Bytes(bytes) => {
                let mut packed = Fields::of(bytes);
                while !packed.rest.is_empty() {
                    to.push(packed.varint()? as i64);
                }
            }
            _ => return Err("no whole numbers in place of some".into()),
        }
        Ok(())
    }

    pub fn floats(self, to: &mut Vec<f32>) -> Reason<()> {
        match self {
            Wire::Fixed32(bits) => to.push(f32::from_bits(bits)),
            Wire::Bytes(bytes) => {
                let mut packed = Fields::of(bytes);
                while !packed.rest.is_empty() {
                    to.push(f32::from_le_bytes(packed.array()?));
                }
            }
            _ => return Err("no numbers in place of some".into()),
        }
        Ok(())
    }

    pub fn doubles(self, to: &mut Vec<f64>) -> Reason<()> {
        match self {
            Wire::Fixed64(bits) => to.push(f64::from_bits(bits)),
            Wire::Bytes(bytes) => {
                let mut packed = Fields::of(bytes);
                while !packed.rest.is_empty() {
                    to.push(f64::from_le_bytes(packed.array()?));
                }
            }
            _ => return Err("no numbers in place of some".into()),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_in_order() {
        let message = [0x08, 0x96, 0x01, 0x12, 0x02, b'h', b'i', 0x1d, 0, 0, 0x80, 0x3f];
        let fields: Vec<_> = Fields::of(&message).collect::<Reason<_>>().unwrap();
        assert_eq!(
            fields,
            [(1, Wire::Varint(150)), (2, Wire::Bytes(b"hi")), (3, Wire::Fixed32(0x3f80_0000))]
        );
        assert_eq!(fields[1].1.text().unwrap(), "hi");
        assert_eq!(fields[2].1.float().unwrap(), 1.0);
    }

    #[test]
    fn what_is_damaged_ends_with_an_error() {
        for message in [
            &[0x08][..],
            &[0x08, 0x80],
            &[0x12, 0x05, 1],
            &[0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
            &[0x0b, 0x0c],
            &[0x00, 0x00],
            &[0x0d, 1, 2],
            &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        ] {
            assert!(Fields::of(message).any(|field| field.is_err()), "{message:?}");
            assert!(Fields::of(message).count() <= message.len());
        }
        let mut numbers = Vec::new();
        assert!(Wire::Bytes(&[0x80]).integers(&mut numbers).is_err());
        assert!(Wire::Bytes(&[1, 2]).floats(&mut Vec::new()).is_err());
        assert!(Wire::Bytes(&[0xff]).text().is_err());
    }
}
