//! What the system says of a process: memory, descriptors, threads, and time on processors.
#![allow(dead_code)] // each that uses it uses its part

use std::time::Duration;

/// What the system says of the process.
#[derive(Debug, Clone, Copy)]
pub struct Reading {
    pub resident_bytes: u64,
    pub descriptors: usize,
    pub threads: usize,
    pub cpu: Duration,
}

pub fn reading(pid: u32) -> Reading {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let field = |key: &str| -> u64 {
        let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default();
        line.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(0)
    };
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after_name = stat.rsplit(") ").next().unwrap_or_default();
    let ticks: u64 = after_name.split(' ').skip(11).take(2).filter_map(|number| number.parse::<u64>().ok()).sum();
    // SAFETY: sysconf only reads.
    let per_second = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    Reading {
        resident_bytes: field("VmRSS:") * 1024,
        descriptors: std::fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count),
        threads: field("Threads:") as usize,
        cpu: Duration::from_secs_f64(ticks as f64 / per_second as f64),
    }
}
