//! A node's attributes.

use super::importer::{Call, attribute};
use super::proto::{AttributeValue, Tensor};
use crate::Result;

/// Attributes that only matter to tools, or are only read where another one says so.
const WITHOUT_EFFECT: [&str; 4] = ["doc_string", "__origin__", "onnx_name", "consumed_inputs"];

impl<'a, 'n> Call<'_, 'a, 'n> {
    fn find(&mut self, name: &'static str) -> Option<&'n AttributeValue<'a>> {
        self.seen.insert(name);
        attribute(&self.node.attributes, name, self.frame)
    }

    fn wrong<T>(&self, name: &str) -> Result<T> {
        self.malformed(format!("its attribute {name:?} is of another type than it should be"))
    }

    pub fn has(&mut self, name: &'static str) -> bool {
        self.find(name).is_some()
    }

    pub fn int(&mut self, name: &'static str, default: i64) -> Result<i64> {
        match self.find(name) {
            None => Ok(default),
            Some(AttributeValue::Integer(value)) => Ok(*value),
            Some(_) => self.wrong(name),
        }
    }

    /// One that has to be there.
    pub fn required_int(&mut self, name: &'static str) -> Result<i64> {
        match self.has(name) {
            true => self.int(name, 0),
            false => self.malformed(format!("its attribute {name:?} is missing")),
        }
    }

    pub fn flag(&mut self, name: &'static str, default: bool) -> Result<bool> {
        Ok(self.int(name, default.into())? != 0)
    }

    pub fn float(&mut self, name: &'static str, default: f32) -> Result<f32> {
        Ok(self.optional_float(name)?.unwrap_or(default))
    }

    pub fn optional_float(&mut self, name: &'static str) -> Result<Option<f32>> {
        match self.find(name) {
            None => Ok(None),
            Some(AttributeValue::Float(value)) => Ok(Some(*value)),
            Some(_) => self.wrong(name),
        }
    }

    pub fn text(&mut self, name: &'static str, default: &'a str) -> Result<&'a str> {
        match self.find(name) {
            None => Ok(default),
            Some(AttributeValue::Text(bytes)) => match std::str::from_utf8(bytes) {
                Ok(text) => Ok(text),
                Err(_) => self.malformed(format!("its attribute {name:?} is no text")),
            },
            Some(_) => self.wrong(name),
        }
    }

    pub fn texts(&mut self, name: &'static str) -> Result<Option<Vec<&'a str>>> {
        match self.find(name) {
            None => Ok(None),
            Some(AttributeValue::Texts(texts)) => {
                match texts.iter().map(|bytes| std::str::from_utf8(bytes)).collect() {
                    Ok(texts) => Ok(Some(texts)),
                    Err(_) => self.malformed(format!("its attribute {name:?} has no texts")),
                }
            }
            Some(_) => self.wrong(name),
        }
    }

    pub fn ints(&mut self, name: &'static str) -> Result<Option<Vec<i64>>> {
        match self.find(name) {
            None => Ok(None),
            Some(AttributeValue::Integers(values)) => Ok(Some(values.clone())),
            Some(_) => self.wrong(name),
        }
    }

    pub fn floats(&mut self, name: &'static str) -> Result<Option<Vec<f32>>> {
        match self.find(name) {
            None => Ok(None),
            Some(AttributeValue::Floats(values)) => Ok(Some(values.clone())),
            // An empty list says no type in files of early versions.
            Some(AttributeValue::Integers(values)) if values.is_empty() => Ok(Some(Vec::new())),
            Some(_) => self.wrong(name),
        }
    }

    pub fn tensor_attribute(&mut self, name: &'static str) -> Result<Option<&'n Tensor<'a>>> {
        match self.find(name) {
            None => Ok(None),
            Some(AttributeValue::Tensor(tensor)) => Ok(Some(tensor)),
            Some(_) => self.wrong(name),
        }
    }

    pub fn graph_attribute(&mut self, name: &'static str) -> Result<Option<&'a [u8]>> {
        match self.find(name) {
            None => Ok(None),
            Some(AttributeValue::Graph(graph)) => Ok(Some(graph)),
            Some(_) => self.wrong(name),
        }
    }

    /// That no attribute was passed over that could change the result.
    pub fn check_others(&self) -> Result<()> {
        let names = self.node.attributes.iter().map(|attribute| attribute.name);
        let unknown = |name: &&str| !self.seen.contains(name) && !WITHOUT_EFFECT.contains(name);
        match names.into_iter().find(unknown) {
            Some(name) => self.unsupported(format!(
                "its attribute {name:?} isn't known; export the model with an opset from 7 to 28"
            )),
            None => Ok(()),
        }
    }
}
