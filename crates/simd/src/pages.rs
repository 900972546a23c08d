//! Arrays in huge pages where the system has them on request, as most Linux systems have: the
//! processor then reads ahead over more than 4 KiB and translates fewer addresses. It gains with
//! 1536 units, whose weights come from memory, and nothing up to 512 (docs/performance.md).

use crate::lines::Lines;
use bytemuck::Pod;
use std::ops::{Deref, DerefMut};

/// An array of a fixed length.
#[derive(Debug)]
pub(super) enum Pages<T> {
    Plain(Lines<T>),
    #[cfg(target_os = "linux")]
    Huge(huge::Huge<T>),
}

impl<T: Pod> Pages<T> {
    pub fn zeros(length: usize) -> Pages<T> {
        #[cfg(target_os = "linux")]
        if let Some(pages) = huge::Huge::zeros(length) {
            return Pages::Huge(pages);
        }
        Pages::Plain(Lines::zeros(length))
    }
}

impl<T: Pod> Deref for Pages<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match self {
            Pages::Plain(lines) => lines,
            #[cfg(target_os = "linux")]
            Pages::Huge(pages) => pages.values(),
        }
    }
}

impl<T: Pod> DerefMut for Pages<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        match self {
            Pages::Plain(lines) => lines,
            #[cfg(target_os = "linux")]
            Pages::Huge(pages) => pages.values_mut(),
        }
    }
}

#[cfg(target_os = "linux")]
mod huge {
    use bytemuck::Pod;
    use memmap2::{Advice, MmapMut};
    use std::marker::PhantomData;

    /// A huge page of x86-64, and of AArch64 with small pages of 4 KiB; where they are larger,
    /// nothing is gained.
    const PAGE: usize = 2 << 20;

    #[derive(Debug)]
    pub struct Huge<T> {
        map: MmapMut,
        start: usize,
        bytes: usize,
        values: PhantomData<T>,
    }

    impl<T: Pod> Huge<T> {
        /// `None` where the array fills less than a quarter of a huge page or the system has none.
        /// What is left past the last whole page takes another if it fills a quarter, and small
        /// ones if not.
        pub fn zeros(length: usize) -> Option<Huge<T>> {
            let bytes = length.checked_mul(size_of::<T>())?;
            let rest = bytes % PAGE;
            let huge = if rest < PAGE / 4 {
                bytes - rest
            } else {
                bytes.checked_next_multiple_of(PAGE)?
            };
            if huge == 0 {
                return None;
            }
            let map = MmapMut::map_anon(huge.max(bytes).checked_add(PAGE)?).ok()?;
            let start = map.as_ptr().align_offset(PAGE);
            map.advise_range(Advice::HugePage, start, huge).ok()?;
            Some(Huge { map, start, bytes, values: PhantomData })
        }

        pub fn values(&self) -> &[T] {
            bytemuck::cast_slice(&self.map[self.start..][..self.bytes])
        }

        pub fn values_mut(&mut self) -> &mut [T] {
            bytemuck::cast_slice_mut(&mut self.map[self.start..][..self.bytes])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_of_every_size_are_zeros_and_keep_what_is_written() {
        const PAGE: usize = (2 << 20) / 4;
        let around = |length: usize| [length - 1, length, length + 1];
        let lengths = [PAGE / 4, PAGE, PAGE * 5 / 4, PAGE * 2].map(around).concat();
        for length in lengths.into_iter().chain([0, 1, 1000, 3 * PAGE + 7]) {
            let mut pages = Pages::<u32>::zeros(length);
            assert_eq!(pages.len(), length);
            assert!(pages.iter().all(|value| *value == 0), "{length} values");
            pages.iter_mut().zip(1..).for_each(|(value, number)| *value = number);
            assert!(pages.iter().copied().eq(1..=length as u32), "{length} values");
        }
    }
}
