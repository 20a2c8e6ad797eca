//! Of how long a part of the window a client asks, and what it is told.

use models::counter::window::Window;
use serde::{Deserialize, Serialize};

/// What was counted lately, as `/window` shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowPage {
    /// What all nodes have counted in that time, as far as this one has heard.
    pub value: u128,
    /// From when on, in milliseconds since 1970 by this node's clock: the start of a bucket.
    pub since_ms: u64,
    /// Until when.
    pub until_ms: u64,
}

/// How many of the window's buckets the `text` in seconds is; all where nothing is said.
///
/// # Errors
/// In words, when it is none, or longer than the window.
pub(crate) fn buckets(text: Option<&str>, window: Option<Window>) -> Result<u64, String> {
    let window = window.ok_or("this node keeps no window: its file says window.buckets = 0")?;
    let Some(text) = text else {
        return Ok(window.buckets());
    };
    let is_digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = text.parse::<u64>().ok().filter(|_| is_digits);
    let Some(seconds) = seconds.filter(|seconds| *seconds > 0) else {
        let quoted: String = text.chars().take(40).collect();
        return Err(format!(
            "secs is `{quoted}`: it must be a whole number of seconds above 0, in digits"
        ));
    };
    let wanted = seconds.saturating_mul(1000).div_ceil(window.width());
    if wanted > window.buckets() {
        let longest = window.width().saturating_mul(window.buckets()) / 1000;
        return Err(format!(
            "secs is {seconds}, and this node keeps what was counted in the latest {longest} seconds"
        ));
    }
    Ok(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_so_many_buckets_and_no_more_than_there_are() {
        let window = Some(Window::new(1500, 4));
        for (text, count) in [(None, 4), (Some("1"), 1), (Some("2"), 2), (Some("6"), 4)] {
            assert_eq!(buckets(text, window), Ok(count), "{text:?}");
        }
        for (text, words) in [
            ("7", "the latest 6 seconds"),
            ("18446744073709551615", "the latest 6 seconds"),
            ("0", "above 0"),
            ("-1", "above 0"),
            ("", "above 0"),
            ("1m", "above 0"),
        ] {
            let told = buckets(Some(text), window).expect_err(text);
            assert!(told.contains(words), "{text}: {told}");
        }
        let told = buckets(None, None).expect_err("no window");
        assert!(told.contains("keeps no window"), "{told}");
    }
}
