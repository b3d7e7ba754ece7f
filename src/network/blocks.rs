//! The memory of libtorch's tensors on the processor: blocks are kept by size when a tensor ends and handed out again, so that a batch
//! like the one before touches no fresh page and calls no malloc. Known to libtorch by a few lines of C++ (`blocks.cpp`).

use std::alloc::{Layout, alloc, dealloc};
use std::collections::BTreeMap;
use std::sync::{Mutex, Once};

/// Before a block's bytes stands its whole size; as long as the alignment that libtorch wants.
const HEADER_BYTES: usize = 64;
/// Blocks from this size on are laid out for the system's large pages.
const LARGE_PAGE_BYTES: usize = 2 << 20;
/// Blocks kept beside those in use, as a share of the most that was ever in use.
const SPARE: f64 = 2.0;

/// What the blocks add up to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes of blocks that tensors hold.
    pub in_use_bytes: usize,
    /// The most that tensors held at a time.
    pub peak_bytes: usize,
    /// Bytes of blocks that are kept for tensors to come.
    pub kept_bytes: usize,
}

struct Pool {
    /// Addresses of blocks that nobody holds, by size.
    kept: BTreeMap<usize, Vec<usize>>,
    usage: Usage,
}

static POOL: Mutex<Pool> = Mutex::new(Pool { kept: BTreeMap::new(), usage: Usage { in_use_bytes: 0, peak_bytes: 0, kept_bytes: 0 } });

unsafe extern "C" {
    fn gradcast_install_allocator();
}

/// Makes libtorch take the memory of its tensors from here, in the whole process.
pub fn install() {
    static ONCE: Once = Once::new();
    // SAFETY: tensors that exist already keep the way in which their memory is freed.
    ONCE.call_once(|| unsafe { gradcast_install_allocator() });
}

/// What tensors hold now, and held at most.
pub fn usage() -> Usage {
    pool(|pool| pool.usage)
}

/// The most that tensors hold counts from now on.
pub fn reset_peak() {
    pool(|pool| pool.usage.peak_bytes = pool.usage.in_use_bytes);
}

/// Gives all blocks back that nobody holds, and counts the most anew: what came before does not come again, as when plans are compiled.
pub fn release() {
    pool(|pool| {
        while pool.free_one() {}
        pool.usage.peak_bytes = pool.usage.in_use_bytes;
    });
}

fn pool<T>(act: impl FnOnce(&mut Pool) -> T) -> T {
    act(&mut POOL.lock().unwrap_or_else(|poisoned| poisoned.into_inner()))
}

/// The size of the block for so many bytes: few different sizes, at most an eighth larger than asked for.
fn block_bytes(bytes: usize) -> usize {
    let bytes = bytes + HEADER_BYTES;
    let step = (bytes.next_power_of_two() / 16).max(HEADER_BYTES);
    bytes.next_multiple_of(step)
}

fn layout(block_bytes: usize) -> Layout {
    let align = if block_bytes >= LARGE_PAGE_BYTES { LARGE_PAGE_BYTES } else { HEADER_BYTES };
    Layout::from_size_align(block_bytes, align).expect("a block's size is far below the address space")
}

impl Pool {
    fn take(&mut self, size: usize) -> Option<usize> {
        let address = self.kept.get_mut(&size)?.pop()?;
        self.usage.kept_bytes -= size;
        Some(address)
    }

    fn hold(&mut self, size: usize) {
        self.usage.in_use_bytes += size;
        self.usage.peak_bytes = self.usage.peak_bytes.max(self.usage.in_use_bytes);
    }

    fn keep(&mut self, address: usize, size: usize) {
        self.usage.in_use_bytes -= size;
        self.usage.kept_bytes += size;
        self.kept.entry(size).or_default().push(address);
        let most = (self.usage.peak_bytes as f64 * (1.0 + SPARE)) as usize;
        while self.usage.kept_bytes + self.usage.in_use_bytes > most && self.free_one() {}
    }

    /// Gives the largest kept block back to the system; false where none is kept.
    fn free_one(&mut self) -> bool {
        let Some(mut entry) = self.kept.last_entry() else { return false };
        let size = *entry.key();
        if let Some(address) = entry.get_mut().pop() {
            self.usage.kept_bytes -= size;
            // SAFETY: the block came from `alloc` with the same layout, and nobody holds it.
            unsafe { dealloc(address as *mut u8, layout(size)) };
        } else {
            entry.remove();
        }
        true
    }
}

/// A block with room for so many bytes, aligned to 64; null where there is no memory.
///
/// # Safety
/// It is given back by [`gradcast_give_block`] only.
#[unsafe(no_mangle)]
unsafe extern "C" fn gradcast_take_block(bytes: usize) -> *mut u8 {
    if bytes > isize::MAX as usize / 4 {
        return std::ptr::null_mut();
    }
    #[cfg(test)]
    if bytes > tests::LARGEST_BYTES.get() {
        return std::ptr::null_mut();
    }
    let size = block_bytes(bytes);
    let address = match pool(|pool| pool.take(size)) {
        Some(address) => address,
        None => match fresh(size) {
            0 => {
                pool(|pool| while pool.free_one() {});
                fresh(size)
            }
            address => address,
        },
    };
    if address == 0 {
        return std::ptr::null_mut();
    }
    pool(|pool| pool.hold(size));
    let block = address as *mut u8;
    // SAFETY: the block is at least a header long, and aligned for a usize.
    unsafe {
        block.cast::<usize>().write(size);
        block.add(HEADER_BYTES)
    }
}

/// Takes back what [`gradcast_take_block`] gave; null is nothing.
///
/// # Safety
/// `data` came from there and is not used any more.
#[unsafe(no_mangle)]
unsafe extern "C" fn gradcast_give_block(data: *mut u8) {
    if data.is_null() {
        return;
    }
    // SAFETY: the header stands before the data.
    let (block, size) = unsafe {
        let block = data.sub(HEADER_BYTES);
        (block, block.cast::<usize>().read())
    };
    pool(|pool| pool.keep(block as usize, size));
}

/// A new block's address, 0 where there is no memory.
fn fresh(size: usize) -> usize {
    // SAFETY: the size is not zero.
    let block = unsafe { alloc(layout(size)) };
    if size >= LARGE_PAGE_BYTES && !block.is_null() {
        // SAFETY: the range lies in the block just made; the advice changes nothing of its contents.
        #[cfg(target_os = "linux")]
        unsafe {
            libc::madvise(block.cast(), size - size % LARGE_PAGE_BYTES, libc::MADV_HUGEPAGE);
        }
    }
    block as usize
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::cell::Cell;

    thread_local! {
        /// Larger blocks find no memory on this thread.
        pub(crate) static LARGEST_BYTES: Cell<usize> = const { Cell::new(usize::MAX) };
    }

    #[test]
    fn sizes_are_few_and_hardly_larger_than_asked_for() {
        for bytes in [1, 64, 1000, 4096, 100_000, 3_211_264, 1 << 30] {
            let size = block_bytes(bytes);
            assert!(size >= bytes + HEADER_BYTES && size.is_multiple_of(HEADER_BYTES));
            assert!(size <= bytes + bytes / 8 + 2 * HEADER_BYTES, "{bytes} bytes in a block of {size}");
        }
    }

    #[test]
    fn a_block_comes_again_and_keeps_to_itself() {
        // SAFETY: blocks are given back once, and written within their size.
        unsafe {
            let size = 987_654;
            let first = gradcast_take_block(size);
            let second = gradcast_take_block(size);
            assert!(first.is_aligned_to_64() && second.is_aligned_to_64() && first != second);
            first.write_bytes(1, size);
            second.write_bytes(2, size);
            assert_eq!((first.read(), first.add(size - 1).read()), (1, 1));
            let held = usage().in_use_bytes;
            assert!(held >= 2 * size);
            // Tests beside this one may give all kept blocks back to the system in between.
            let mut block = first;
            let comes_again = (0..100).any(|_| {
                gradcast_give_block(block);
                let before = std::mem::replace(&mut block, gradcast_take_block(size));
                block == before
            });
            assert!(comes_again);
            gradcast_give_block(block);
            gradcast_give_block(second);
            gradcast_give_block(std::ptr::null_mut());
        }
    }

    #[test]
    fn what_nobody_has_is_a_null() {
        // SAFETY: nothing is made.
        assert!(unsafe { gradcast_take_block(usize::MAX / 2) }.is_null());
    }

    trait Aligned {
        fn is_aligned_to_64(&self) -> bool;
    }

    impl Aligned for *mut u8 {
        fn is_aligned_to_64(&self) -> bool {
            (*self as usize).is_multiple_of(64)
        }
    }
}
