//! CPU time of the calling thread: what a single-threaded bench would take on an idle core,
//! nearly, however often others are let in between.

use std::fs;
use std::time::Duration;

/// How long this thread has been on a core, if the system tells.
pub fn of_thread() -> Option<Duration> {
    parse(&fs::read_to_string("/proc/thread-self/schedstat").ok()?)
}

/// The first of three numbers: nanoseconds on a core.
fn parse(schedstat: &str) -> Option<Duration> {
    let nanos = schedstat.split_whitespace().next()?.parse().ok()?;
    Some(Duration::from_nanos(nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_number_counts() {
        assert_eq!(parse("1500 20 3\n"), Some(Duration::from_nanos(1500)));
        assert_eq!(parse(""), None);
    }
}
