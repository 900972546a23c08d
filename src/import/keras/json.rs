//! JSON with a limit on how many values it holds: parsed, an empty list of two bytes takes
//! thirty-two.

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::fmt;

/// Parses a text that holds at most so many values. How deep they are nested is serde_json's own
/// limit, 128.
pub(super) fn parse(json: &[u8], values: usize) -> Result<Value, serde_json::Error> {
    let mut left = values;
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let value = Limited(&mut left).deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(value)
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
    use super::parse;
    use serde_json::Value;

    #[test]
    fn parses_what_serde_json_parses() {
        let text = r#"{"a": [1, -2, 2.5e3, 18446744073709551615, true, null, "ü\n"], "b": {"c": []}, "a2": {}}"#;
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
}
