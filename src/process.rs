//! What the process asks of the system: memory it has used, and how malloc treats its pages.

use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Largest resident memory so far; 0 where the system does not tell.
pub fn peak_rss_bytes() -> u64 {
    status_bytes("VmHWM:")
}

/// Resident memory now; 0 where the system does not tell.
pub fn rss_bytes() -> u64 {
    status_bytes("VmRSS:")
}

fn status_bytes(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

/// Tells malloc to keep the pages that a batch frees for the next batch: fresh ones cost a fault and a clearing each.
pub fn keep_pages() {
    // SAFETY: mallopt only sets numbers of the allocator; glibc documents both parameters.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, 1 << 30);
        libc::mallopt(libc::M_TRIM_THRESHOLD, i32::MAX);
        libc::mallopt(libc::M_MMAP_MAX, 0);
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}

/// Whether this process may write to a file, or make files in a folder, that is there.
pub fn may_write(path: &Path) -> bool {
    let asked = if path.is_dir() { libc::W_OK | libc::X_OK } else { libc::W_OK };
    // SAFETY: access only reads the text, which ends in a zero.
    CString::new(path.as_os_str().as_bytes()).is_ok_and(|text| unsafe { libc::access(text.as_ptr(), asked) } == 0)
}
