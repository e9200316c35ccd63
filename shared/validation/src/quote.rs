//! How bytes from a stranger are shown to a person: printable ASCII, in quotes, cut short.

/// The most bytes that are shown of one thing.
const SHOWN: usize = 128;

/// The bytes in quotes, everything but printable ASCII escaped, with `...` where they were cut.
pub(crate) fn quoted(bytes: &[u8]) -> String {
    let shown = &bytes[..bytes.len().min(SHOWN)];
    let cut = if shown.len() < bytes.len() { "..." } else { "" };
    format!("\"{}\"{cut}", shown.escape_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_unprintable_passes_and_length_is_bounded() {
        assert_eq!(quoted(b"plain"), "\"plain\"");
        assert_eq!(quoted(b"a\"\n\x1b[31m\xff"), r#""a\"\n\x1b[31m\xff""#);
        let long = quoted(&[b'x'; 1000]);
        assert_eq!(long.len(), SHOWN + "\"\"...".len());
        assert!(long.ends_with("..."));
    }
}
