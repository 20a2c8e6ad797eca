//! Which part of a file is asked for: `Range: bytes=0-99`, or `?offset=&length=`.

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// All of it.
    Whole,
    /// From `offset` on, `length` bytes at most.
    From { offset: u64, length: u64 },
    /// The last bytes.
    Last { length: u64 },
}

/// What a `Range` header asks for. One of another unit, of several ranges, or malformed is
/// ignored, as HTTP has it (RFC 9110, §14.2).
pub(crate) fn of_header(value: &str) -> Wanted {
    parse_header(value).unwrap_or(Wanted::Whole)
}

fn parse_header(value: &str) -> Option<Wanted> {
    let (first, last) = value.strip_prefix("bytes=")?.split_once('-')?;
    let (first, last) = (first.trim(), last.trim());
    if first.is_empty() {
        let length = number(last)?;
        return Some(Wanted::Last { length });
    }
    let offset = number(first)?;
    let length = match last {
        "" => u64::MAX,
        last => number(last)?.checked_sub(offset)?.saturating_add(1),
    };
    Some(Wanted::From { offset, length })
}

/// Digits and nothing else: no sign.
fn number(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_the_standard_has_them() {
        let from = |offset, length| Wanted::From { offset, length };
        for (value, wanted) in [
            ("bytes=0-0", from(0, 1)),
            ("bytes=5-9", from(5, 5)),
            ("bytes=5-", from(5, u64::MAX)),
            ("bytes=-7", Wanted::Last { length: 7 }),
            ("bytes=9-5", Wanted::Whole),
            ("bytes=0-1,3-4", Wanted::Whole),
            ("bytes=-", Wanted::Whole),
            ("bytes=+1-2", Wanted::Whole),
            ("lines=1-2", Wanted::Whole),
            ("", Wanted::Whole),
        ] {
            assert_eq!(of_header(value), wanted, "{value}");
        }
    }
}
