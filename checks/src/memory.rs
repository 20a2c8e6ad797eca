//! How much memory this process uses, as far as the operating system tells.

use std::fs;

/// The resident set in bytes.
pub fn resident() -> Option<u64> {
    field("VmRSS:")
}

/// The largest resident set since the last [`reset_peak`], in bytes.
pub fn peak() -> Option<u64> {
    field("VmHWM:")
}

/// Starts the peak anew, so that one run's peak is not the last one's. Where the system
/// does not offer that, the peak is that of the process so far.
pub fn reset_peak() {
    let _ = fs::write("/proc/self/clear_refs", "5");
}

fn field(name: &str) -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}
