//! Files to models. Nothing else in this crate knows a file format.

mod keras;
