//! Asking for memory before it is read.

use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};

/// How far ahead is asked: as many bytes as the processor reads, more or less, until memory has answered.
const AHEAD_BYTES: usize = 4096;

/// Asks for what stands a while behind `at`. An activation was written long before its term is made and has left the caches since; the
/// processor's own guesses come too late for it.
#[inline(always)]
pub fn ahead<E>(values: &[E], at: usize) {
    let place = values.as_ptr().wrapping_add(at).wrapping_byte_add(AHEAD_BYTES);
    // SAFETY: every x86-64 processor has SSE; a request reads nothing that the program sees, and one past the end has no effect.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(place.cast()) };
}
