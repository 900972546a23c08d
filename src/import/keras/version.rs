//! Which Keras wrote a file.

use super::messages::malformed;
use crate::Result;

/// Which Keras wrote a file: a name can mean different things in each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    Keras2,
    Keras3,
    /// The file doesn't say.
    Unknown,
}

impl Version {
    /// Of a text such as `2.15.0`; `label` stands for its place in messages.
    pub(super) fn parse(label: &str, text: Option<&str>) -> Result<Version> {
        let Some(text) = text else {
            return Ok(Version::Unknown);
        };
        match text.split('.').next().and_then(|major| major.parse::<u32>().ok()) {
            Some(2) => Ok(Version::Keras2),
            Some(3) => Ok(Version::Keras3),
            _ => malformed(
                label,
                format!(
                    "was saved by Keras {text:?}; load it in Keras 2 or 3 and save it again, or \
                     update this crate"
                ),
            ),
        }
    }
}
