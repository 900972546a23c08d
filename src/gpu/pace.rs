//! How much work one submit is given.

use crate::device::DeviceKind;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The time that a submit should take at most, so that no driver takes a long sequence for a hang.
const SUBMIT_TIME: Duration = Duration::from_millis(100);
/// What a submit is allowed before it was measured: the flops of that time at 10 GFLOP/s (a
/// software adapter) or 200 GFLOP/s (any GPU).
const SUBMIT_FLOPS_SOFTWARE: u64 = 1_000_000_000;
const SUBMIT_FLOPS: u64 = 20_000_000_000;

/// How much work goes into one submit. Learned for each shape: a batch of one runs at another rate
/// than one of 64.
#[derive(Debug)]
pub(super) struct Pace {
    flops: AtomicU64,
    /// It is never more than this.
    most: u64,
}

impl Pace {
    pub fn of(kind: DeviceKind) -> Pace {
        let flops =
            if kind == DeviceKind::SoftwareGpu { SUBMIT_FLOPS_SOFTWARE } else { SUBMIT_FLOPS };
        Pace { flops: AtomicU64::new(flops), most: flops * 64 }
    }

    pub fn flops(&self) -> u64 {
        self.flops.load(Ordering::Relaxed)
    }

    /// A call's submits took so long: the next is cut finer, or where it was cut needlessly,
    /// coarser.
    pub fn learn(&self, took: Duration, submits: u64) {
        let each = took.as_secs_f64() / submits.max(1) as f64;
        let wanted = SUBMIT_TIME.as_secs_f64();
        let flops = self.flops();
        if each > wanted {
            self.flops.store((flops as f64 * wanted / each) as u64, Ordering::Relaxed);
        } else if submits > 1 && each < wanted / 3.0 {
            self.flops.store((flops * 2).min(self.most), Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_submit_that_takes_too_long_is_cut_and_one_cut_needlessly_grows() {
        let pace = Pace::of(DeviceKind::DiscreteGpu);
        pace.learn(Duration::from_secs(2), 2); // ten times as long as wanted
        assert_eq!(pace.flops(), SUBMIT_FLOPS / 10);
        pace.learn(Duration::from_millis(90), 1); // as wanted
        assert_eq!(pace.flops(), SUBMIT_FLOPS / 10);
        pace.learn(Duration::from_millis(20), 4);
        assert_eq!(pace.flops(), SUBMIT_FLOPS / 5);
        for _ in 0..20 {
            pace.learn(Duration::from_millis(20), 4);
        }
        assert_eq!(pace.flops(), SUBMIT_FLOPS * 64);
    }
}
