//! Durations on the command line.

use std::time::Duration;

/// Reads a duration: a whole number with ms, s, m or h behind it; of seconds, if nothing is.
pub(super) fn parse(text: &str) -> Result<Duration, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let factor = match unit {
        "ms" => 1,
        "" | "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => 0,
    };
    let millis = number.parse::<u64>().ok().filter(|_| factor > 0);
    let millis = millis.and_then(|number| number.checked_mul(factor));
    millis.map(Duration::from_millis).ok_or_else(|| {
        "write a whole number with ms, s, m or h behind it, such as 500ms or 30s".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_a_unit_or_means_seconds() {
        for (text, millis) in [
            ("0", 0),
            ("7", 7000),
            ("500ms", 500),
            ("30s", 30_000),
            ("2m", 120_000),
            ("1h", 3_600_000),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in [
            "",
            "s",
            "1.5s",
            "-1",
            "1 s",
            "1d",
            "99999999999999999999",
            "18446744073709551615h",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
