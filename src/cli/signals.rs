//! Ctrl-C and SIGTERM: the first asks to end properly, the second ends at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::error::{Error, Result};

/// A number that becomes the signal's when one comes.
///
/// # Errors
/// Kind::Runtime where the system refuses the handlers.
pub fn watch() -> Result<Arc<AtomicUsize>> {
    let stop = Arc::new(AtomicUsize::new(0));
    for signal in [SIGINT, SIGTERM] {
        let asked = Arc::new(AtomicBool::new(false));
        let refused = |error| Error::runtime("cannot watch for Ctrl-C").with_source(error);
        // The order counts: the second signal finds the flag that the first has set.
        flag::register_conditional_shutdown(signal, 128 + signal, asked.clone()).map_err(refused)?;
        flag::register(signal, asked).map_err(refused)?;
        flag::register_usize(signal, stop.clone(), signal as usize).map_err(refused)?;
    }
    Ok(stop)
}
