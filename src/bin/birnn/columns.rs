//! Columns of a table in which a cell may be a list: what Parquet files hold.

use anyhow::{Result, anyhow, bail};
use ndarray::{ArrayD, ArrayViewD, Axis, stack};

/// Columns by their names, equally long. A column of numbers is an array `[rows]`, one of lists
/// `[rows, items]`, and one of lists of lists has an axis more. In the place of a column that isn't
/// of numbers stands why; nobody may ask for it.
pub struct Columns {
    list: Vec<(String, Result<ArrayD<f32>>)>,
}

impl Columns {
    #[cfg_attr(not(feature = "parquet"), allow(dead_code))]
    pub fn new(list: Vec<(String, Result<ArrayD<f32>>)>) -> Columns {
        Columns { list }
    }

    /// Whether there is a column of each of these names.
    pub fn has_all<'a>(&self, mut names: impl Iterator<Item = &'a str>) -> bool {
        names.all(|name| self.list.iter().any(|(known, _)| known == name))
    }

    /// A column as an array of so many axes, whose rows are the batch.
    pub fn column(&self, name: &str, axes: usize) -> Result<ArrayD<f32>> {
        match self.list.iter().find(|(known, _)| known == name) {
            Some((_, Ok(array))) => with_axes(array.view(), axes),
            Some((_, Err(error))) => Err(anyhow!("{error:#}")),
            None => bail!("it holds no column {name:?}, but {}", self.names()),
        }
    }

    /// All columns as one array of so many axes.
    ///
    /// Of columns of numbers a row is a timestep of one sequence, `[1, rows, columns]`, or of an
    /// array of two axes a row of the batch, `[rows, columns]`. Where the columns are lists a row
    /// is a row of the batch: of several columns each is a feature, `[rows, timesteps, columns]`;
    /// one alone is the array itself, and has a feature of its own where an axis is missing.
    pub fn array(self, axes: usize) -> Result<ArrayD<f32>> {
        let names = self.names();
        let mut list = Vec::new();
        for (name, column) in self.list {
            list.push((name, column?));
        }
        if let [(_, array)] = &list[..]
            && (array.ndim() > 1 || axes == 1)
        {
            return with_axes(array.view(), axes);
        }
        let Some((first, array)) = list.first() else { bail!("it holds no column") };
        if let Some((other, found)) = list.iter().find(|(_, a)| a.shape() != array.shape()) {
            bail!(
                "its columns {first:?} and {other:?} are arrays of the shapes {:?} and {:?}: say \
                 which one is read, as in x.parquet:{first}, or give each input its own by --input",
                array.shape(),
                found.shape()
            );
        }
        let views: Vec<ArrayViewD<f32>> = list.iter().map(|(_, array)| array.view()).collect();
        let array = stack(Axis(array.ndim()), &views)?;
        match (array.ndim(), axes) {
            (found, wanted) if found == wanted => Ok(array),
            (2, 3) => Ok(array.insert_axis(Axis(0))),
            (found, _) => bail!(
                "its columns {names} together make an array of {found} axes, and the input has \
                 {axes}: say which one is read, as in x.parquet:{first}"
            ),
        }
    }

    fn names(&self) -> String {
        self.list.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ")
    }
}

/// A column with so many axes; of an array that has one more than the column the last one is of
/// length one.
fn with_axes(array: ArrayViewD<f32>, axes: usize) -> Result<ArrayD<f32>> {
    match array.ndim() {
        found if found == axes => Ok(array.to_owned()),
        found if found + 1 == axes => Ok(array.insert_axis(Axis(found)).to_owned()),
        found => bail!(
            "a column of it is an array of {found} axes, {:?}, and the input has {axes}",
            array.shape()
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::Columns;
    use ndarray::{ArrayD, arr1, arr2, arr3};

    fn columns(list: &[(&str, ArrayD<f32>)]) -> Columns {
        let column = |(name, array): &(&str, ArrayD<f32>)| (name.to_string(), Ok(array.clone()));
        Columns::new(list.iter().map(column).collect())
    }

    #[test]
    fn rows_of_numbers_are_timesteps_and_rows_of_lists_the_batch() {
        let (a, b) = (arr1(&[1.0, 2.0, 3.0]).into_dyn(), arr1(&[4.0, 5.0, 6.0]).into_dyn());
        let numbers = || columns(&[("a", a.clone()), ("b", b.clone())]);
        let rows = arr2(&[[1.0, 4.0], [2.0, 5.0], [3.0, 6.0]]);
        assert_eq!(numbers().array(2).unwrap(), rows.clone().into_dyn());
        assert_eq!(numbers().array(3).unwrap(), rows.insert_axis(ndarray::Axis(0)).into_dyn());
        let one = || columns(&[("a", a.clone())]);
        assert_eq!(one().array(1).unwrap(), a);
        assert_eq!(one().array(2).unwrap().shape(), [3, 1]);
        assert_eq!(one().array(3).unwrap().shape(), [1, 3, 1]);
        assert_eq!(one().column("a", 2).unwrap().shape(), [3, 1]);

        let (c, d) = (arr2(&[[1.0, 2.0], [3.0, 4.0]]), arr2(&[[5.0, 6.0], [7.0, 8.0]]));
        let lists = columns(&[("c", c.clone().into_dyn()), ("d", d.into_dyn())]);
        let sequences = arr3(&[[[1.0, 5.0], [2.0, 6.0]], [[3.0, 7.0], [4.0, 8.0]]]);
        assert_eq!(lists.array(3).unwrap(), sequences.clone().into_dyn());
        let list = || columns(&[("c", c.clone().into_dyn())]);
        assert_eq!(list().array(2).unwrap(), c.clone().into_dyn());
        assert_eq!(list().array(3).unwrap().shape(), [2, 2, 1]);
        let nested = columns(&[("e", sequences.clone().into_dyn())]);
        assert_eq!(nested.array(3).unwrap(), sequences.into_dyn());
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let (a, c) = (arr1(&[1.0, 2.0]).into_dyn(), arr2(&[[1.0], [2.0]]).into_dyn());
        let both = || columns(&[("a", a.clone()), ("c", c.clone())]);
        let text = both().array(3).unwrap_err().to_string();
        assert!(text.contains("\"a\" and \"c\"") && text.contains("x.parquet:a"), "{text}");
        let text = both().column("b", 2).unwrap_err().to_string();
        assert!(text.contains("no column \"b\", but a, c"), "{text}");
        let text = columns(&[("c", c.clone())]).array(4).unwrap_err().to_string();
        assert!(text.contains("2 axes, [2, 1], and the input has 4"), "{text}");
        assert!(columns(&[("a", a.clone()), ("b", a.clone())]).array(1).is_err());
        assert!(columns(&[]).array(2).is_err());
        // A column that isn't of numbers is no error where others are asked for.
        let text = || ("t".to_string(), Err(anyhow::anyhow!("it isn't of numbers")));
        let mixed = || Columns::new(vec![text(), ("a".to_string(), Ok(a.clone()))]);
        assert_eq!(mixed().column("a", 1).unwrap(), a);
        assert!(mixed().column("t", 1).is_err() && mixed().array(2).is_err());
        assert!(both().has_all(["a", "c"].into_iter()) && !both().has_all(["x"].into_iter()));
    }
}
