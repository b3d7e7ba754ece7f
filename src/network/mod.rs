//! Networks: read from files, brought to one canonical cut, compiled to a plan of forward and adjoint steps.

pub mod catalogue;
pub mod graph;
pub mod manifest;
