//! What is known of the workgroups that an adapter runs side by side. Those of persistent kernels
//! wait for each other, and WGSL promises nothing of the kind: so it is tried when a device is
//! opened (`meeting`), where persistent kernels are wanted, and an adapter on which a workgroup
//! once waited in vain gets none any more. Both are remembered for as long as the process runs.

use super::limits::Persistent;
use crate::device::DeviceInfo;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// How often an invocation looks for what another workgroup writes. A GPU takes some 0.5 µs for a
/// look, so that a wait in vain ends after about 0.1 s. On a software adapter a look takes about as
/// long, and the thread of the other workgroup may have to wait for a core.
const LOOKS: u32 = 1 << 18;
const LOOKS_SOFTWARE: u32 = 1 << 20;

/// The workgroups that each adapter was seen to run side by side; 0: it gets no persistent kernels.
static SEEN: Mutex<BTreeMap<String, usize>> = Mutex::new(BTreeMap::new());

/// What is known of an adapter for which persistent kernels are wanted.
#[derive(Debug)]
pub(super) struct Residency {
    /// The adapter and its driver, and what the workgroups had that were tried.
    pub adapter: String,
    pub looks: u32,
}

impl Residency {
    pub fn of(info: &DeviceInfo, footprint: (usize, usize), software: bool) -> Residency {
        let DeviceInfo { name, backend, driver, pci, .. } = info;
        Residency {
            adapter: format!("{name}, {backend}, {driver}, {pci}, {footprint:?}"),
            looks: if software { LOOKS_SOFTWARE } else { LOOKS },
        }
    }

    /// One of an adapter of its own, which looks so often.
    #[cfg(test)]
    pub fn for_test(adapter: &str, workgroups: usize, looks: u32) -> Residency {
        let residency = Residency { adapter: adapter.to_string(), looks };
        residency.note(workgroups);
        residency
    }

    /// What persistent kernels are allowed; `None`: there are none.
    pub fn allowed(&self) -> Option<Persistent> {
        let workgroups = self.seen().filter(|&workgroups| workgroups > 0)?;
        Some(Persistent { workgroups, looks: self.looks })
    }

    /// The workgroups that were seen to run side by side; `None`: it wasn't tried.
    pub fn seen(&self) -> Option<usize> {
        SEEN.lock().unwrap_or_else(PoisonError::into_inner).get(&self.adapter).copied()
    }

    pub fn note(&self, workgroups: usize) {
        let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
        seen.insert(self.adapter.clone(), workgroups);
    }

    /// Notes what was tried, unless more is known by now.
    pub fn found(&self, workgroups: usize) {
        let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
        seen.entry(self.adapter.clone()).or_insert(workgroups);
    }

    /// Notes that a workgroup waited in vain.
    pub fn give_up(&self) {
        tracing::warn!(
            adapter = self.adapter,
            "a workgroup waited in vain for another: no persistent kernels from here on"
        );
        self.note(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_of_an_adapter_ends_with_a_wait_in_vain() {
        let adapter = "an adapter of this test";
        let residency = Residency::for_test(adapter, 12, 7);
        assert_eq!(residency.allowed(), Some(Persistent { workgroups: 12, looks: 7 }));
        residency.give_up();
        assert_eq!(residency.allowed(), None);
        let again = Residency { adapter: adapter.to_string(), looks: 7 };
        assert_eq!(again.allowed(), None, "for the process");
        // Another device's try of before may end after that.
        again.found(12);
        assert_eq!(again.allowed(), None);
    }
}
