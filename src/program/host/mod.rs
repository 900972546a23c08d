//! Operations on known values, computed on the host before anything runs.

mod moving;
mod numbers;
mod reduce;

pub(super) use moving::{
    concat, expand, fill, non_zero, pad, reshape, scatter_nd, slice, take, take_along, take_nd,
    tile, transpose, triangle,
};
pub(super) use numbers::{activate, binary, is_comparison, is_logic, select, unary};
pub(super) use reduce::{arg_max, cumulative_sum, product, reduce};
