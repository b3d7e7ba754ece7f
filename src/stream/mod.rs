//! One stream's life: source to engine to overlay to sink, frames in order.

mod beside;
mod between;
pub mod live;
mod maps;
mod reader;
mod recorded;
mod records;
mod summary;

pub use beside::check_beside;
pub use between::Between;
pub use recorded::{Progress, Settings, run};
pub use records::Labels;
pub use summary::{ClassShare, Residuals, StageSeconds, Summary};
