use super::rules::{Along, Rules, Shapes, broadcast, shape};

/// Products of matrices that are both computed: of operand 0, `[batch…, rows, k]`, and operand 1,
/// `[batch…, k, columns]`, whose axes before the last two are broadcast as numpy does. It writes
/// `[batch…, rows, columns]`. For a product with a weight, see [`MatMul`](super::MatMul).
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct BatchedMatMul;

/// The matrices of an operand: how many along each axis, their rows and their columns.
fn matrices<'a>(reads: &Shapes<'a>, operand: usize) -> Result<(&'a [usize], [usize; 2]), String> {
    let x = shape(reads, operand)?;
    let matrices = x.split_last_chunk::<2>();
    let (batch, matrix) = matrices.ok_or_else(|| format!("{x:?} is no matrix"))?;
    Ok((batch, *matrix))
}

impl Rules for BatchedMatMul {
    fn name(&self) -> &'static str {
        "batched matmul"
    }

    fn writes(&self, reads: &Shapes) -> Result<Vec<Vec<usize>>, String> {
        let (batch, [rows, k]) = matrices(reads, 0)?;
        let (others, [k_of_other, columns]) = matrices(reads, 1)?;
        if k != k_of_other {
            return Err(format!("it multiplies {:?} with {:?}", reads[0], reads[1]));
        }
        let batch = broadcast(&[Some(batch), Some(others)])?;
        Ok(vec![[&batch[..], &[rows, columns]].concat()])
    }

    fn along(&self, operand: usize, axis: usize, reads: &Shapes) -> Along {
        let (Ok(x), Ok(written)) = (shape(reads, operand), self.writes(reads)) else {
            return Along::Whole;
        };
        let place = written[0].len() - x.len() + axis;
        let from_behind = x.len() - axis;
        // Of the first operand the columns are summed over, of the second the rows.
        let summed = if operand == 0 { 1 } else { 2 };
        match from_behind != summed && x[axis] == written[0][place] {
            true => Along::Independent(place),
            false => Along::Whole,
        }
    }
}
