//! A list that is short nearly always.

use std::ops::Index;

/// Values in order, of which the first `N` take no memory of their own: a call that is given no
/// more arrays allocates nothing for them.
#[derive(Clone, Debug)]
pub(crate) struct Few<T, const N: usize> {
    first: [Option<T>; N],
    more: Vec<T>,
}

impl<T, const N: usize> Few<T, N> {
    #[inline]
    pub fn push(&mut self, value: T) {
        match self.first.iter_mut().find(|place| place.is_none()) {
            Some(place) => *place = Some(value),
            None => self.more.push(value),
        }
    }

    pub fn len(&self) -> usize {
        self.first.iter().flatten().count() + self.more.len()
    }

    pub fn get(&self, index: usize) -> Option<&T> {
        match self.first.get(index) {
            Some(value) => value.as_ref(),
            None => self.more.get(index - N),
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = &T> + Clone {
        self.first.iter().flatten().chain(&self.more)
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.first.iter_mut().flatten().chain(&mut self.more)
    }
}

impl<T, const N: usize> IntoIterator for Few<T, N> {
    type Item = T;
    type IntoIter = std::iter::Chain<
        std::iter::Flatten<std::array::IntoIter<Option<T>, N>>,
        std::vec::IntoIter<T>,
    >;

    fn into_iter(self) -> Self::IntoIter {
        self.first.into_iter().flatten().chain(self.more)
    }
}

impl<T, const N: usize> Default for Few<T, N> {
    fn default() -> Few<T, N> {
        Few { first: [const { None }; N], more: Vec::new() }
    }
}

impl<T, const N: usize> FromIterator<T> for Few<T, N> {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Few<T, N> {
        let mut few = Few::default();
        values.into_iter().for_each(|value| few.push(value));
        few
    }
}

impl<T, const N: usize> Index<usize> for Few<T, N> {
    type Output = T;

    fn index(&self, index: usize) -> &T {
        match self.get(index) {
            Some(value) => value,
            None => panic!("there are {} values, and none has the index {index}", self.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Few;

    #[test]
    fn values_keep_their_order_however_many_there_are() {
        for count in 0..6 {
            let mut few: Few<usize, 2> = (0..count).collect();
            assert_eq!(few.len(), count);
            assert!(few.iter().copied().eq(0..count));
            assert!((0..count).all(|index| few[index] == index));
            assert_eq!((few.get(count), few.get(7)), (None, None));
            few.iter_mut().for_each(|value| *value += 1);
            assert!(few.into_iter().eq(1..count + 1));
        }
    }
}
