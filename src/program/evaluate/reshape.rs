//! Reshapes of arrays whose axes are in another order than in memory.

/// How an array of the shape `base` in memory, of which axis `i` is axis `order[i]`, is reshaped
/// to `target` without moving a value: the new shape in memory, and the new order. `None`: values
/// have to move.
///
/// Axes of length one are left out at first. What remains falls into blocks: axes of the array, and
/// the axes of the target that have as many values together. A block can stay where it is if its
/// axes stand next to each other in memory.
pub(super) fn without_moving(
    base: &[usize],
    order: &[usize],
    target: &[usize],
) -> Option<(Vec<usize>, Vec<usize>)> {
    let axes: Vec<usize> = order.iter().copied().filter(|&axis| base[axis] != 1).collect();
    let mut blocks = Vec::new();
    let (mut from, mut to) = (0, 0);
    while from < axes.len() {
        let block = block(base, &axes[from..], &target[to..])?;
        from += block.0;
        blocks.push((axes[from - block.0], to..to + block.1));
        to += block.1;
    }
    // Axes of length one that are left belong to the last block.
    match blocks.last_mut() {
        Some((_, range)) => range.end = target.len(),
        None => return Some((target.to_vec(), (0..target.len()).collect())),
    }
    if target[to..].iter().any(|&length| length != 1) {
        return None;
    }
    blocks.sort_unstable_by_key(|(first, _)| *first);
    let places: Vec<usize> = blocks.into_iter().flat_map(|(_, range)| range).collect();
    let mut new_order = vec![0; target.len()];
    for (place, &axis) in places.iter().enumerate() {
        new_order[axis] = place;
    }
    Some((places.iter().map(|&axis| target[axis]).collect(), new_order))
}

/// How many axes of the array, and how many of the target, have the same number of values; only if
/// those of the array stand next to each other in memory.
fn block(base: &[usize], axes: &[usize], target: &[usize]) -> Option<(usize, usize)> {
    let (mut from, mut to) = (1, 0);
    let (mut values, mut wanted) = (base[*axes.first()?], 1);
    loop {
        if values == wanted {
            return Some((from, to));
        }
        if values < wanted {
            let next = *axes.get(from)?;
            let between = axes[from - 1] + 1..next;
            let adjacent = next > axes[from - 1] && between.clone().all(|axis| base[axis] == 1);
            if !adjacent {
                return None;
            }
            values = values.checked_mul(base[next])?;
            from += 1;
        } else {
            wanted = wanted.checked_mul(*target.get(to)?)?;
            to += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::without_moving;

    #[test]
    fn what_exporters_put_behind_a_recurrence_moves_nothing() {
        // [batch, time, 2 · units] as [time, 2, batch, units], and back to [batch, time, 2 ·
        // units].
        let found = without_moving(&[3, 5, 8], &[0, 1, 2], &[3, 5, 2, 4]).unwrap();
        assert_eq!(found, (vec![3, 5, 2, 4], vec![0, 1, 2, 3]));
        // order [1, 2, 0, 3] gives [5, 2, 3, 4]; transposed by [0, 2, 1, 3]: [5, 3, 2, 4].
        let found = without_moving(&[3, 5, 2, 4], &[1, 0, 2, 3], &[5, 3, 8]).unwrap();
        assert_eq!(found, (vec![3, 5, 8], vec![1, 0, 2]));
    }

    #[test]
    fn axes_of_length_one_go_anywhere() {
        let found = without_moving(&[1, 5, 4], &[1, 0, 2], &[5, 4]).unwrap();
        assert_eq!(found, (vec![5, 4], vec![0, 1]));
        let found = without_moving(&[5, 4], &[1, 0], &[1, 4, 1, 5, 1]).unwrap();
        assert_eq!(found, (vec![1, 5, 1, 1, 4], vec![3, 4, 0, 1, 2]));
        assert_eq!(without_moving(&[1, 1], &[1, 0], &[1]), Some((vec![1], vec![0])));
        assert_eq!(without_moving(&[], &[], &[1, 1]), Some((vec![1, 1], vec![0, 1])));
    }

    #[test]
    fn values_that_have_to_move_are_noticed() {
        assert_eq!(without_moving(&[3, 5], &[1, 0], &[15]), None);
        assert_eq!(without_moving(&[3, 4, 5], &[0, 2, 1], &[15, 4]), None);
        assert_eq!(without_moving(&[3, 4], &[1, 0], &[2, 6]), None);
    }
}
