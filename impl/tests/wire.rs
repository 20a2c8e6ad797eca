//! The decoder of frames, fed with anything.

use bytes::BytesMut;
use lockstep::runtime::transport::{FrameError, decode_frame, encode_frame};
use proptest::prelude::*;

const LIMIT: usize = 1000;

/// Every frame that comes out of `buffer`, or the error that ends it.
fn decode_all(buffer: &mut BytesMut) -> Result<Vec<Vec<u8>>, FrameError> {
    let mut payloads = Vec::new();
    while let Some(payload) = decode_frame(buffer, LIMIT)? {
        payloads.push(payload.to_vec());
    }
    Ok(payloads)
}

fn encoded(values: &[String]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for value in values {
        encode_frame(value, LIMIT, &mut bytes).expect("small enough");
    }
    bytes
}

proptest! {
    /// However the bytes are cut into reads, the same frames come out.
    #[test]
    fn frames_survive_any_chunking(
        values in prop::collection::vec(".{0,40}", 0..8),
        chunk in 1_usize..50,
    ) {
        let mut buffer = BytesMut::new();
        let mut payloads = Vec::new();
        for bytes in encoded(&values).chunks(chunk) {
            buffer.extend_from_slice(bytes);
            payloads.extend(decode_all(&mut buffer).expect("intact"));
        }
        let decoded: Vec<String> = payloads
            .iter()
            .map(|payload| postcard::from_bytes(payload).expect("a string"))
            .collect();
        prop_assert_eq!(decoded, values);
    }

    /// Garbage yields an error or waits for more. It never panics, and never makes room for
    /// what it merely announces.
    #[test]
    fn garbage_does_no_harm(garbage in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut buffer = BytesMut::from(garbage.as_slice());
        let before = buffer.capacity();
        let _ = decode_all(&mut buffer);
        prop_assert!(buffer.capacity() <= before);
    }

    /// One wrong byte never yields another payload than one that was sent.
    #[test]
    fn a_wrong_byte_is_noticed(at in any::<prop::sample::Index>(), flip in 1_u8..) {
        let values = ["one".to_owned(), "two".to_owned()];
        let sent = decode_all(&mut BytesMut::from(encoded(&values).as_slice())).expect("intact");
        let mut bytes = encoded(&values);
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        if let Ok(payloads) = decode_all(&mut BytesMut::from(bytes.as_slice())) {
            prop_assert!(sent.starts_with(&payloads) && payloads.len() < sent.len());
        }
    }
}

#[test]
fn a_value_that_is_too_large_leaves_the_buffer_alone() {
    let mut buffer = b"before".to_vec();
    let error = encode_frame(&"x".repeat(LIMIT + 1), LIMIT, &mut buffer).expect_err("too large");
    assert!(
        matches!(error, FrameError::TooLarge { limit: LIMIT, .. }),
        "{error}"
    );
    assert_eq!(buffer, b"before");
}

#[test]
fn an_announcement_that_is_too_large_is_refused_at_once() {
    let mut header = BytesMut::from([0xff; 8].as_slice());
    let refused = decode_frame(&mut header, LIMIT).expect_err("too large");
    assert!(matches!(refused, FrameError::TooLarge { .. }), "{refused}");
}
