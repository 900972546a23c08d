/// Windows of timesteps: which timesteps each of them holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Windows {
    /// How many windows there are: the timesteps of what is written.
    pub outputs: usize,
    /// Elements of a window.
    pub size: usize,
    /// Timesteps from one window to the next.
    pub strides: usize,
    /// Timesteps from one element of a window to the next.
    pub dilation: usize,
    /// How many timesteps the first window begins before the first timestep. What lies outside the
    /// sequence is no part of a window.
    pub before: usize,
}

impl Windows {
    /// One window over all timesteps.
    pub fn whole(timesteps: usize) -> Windows {
        Windows { outputs: 1, size: timesteps, strides: 1, dilation: 1, before: 0 }
    }

    /// The elements of a window that lie within `timesteps` timesteps, each with its timestep.
    pub fn elements(self, window: usize, timesteps: usize) -> impl Iterator<Item = (usize, usize)> {
        let timestep = move |element: usize| {
            (window * self.strides + element * self.dilation).checked_sub(self.before)
        };
        let elements =
            (0..self.size).filter_map(move |element| Some((element, timestep(element)?)));
        elements.filter(move |&(_, timestep)| timestep < timesteps)
    }
}
