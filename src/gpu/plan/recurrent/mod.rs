//! Recurrences: their directions in groups ([`group`]), and what a group's launches have in common
//! ([`call`]); the launches themselves ([`recurrence`]), before them the initial states
//! ([`states`]) and behind them the outputs ([`outputs`]); and recurrences that work at the same
//! time ([`stack`]).

mod call;
mod group;
mod outputs;
mod recurrence;
mod stack;
mod states;

pub(super) use group::{Group, groups, most_rows};
