//! Where and how exactly it is computed.

use std::num::NonZeroUsize;

use clap::ValueEnum;

use crate::engine::Asked;

/// Options that every computing subcommand has.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Computing")]
pub struct ComputeOptions {
    /// Where to compute: auto, cpu, or CUDA devices as cuda:0 or cuda:0,cuda:1.
    ///
    /// auto is the first CUDA device where there is a driver and libtorch's CUDA part, else the processor. Several devices compute side by side.
    #[arg(long, value_name = "DEVICE", default_value_t = Asked::Auto)]
    pub device: Asked,

    /// Type of the numbers to compute with.
    #[arg(long, value_enum, default_value_t = Precision::Auto)]
    pub precision: Precision,

    /// Frames computed together, at most.
    #[arg(long, value_name = "N", default_value = "8")]
    pub batch: NonZeroUsize,

    /// Threads to compute with, in all [default: one a processor core].
    #[arg(long, value_name = "N")]
    pub threads: Option<NonZeroUsize>,
}

/// How many batches are computed side by side.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Computing")]
pub struct PoolOptions {
    /// Parts of a batch computed side by side; each worker has a copy of the network and its share of --threads. On CUDA devices: workers of each [default: one a thread, or one a CUDA device].
    #[arg(long, value_name = "N")]
    pub workers: Option<NonZeroUsize>,
}

/// Type of the numbers to compute with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Precision {
    /// f32 for tensors, else the fastest that the device does well.
    Auto,
    /// 32 bits.
    F32,
    /// 16 bits with the exponent of f32.
    Bf16,
    /// 16 bits with more digits than bf16 and no number above 65504; for graphics cards, slow on a processor.
    F16,
    /// 64 bits.
    F64,
}
