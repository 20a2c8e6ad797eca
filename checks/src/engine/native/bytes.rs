//! Numbers as bytes: small ones take one.

/// Appends a number: seven bits a byte, the lowest first, and the highest bit of each but the
/// last is set.
pub(in crate::engine) fn write(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// Takes a number off the front.
///
/// # Panics
/// If there is none: the bytes are our own.
pub(in crate::engine) fn read(bytes: &mut &[u8]) -> u64 {
    let mut number = 0;
    for position in 0.. {
        let (&byte, rest) = bytes.split_first().expect("a number was written");
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << (7 * position);
        if byte < 0x80 {
            break;
        }
    }
    number
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_was_written_is_read(numbers in prop::collection::vec(prop_oneof![any::<u64>(), 0u64..1000], 0..100)) {
            let mut bytes = Vec::new();
            numbers.iter().for_each(|&number| super::write(&mut bytes, number));
            let mut reader = bytes.as_slice();
            for number in numbers {
                prop_assert_eq!(super::read(&mut reader), number);
            }
            prop_assert!(reader.is_empty());
        }
    }
}
