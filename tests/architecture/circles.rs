//! Files that use one another, directly or by way of others.

use crate::modules::Uses;
use std::collections::{BTreeMap, BTreeSet};

/// The circles: groups of files each of which leads to every other one of its group.
pub fn circles(uses: &Uses) -> Vec<BTreeSet<&str>> {
    let reached: BTreeMap<&str, BTreeSet<&str>> =
        uses.keys().map(|file| (&file[..], reach(uses, file))).collect();
    let mut circles: Vec<BTreeSet<&str>> = Vec::new();
    for (file, reachable) in &reached {
        let circle: BTreeSet<&str> = reachable
            .iter()
            .filter(|other| reached.get(*other).is_some_and(|back| back.contains(file)))
            .copied()
            .collect();
        if circle.len() > 1 && !circles.contains(&circle) {
            circles.push(circle);
        }
    }
    circles
}

/// Every file that a file leads to.
fn reach<'a>(uses: &'a Uses, file: &'a str) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut open = vec![file];
    while let Some(file) = open.pop() {
        let next = uses.get(file).into_iter().flat_map(BTreeMap::keys);
        open.extend(next.map(|next| &next[..]).filter(|next| reached.insert(*next)));
    }
    reached
}

/// A circle for a message: which of its files uses what of which other one.
pub fn describe(uses: &Uses, circle: &BTreeSet<&str>) -> String {
    let mut lines = Vec::new();
    for file in circle {
        let within = uses[*file].iter().filter(|(other, _)| circle.contains(&other[..]));
        for (other, names) in within {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            lines.push(format!("    {file} uses {} of {other}", names.join(", ")));
        }
    }
    format!("{} files are a circle:\n{}", circle.len(), lines.join("\n"))
}
