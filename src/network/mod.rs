//! Networks: read from files, brought to one canonical cut, compiled to a plan of forward and adjoint steps.

pub mod graph;
pub mod onnx;
pub mod shape_arithmetic;
