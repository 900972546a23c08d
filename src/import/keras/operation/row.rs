//! A line of the lists of operations.

use super::call::Call;
use super::computed::Id;
use crate::Result;

/// An operation: its name, its arguments, and what it is in a program's operations.
pub(super) type Row = (&'static str, &'static str, Handler);

/// What adds an operation to those that are computed.
#[derive(Clone, Copy)]
pub(super) enum Handler {
    /// One that returns an array.
    One(fn(&mut Call) -> Result<Id>),
    /// One that returns several.
    Several(fn(&mut Call) -> Result<Vec<Id>>),
}
