//! Decodes a file's bytes as text: UTF-8, or UTF-16 where a byte order mark says so, as some
//! editors on Windows save it.

use std::borrow::Cow;

/// Why the bytes of a file are not text, and on which line, counted from 1.
#[derive(Debug)]
pub(super) struct NoText {
    pub(super) line: usize,
    pub(super) message: &'static str,
}

/// Decodes the bytes of a file as text.
///
/// # Errors
///
/// The bytes are not in the encoding that they seem to be in.
pub(super) fn decode(bytes: &[u8]) -> Result<Cow<'_, str>, NoText> {
    match bytes {
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes).map(Cow::Owned),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes).map(Cow::Owned),
        _ => std::str::from_utf8(bytes)
            .map(Cow::Borrowed)
            .map_err(|error| {
                let valid = &bytes[..error.valid_up_to()];
                NoText {
                    line: valid.split(|byte| *byte == b'\n').count(),
                    message: "not UTF-8 text",
                }
            }),
    }
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<String, NoText> {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let units = pairs.iter().map(|pair| unit(*pair));
    let mut text = String::with_capacity(pairs.len());
    let mut whole = rest.is_empty();
    for unit in char::decode_utf16(units) {
        match unit {
            Ok(character) => text.push(character),
            Err(_) => {
                whole = false;
                break;
            }
        }
    }
    if whole {
        return Ok(text);
    }
    Err(NoText {
        line: text.split('\n').count(),
        message: "not UTF-16 text",
    })
}
