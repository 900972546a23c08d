//! Windows as the kernels have them.

use super::walk::check_axes;
use crate::error::Result;
use crate::gpu::kernel;
use crate::operator::Windows;

/// Windows along an axis of this length.
pub(super) fn along(windows: Windows, length: usize) -> kernel::Windows {
    kernel::Windows {
        outputs: windows.outputs as u32,
        length: length as u32,
        size: windows.size as u32,
        strides: windows.strides as u32,
        dilation: windows.dilation as u32,
        spread: windows.spread as u32,
        before: windows.before as u32,
        unused: 0,
    }
}

/// Those down and across of an array `[batch, lengths…, features]` of one length or two.
pub(super) fn two_axes(windows: &[Windows], shape: &[usize]) -> Result<[kernel::Windows; 2]> {
    check_axes(windows.len(), 2)?;
    let mut all = [along(Windows::whole(1), 1); 2];
    for (place, (windows, &length)) in
        all.iter_mut().rev().zip(windows.iter().zip(&shape[1..]).rev())
    {
        *place = along(*windows, length);
    }
    Ok(all)
}
