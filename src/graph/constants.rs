use birnn_cell::Real;
use ndarray::{ArrayD, ArrayView, ArrayViewD, Dimension};

/// An array that the operators of a layer read and that no call changes: a weight, or what
/// follows from weights.
#[derive(Clone, Debug)]
pub(crate) enum Constant<'m> {
    Weight(ArrayViewD<'m, f32>),
    /// Computed from weights, and so rounded once where a backend reads it in f32.
    Derived(ArrayD<f64>),
}

impl<'m> Constant<'m> {
    pub fn weight<D: Dimension>(weight: ArrayView<'m, f32, D>) -> Constant<'m> {
        Constant::Weight(weight.into_dyn())
    }

    /// Its values in the precision of `F`.
    pub fn values<F: Real>(&self) -> ArrayD<F> {
        match self {
            Constant::Weight(weight) => weight.mapv(|value| F::nearest(value.into())),
            Constant::Derived(values) => values.mapv(F::nearest),
        }
    }
}

/// A constant of a layer of the model; the same in the graphs of all calls, so that a backend can
/// prepare it once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ConstantId {
    pub layer: usize,
    pub index: usize,
}

/// The constants of all layers of a model, made once for any number of calls.
#[derive(Clone, Debug)]
pub(crate) struct Constants<F> {
    of_layer: Vec<Vec<ArrayD<F>>>,
}

impl<F: Real> Constants<F> {
    /// From those of each layer of the model, in order.
    pub fn new<'m>(of_layer: impl IntoIterator<Item = Vec<Constant<'m>>>) -> Constants<F> {
        let values = |constants: Vec<Constant>| constants.iter().map(Constant::values).collect();
        Constants { of_layer: of_layer.into_iter().map(values).collect() }
    }

    pub fn get(&self, id: ConstantId) -> Option<&ArrayD<F>> {
        self.of_layer.get(id.layer)?.get(id.index)
    }
}
