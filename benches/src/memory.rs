//! How much memory processes have.

use std::fs;

/// How many bytes of these processes are in memory, if the system tells. What they share counts for
/// each of them.
pub fn resident(pids: &[u32]) -> Option<u64> {
    let of = |pid: &u32| parse(&fs::read_to_string(format!("/proc/{pid}/status")).ok()?);
    pids.iter().map(of).sum()
}

/// `VmRSS` of `/proc/{pid}/status`, which is in kibibytes.
fn parse(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_resident_is_found() {
        assert_eq!(parse("Name:\ta\nVmRSS:\t    12 kB\n"), Some(12 << 10));
        assert_eq!(parse("Name:\ta\n"), None);
        let own = std::process::id();
        let once = resident(&[own]).expect("this process is there");
        assert!(resident(&[own, own]).expect("twice") > once);
        assert_eq!(resident(&[u32::MAX]), None);
    }
}
