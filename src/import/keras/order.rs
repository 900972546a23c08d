//! The order in which Keras runs the calls of a functional model.
//!
//! It matters for masks: a `MultiHeadAttention` takes them away from its inputs, for whoever reads
//! those later.

/// The calls in order, or one that needs its own result. `parents` are the calls that each call
/// reads, `layers` the layer that each one calls, `outputs` the calls that the model returns.
///
/// Source: `map_graph` in `keras/src/ops/function.py`: by decreasing distance from the outputs,
/// within one distance in the order in which a walk over the calls first meets them.
pub(super) fn order(
    parents: &[Vec<usize>],
    layers: &[usize],
    outputs: &[usize],
) -> Result<Vec<usize>, usize> {
    let mut walk = Walk { parents, state: vec![State::New; parents.len()], done: Vec::new() };
    outputs.iter().try_for_each(|&call| walk.visit(call))?;
    let mut order = by_depth(&walk.done, parents, layers);
    // Calls that no output needs run last, in the order of the file.
    let needed = walk.done.len();
    (0..parents.len()).try_for_each(|call| walk.visit(call))?;
    order.extend(&walk.done[needed..]);
    Ok(order)
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    New,
    Open,
    Done,
}

/// A walk in depth that lists every call after those that it reads.
struct Walk<'a> {
    parents: &'a [Vec<usize>],
    state: Vec<State>,
    done: Vec<usize>,
}

impl Walk<'_> {
    /// Without recursion: a file can hold a long chain.
    fn visit(&mut self, call: usize) -> Result<(), usize> {
        let mut open = vec![(call, 0)];
        while let Some((call, next)) = open.pop() {
            if next == 0 {
                match self.state[call] {
                    State::Done => continue,
                    // The first of the file that waits for itself or for such a one.
                    State::Open => {
                        return Err(self
                            .state
                            .iter()
                            .position(|&s| s == State::Open)
                            .unwrap_or(call));
                    }
                    State::New => self.state[call] = State::Open,
                }
            }
            match self.parents[call].get(next) {
                Some(&parent) => open.extend([(call, next + 1), (parent, 0)]),
                None => {
                    self.state[call] = State::Done;
                    self.done.push(call);
                }
            }
        }
        Ok(())
    }
}

fn by_depth(needed: &[usize], parents: &[Vec<usize>], layers: &[usize]) -> Vec<usize> {
    let mut depths: Vec<Option<usize>> = vec![None; parents.len()];
    let mut of_layer = vec![0; layers.iter().max().map_or(0, |layer| layer + 1)];
    let mut met = Vec::new();
    for &call in needed.iter().rev() {
        if depths[call].is_none() {
            met.push(call);
        }
        // A layer that is called several times has its largest distance at every call that comes
        // later in the walk.
        let depth = depths[call].unwrap_or(0).max(of_layer[layers[call]]);
        of_layer[layers[call]] = depth;
        depths[call] = Some(depth);
        for &parent in &parents[call] {
            if depths[parent].is_none() {
                met.push(parent);
            }
            depths[parent] = depths[parent].max(Some(depth + 1));
        }
    }
    // Stable: within one depth as they were met.
    met.sort_by_key(|&call| std::cmp::Reverse(depths[call]));
    met
}
