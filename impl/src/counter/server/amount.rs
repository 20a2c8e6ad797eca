//! By how much a client wants to count, as text.

/// So much is counted where nothing is said.
const USUAL: u64 = 1;

/// Reads an amount.
///
/// # Errors
/// In words, when it is none.
pub(crate) fn parse(text: Option<&str>) -> Result<u64, String> {
    let Some(text) = text else {
        return Ok(USUAL);
    };
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse::<u64>() {
        // A sign in front is no digit.
        Ok(amount) if is_digits(text) && amount > 0 => Ok(amount),
        Ok(0) if is_digits(text) => Err("the amount is 0: nothing is not an amount".to_owned()),
        Err(_) if text.strip_prefix('-').is_some_and(is_digits) => Err(format!(
            "the amount is {text}: this counter only grows, so it must be more than 0"
        )),
        Err(_) if is_digits(text) => {
            Err(format!("the amount is {text}: the largest is {}", u64::MAX))
        }
        _ => Err(format!(
            "the amount is `{}`: it must be a whole number above 0, in digits",
            shortened(text)
        )),
    }
}

/// What is quoted of it.
fn shortened(text: &str) -> String {
    text.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_is_a_whole_number_above_zero_or_it_is_said_what_it_is() {
        assert_eq!(parse(None), Ok(1));
        for (text, amount) in [("1", 1), ("007", 7), ("18446744073709551615", u64::MAX)] {
            assert_eq!(parse(Some(text)), Ok(amount), "{text}");
        }
        for (text, words) in [
            ("0", "nothing is not an amount"),
            ("-0", "only grows"),
            ("-1", "only grows"),
            ("-99999999999999999999", "only grows"),
            (
                "18446744073709551616",
                "the largest is 18446744073709551615",
            ),
            ("", "in digits"),
            ("-", "in digits"),
            ("+1", "in digits"),
            ("1.5", "in digits"),
            ("1e3", "in digits"),
            ("ten", "in digits"),
            ("１", "in digits"),
        ] {
            let told = parse(Some(text)).expect_err(text);
            assert!(told.contains(words), "{text}: {told}");
        }
    }
}
