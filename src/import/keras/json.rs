//! The JSON that Python writes, with a limit on how many values it holds: parsed, an empty list of
//! two bytes takes thirty-two.
//!
//! Python's `json.dumps` writes `Infinity`, `-Infinity` and `NaN`, which are no JSON: they become
//! texts, which [`number`] reads.

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::borrow::Cow;
use std::fmt;

/// Parses a text that holds at most so many values. How deep they are nested is serde_json's own
/// limit, 128.
pub(super) fn parse(json: &[u8], values: usize) -> Result<Value, serde_json::Error> {
    let mut left = values;
    let quoted = quote_numbers(json);
    let mut deserializer = serde_json::Deserializer::from_slice(&quoted);
    let value = Limited(&mut left).deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(value)
}

/// A number, infinite or NaN where Python wrote that.
pub(super) fn number(value: &Value) -> Option<f64> {
    match value.as_str() {
        None => value.as_f64(),
        Some("Infinity") => Some(f64::INFINITY),
        Some("-Infinity") => Some(f64::NEG_INFINITY),
        Some("NaN") => Some(f64::NAN),
        Some(_) => None,
    }
}

/// Puts the numbers that JSON hasn't in quotes. Outside of texts JSON has no capital letters, so
/// that what else there may be stays the error that it is.
fn quote_numbers(json: &[u8]) -> Cow<'_, [u8]> {
    let mut quoted = Vec::new();
    let (mut copied, mut at, mut in_text) = (0, 0, false);
    while at < json.len() {
        let rest = &json[at..];
        let found: Option<&[u8]> = match rest[0] {
            b'\\' if in_text => {
                at += 2;
                continue;
            }
            b'"' => {
                in_text = !in_text;
                None
            }
            b'I' | b'N' | b'-' if !in_text => {
                let numbers: [&[u8]; 3] = [b"Infinity", b"-Infinity", b"NaN"];
                numbers.into_iter().find(|number| rest.starts_with(number))
            }
            _ => None,
        };
        if let Some(number) = found {
            quoted.extend_from_slice(&json[copied..at]);
            quoted.push(b'"');
            quoted.extend_from_slice(number);
            quoted.push(b'"');
            copied = at + number.len();
        }
        at += found.map_or(1, <[u8]>::len);
    }
    if copied == 0 {
        return Cow::Borrowed(json);
    }
    quoted.extend_from_slice(&json[copied..]);
    Cow::Owned(quoted)
}

/// A value of those that are left.
struct Limited<'a>(&'a mut usize);

impl<'de> DeserializeSeed<'de> for Limited<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        match self.0.checked_sub(1) {
            Some(left) => *self.0 = left,
            None => return Err(D::Error::custom("it holds more values than are read")),
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Limited<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_string()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element_seed(Limited(self.0))? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut values = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            values.insert(key, map.next_value_seed(Limited(self.0))?);
        }
        Ok(Value::Object(values))
    }
}

#[cfg(test)]
mod tests {
    use super::{number, parse};
    use serde_json::Value;

    #[test]
    fn parses_what_serde_json_parses() {
        let text = r#"{"a": [1, -2, 2.5e3, 18446744073709551615, true, null, "ü\n"],
            "b": {"c": []}, "a2": {}}"#;
        assert_eq!(
            parse(text.as_bytes(), 100).unwrap(),
            serde_json::from_str::<Value>(text).unwrap()
        );
        assert_eq!(
            parse(text.as_bytes(), 12).unwrap(),
            serde_json::from_str::<Value>(text).unwrap()
        );
        assert!(parse(text.as_bytes(), 11).unwrap_err().to_string().contains("more values"));
        assert!(parse(b"[1, 2] 3", 100).is_err());
        assert!(parse(&[b'['; 1000], 2000).unwrap_err().to_string().contains("recursion"));
    }
    #[test]
    fn numbers_that_only_python_writes() {
        let text = r#"{"Infinity": [Infinity, -Infinity,NaN], "a": "\"NaN, Infinity\\", "b": -1}"#;
        let value = parse(text.as_bytes(), 100).unwrap();
        let numbers: Vec<_> = value["Infinity"].as_array().unwrap().iter().map(number).collect();
        assert_eq!(numbers[..2], [Some(f64::INFINITY), Some(f64::NEG_INFINITY)]);
        assert!(numbers[2].is_some_and(f64::is_nan));
        assert_eq!(value["a"], "\"NaN, Infinity\\");
        assert_eq!(number(&value["b"]), Some(-1.0));
        assert_eq!(number(&value["a"]), None);
        for wrong in ["[Inf]", "[+Infinity]", "[--Infinity]", "[NaNs]", "Infinit", "[-NaN]"] {
            assert!(parse(wrong.as_bytes(), 100).is_err(), "{wrong}");
        }
        // A text that isn't closed, with an escape as its last byte.
        assert!(parse(b"[Infinity, \"\\", 100).is_err());
    }
}
