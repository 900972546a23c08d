//! Models and weights that PyTorch saved.
//!
//! [`Model::from_torch`](crate::Model::from_torch) reads a state dict of one `nn.LSTM`, `nn.GRU` or
//! `nn.RNN`. Of any other model a [`StateDict`] gives the parts, which are connected in Rust as the
//! model's `forward` does. Nothing in a file is executed.
//!
//! Arrays are batch first, as all of birnn's are: `[batch, timesteps, features]`. A module with
//! `batch_first=False`, PyTorch's default, has the same weights and computes the same; only its
//! arrays are `[timesteps, batch, features]`. An array `x` of that shape is given as
//! `x.view().permuted_axes([1, 0, 2])`, without a copy.

// The way of a file, which is also the order in which to read; no file uses one further down:
//
// * `messages` and `limits`: what errors say of a file, and how much it may ask for.
// * `tensor`: a tensor and its values. `pickle` reads Python's pickles, `checkpoint` finds tensors
//   in them. `legacy_file`, `zip_file` and `safetensors_file` read the three formats, and `file`
//   chooses among them.
// * `reader` finds tensors by name; `recurrent` makes layers of those of a recurrent module,
//   `parts` says what else there is.
// * `state_dict` adds parts to graphs, `load` makes models of one recurrent module.

mod checkpoint;
mod file;
mod legacy_file;
mod limits;
mod load;
mod messages;
mod parts;
mod pickle;
mod reader;
mod recurrent;
mod safetensors_file;
mod state_dict;
mod tensor;
mod zip_file;

pub use limits::TorchLimits;
pub use load::{TorchOptions, c_n, h_n};
pub use parts::PartInfo;
pub use recurrent::Recurrent;
pub use state_dict::{Conv1d, StateDict, TensorInfo};
