//! Bytes as text, whatever program wrote them.

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8, WINDOWS_1254};

/// What a byte order mark says; else UTF-8; else what Turkish Windows writes, in which all bytes are text.
pub(crate) fn decode(bytes: &[u8]) -> Cow<'_, str> {
    let (encoding, bytes) = match Encoding::for_bom(bytes) {
        Some((encoding, length)) => (encoding, bytes.get(length..).unwrap_or_default()),
        None => (UTF_8, bytes),
    };
    encoding
        .decode_without_bom_handling_and_without_replacement(bytes)
        .unwrap_or_else(|| WINDOWS_1254.decode_without_bom_handling(bytes).0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spreadsheets_of_turkish_windows_are_read() {
        let text = "bölüm;öğrenci şİı";
        let (windows, ..) = WINDOWS_1254.encode(text);
        let utf16: Vec<u8> = [0xfeff]
            .into_iter()
            .chain(text.encode_utf16())
            .flat_map(u16::to_le_bytes)
            .collect();
        for bytes in [
            text.as_bytes(),
            format!("\u{feff}{text}").as_bytes(),
            &windows,
            &utf16,
        ] {
            assert_eq!(decode(bytes), text);
        }
        assert!(matches!(decode(text.as_bytes()), Cow::Borrowed(_)));
    }
}
