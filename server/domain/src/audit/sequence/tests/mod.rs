//! The sequencer over a store in memory that fails when it is told to.

mod batches;
mod bench;
mod faults;
mod load;
mod model;
mod waiting;
