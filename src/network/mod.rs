//! Networks: read from files, brought to one canonical cut, compiled to a plan of forward and adjoint steps.

pub mod blocks;
mod broadcast;
mod canonical;
pub mod catalogue;
mod constant_folding;
pub mod device;
pub mod graph;
pub(crate) mod kernels;
pub mod load;
pub mod manifest;
pub(crate) mod memory;
mod onednn;
pub mod onnx;
pub mod op;
pub mod ops;
pub mod plan;
pub mod reading;
pub mod shape_arithmetic;
pub mod structure;
mod weights;
