//! Functions of angles, and hyperbolic ones.

use super::call::Call;
use super::computed::Id;
use crate::Result;
use crate::import::angles;
use crate::program::{Binary, Kind, Unary};

/// A function of `x` as a number with a point.
fn of(call: &mut Call, function: fn(&mut Call, Id) -> Result<Id>) -> Result<Id> {
    let x = call.array("x")?;
    let x = call.cast(x, Kind::Float)?;
    function(call, x)
}

pub(super) fn tan(call: &mut Call) -> Result<Id> {
    of(call, |call, x| angles::tangent(call, x))
}

pub(super) fn arcsin(call: &mut Call) -> Result<Id> {
    of(call, |call, x| angles::arc_sine(call, x))
}

pub(super) fn arccos(call: &mut Call) -> Result<Id> {
    of(call, |call, x| angles::arc_cosine(call, x))
}

pub(super) fn arctan(call: &mut Call) -> Result<Id> {
    of(call, |call, x| angles::arc_tangent(call, x))
}

pub(super) fn sinh(call: &mut Call) -> Result<Id> {
    of(call, |call, x| angles::hyperbolic_sine(call, x))
}

pub(super) fn cosh(call: &mut Call) -> Result<Id> {
    of(call, |call, x| angles::hyperbolic_cosine(call, x))
}

pub(super) fn arcsinh(call: &mut Call) -> Result<Id> {
    of(call, |call, x| angles::arc_hyperbolic_sine(call, x))
}

pub(super) fn arccosh(call: &mut Call) -> Result<Id> {
    of(call, |call, x| angles::arc_hyperbolic_cosine(call, x))
}

pub(super) fn arctanh(call: &mut Call) -> Result<Id> {
    of(call, |call, x| angles::arc_hyperbolic_tangent(call, x))
}

/// The angle of the point that lies `y` above and `x` beside the origin.
pub(super) fn arctan2(call: &mut Call) -> Result<Id> {
    use std::f32::consts::{FRAC_PI_2, PI};
    let (y, x) = (call.array("y")?, call.array("x")?);
    let (y, x) = (call.cast(y, Kind::Float)?, call.cast(x, Kind::Float)?);
    let ratio = call.binary(Binary::Divide, y, x)?;
    let angle = angles::arc_tangent(call, ratio)?;
    let is_below = call.with_number(Binary::Less, y, 0.0)?;
    let (half, minus_half) = (call.float(PI), call.float(-PI));
    let turn = call.select(is_below, minus_half, half)?;
    let turned = call.binary(Binary::Add, angle, turn)?;
    let is_left = call.with_number(Binary::Less, x, 0.0)?;
    let angle = call.select(is_left, turned, angle)?;
    // Right above or below the origin the ratio isn't finite.
    let sign = call.unary(Unary::Sign, y)?;
    let upright = call.with_number(Binary::Multiply, sign, FRAC_PI_2)?;
    let is_upright = call.with_number(Binary::Equal, x, 0.0)?;
    call.select(is_upright, upright, angle)
}

/// `sin(π x) / (π x)`, and 1 at 0.
pub(super) fn sinc(call: &mut Call) -> Result<Id> {
    let x = call.array("x")?;
    let angle = call.with_number(Binary::Multiply, x, std::f32::consts::PI)?;
    let sine = call.unary(Unary::Sin, angle)?;
    let ratio = call.binary(Binary::Divide, sine, angle)?;
    let (is_zero, one) = (call.with_number(Binary::Equal, x, 0.0)?, call.float(1.0));
    call.select(is_zero, one, ratio)
}
