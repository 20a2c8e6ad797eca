//! Byte strings as text: base64 and hexadecimal digits as a user writes them, and lines for a
//! terminal.

use std::fmt::Write;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The bytes that `text` stands for in base64: the standard alphabet or the one for URLs, padded
/// or not.
///
/// # Errors
/// In words, when it is no base64.
pub fn decode_base64(text: &str) -> Result<Vec<u8>, String> {
    let standard = text.replace('-', "+").replace('_', "/");
    LENIENT
        .decode(standard)
        .map_err(|error| format!("`{text}` is no base64: {error}"))
}

/// The bytes that `text` stands for in hexadecimal digits, two for each.
///
/// # Errors
/// In words, when there are other characters, or an odd number of digits.
pub fn decode_hex(text: &str) -> Result<Vec<u8>, String> {
    let wrong = || format!("`{text}` is no hexadecimal: two digits, 0-9 or a-f, for each byte");
    // Without this the slices below might not be at the ends of characters, and `+f` a number.
    if !text.len().is_multiple_of(2) || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(wrong());
    }
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).map_err(|_| wrong()))
        .collect()
}

/// `bytes` in one line: UTF-8 as it is, but for a backslash and for what would not show or would
/// break the line; each byte that is no UTF-8 as `\xff`.
pub fn escape(bytes: &[u8]) -> String {
    let mut line = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            if character.is_control() || character == '\\' {
                line.extend(character.escape_default());
            } else {
                line.push(character);
            }
        }
        for byte in chunk.invalid() {
            // Writing to a string cannot fail.
            let _ = write!(line, "\\x{byte:02x}");
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_read_in_every_usual_form() {
        for text in ["+/8=", "-_8=", "-_8", "+/8"] {
            assert_eq!(decode_base64(text), Ok(vec![0xfb, 0xff]), "{text}");
        }
        assert_eq!(decode_base64(""), Ok(Vec::new()));
        assert!(decode_base64("a").is_err());
        assert!(decode_base64("a b=").is_err());
    }

    #[test]
    fn hexadecimal_is_two_digits_for_each_byte_and_nothing_else() {
        assert_eq!(decode_hex("00fFa1"), Ok(vec![0, 0xff, 0xa1]));
        for text in ["0", "0g", "+f", "0x00", "é"] {
            assert!(decode_hex(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_line_stays_a_line_and_is_unambiguous() {
        assert_eq!(escape("blå \u{1F600}".as_bytes()), "blå \u{1F600}");
        assert_eq!(escape(b"a\nb\tc\\d\0"), "a\\nb\\tc\\\\d\\u{0}");
        assert_eq!(escape(b"\xff\xfea"), "\\xff\\xfea");
        assert_ne!(escape(b"\\xff"), escape(b"\xff"));
    }
}
