use super::rules::{Along, Rules, Shapes, shape};

/// The axes of operand 0 in another order: axis `i` of what it writes is axis `order[i]` of the
/// operand.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Transpose {
    pub order: Vec<usize>,
}

impl Rules for Transpose {
    fn name(&self) -> &'static str {
        "transpose"
    }

    fn writes(&self, reads: &Shapes) -> Result<Vec<Vec<usize>>, String> {
        let x = shape(reads, 0)?;
        let mut sorted = self.order.clone();
        sorted.sort_unstable();
        match sorted.iter().copied().eq(0..x.len()) {
            true => Ok(vec![self.order.iter().map(|&axis| x[axis]).collect()]),
            false => Err(format!("{:?} is no order of the axes of {x:?}", self.order)),
        }
    }

    fn along(&self, _: usize, axis: usize, _: &Shapes) -> Along {
        let comes_out = self.order.iter().position(|&of| of == axis);
        comes_out.map_or(Along::Whole, Along::Independent)
    }

    fn follows_strides(&self, _: usize) -> bool {
        true
    }
}
