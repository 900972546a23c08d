//! Which modules the tensors of a file belong to, as far as their names and shapes tell.

use super::reader::Reader;
use super::recurrent::Sizes;
use crate::Result;
use std::collections::BTreeSet;

/// A part of a state dict that was recognized; see [`StateDict::parts`](super::StateDict::parts).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PartInfo {
    /// What the names of its tensors begin with, without the last dot.
    pub prefix: String,
    /// Its class in PyTorch, such as `LSTM` or `Linear`.
    pub class: String,
    /// Its sizes in words, such as `3 features, 4 units, 2 layers, bidirectional`.
    pub sizes: String,
}

/// The parts in the order of their first tensors.
pub(super) fn parts(reader: &Reader) -> Result<Vec<PartInfo>> {
    let mut seen = BTreeSet::new();
    let prefixes = reader.names().map(prefix).filter(|prefix| seen.insert(prefix.to_string()));
    let parts = prefixes.map(|prefix| part(reader, prefix)).collect::<Result<Vec<_>>>()?;
    Ok(parts.into_iter().flatten().collect())
}

/// What a name has up to its last dot.
pub(super) fn prefix(name: &str) -> &str {
    &name[..name.rfind('.').map_or(0, |dot| dot + 1)]
}

/// What the names of the tensors of recurrent modules begin with.
pub(super) fn recurrent_prefixes(reader: &Reader) -> BTreeSet<String> {
    let is_recurrent = |name: &&str| {
        let own = &name[prefix(name).len()..];
        own == "weight_hh_l0" || own == "weight_hh"
    };
    reader.names().filter(is_recurrent).map(|name| prefix(name).to_string()).collect()
}

fn part(reader: &Reader, prefix: &str) -> Result<Option<PartInfo>> {
    let of_class = |class: &str, sizes: String| {
        let prefix = prefix.trim_end_matches('.').to_string();
        Some(PartInfo { prefix, class: class.to_string(), sizes })
    };
    if let Some(sizes) = Sizes::of(reader, prefix)? {
        return Ok(of_class(sizes.class(), recurrent(&sizes)));
    }
    let has = |tensor: &str| reader.has(&format!("{prefix}{tensor}"));
    let Some(weight) = reader.get(&format!("{prefix}weight")) else { return Ok(None) };
    Ok(match weight.shape[..] {
        [features] if has("running_mean") => {
            of_class("BatchNorm1d", format!("{features} features"))
        }
        [features] => of_class("LayerNorm", format!("{features} features")),
        [units, features] if has("bias") => {
            of_class("Linear", format!("{features} features, {units} units"))
        }
        [rows, columns] => of_class("Embedding or Linear", format!("{rows} rows of {columns}")),
        [filters, features, size] => of_class(
            "Conv1d",
            format!("{features} features of a group, {filters} filters of {size} timesteps"),
        ),
        _ => None,
    })
}

fn recurrent(sizes: &Sizes) -> String {
    let mut text = format!("{} features, {} units", sizes.features, sizes.units);
    if sizes.layers > 1 {
        text += &format!(", {} layers", sizes.layers);
    }
    for (holds, words) in
        [(sizes.directions > 1, ", bidirectional"), (!sizes.use_bias, ", without bias")]
    {
        text += if holds { words } else { "" };
    }
    if sizes.is_projected {
        text += &format!(", proj_size {}", sizes.outputs);
    }
    text
}
