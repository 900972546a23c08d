//! Models that Keras saved: `.keras` archives and legacy HDF5 files, of Keras 2 and Keras 3.
//! Everything in a file is untrusted.
//!
//! The way of a file, which is also the order in which to read; no file uses one further down:
//!
//! * [`messages`] and [`limits`]: what errors say of a file, and how much it may ask for;
//!   [`version`]: which Keras wrote it.
//! * [`file`] takes it apart into the configuration ([`json`]) and the weights ([`hdf5`]).
//! * [`class`]: which classes there are, and which operations ([`operation`]); [`custom`]: those
//!   that the caller builds; [`entry`]: the layers in a configuration, with those of the models
//!   among them.
//! * [`arguments`] and [`activation`] read a layer's arguments; [`stateless`], [`conv_lstm`],
//!   [`recurrent`], [`wrapped`] (what the caller builds, in wrappers or not) and [`layer`] build
//!   the layers.
//! * [`network`]: which layers a model calls on what, in a row or as a functional model says
//!   ([`call`], [`reference`], in the [`order`] in which Keras runs them); [`sequential`]: what a
//!   row reads.
//! * [`assembly`] adds and calls layers in a graph; [`graph`] does so as the networks of the model
//!   and of the models in it ([`level`], [`scope`]) say, with the masks of [`mask_operation`] and
//!   [`given_mask`].
//! * [`slot`]: where each array of a layer stands, in an [`archive`], a [`legacy`] file or the
//!   layout of [`cudnn`]; [`quantized`]: what stands for them there; [`weights`] reads them into
//!   the model.
//! * [`load`] does all of it, and [`inspect`] reports on a file, whether it can be loaded or not.

mod activation;
mod archive;
mod arguments;
mod assembly;
mod call;
mod class;
mod conv_lstm;
mod cudnn;
mod custom;
mod entry;
mod file;
mod given_mask;
mod graph;
mod hdf5;
mod inspect;
mod json;
mod layer;
mod legacy;
mod level;
mod limits;
mod load;
mod mask_operation;
mod merged;
mod messages;
mod network;
mod operation;
mod order;
mod quantized;
mod recurrent;
mod reference;
mod scope;
mod sequential;
mod slot;
mod stateless;
mod version;
mod weights;
mod wrapped;

#[cfg(test)]
mod tests;

pub use custom::{CustomLayer, KerasLayer, KerasOptions};
pub use inspect::{KerasFileReport, KerasLayerReport, inspect_keras};
pub use limits::KerasLimits;
pub use operation::keras_operations;
