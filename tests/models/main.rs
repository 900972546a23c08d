//! Models built in Rust, on every backend: cells, layers, masks, memory orders, edges of numbers,
//! errors, and many calls at once.

#[cfg(feature = "gpu")]
#[path = "../common/device.rs"]
mod device;
#[path = "../common/orders.rs"]
mod orders;
#[path = "../common/random_layers.rs"]
mod random_layers;

mod cells;
mod errors;
mod layers_random;
mod load;
mod masks;
mod memory_orders;
mod numbers;
mod profile;
mod run_into;
