//! Which trace something belongs to, and below which span (W3C Trace Context, `traceparent`).

use std::fmt;
use std::str::FromStr;

/// A span of a trace, named so that another process can go on below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceParent {
    /// The trace; not zero.
    pub trace: u128,
    /// The span; not zero.
    pub span: u64,
    /// Whether the trace is recorded; all of its processes follow whoever began it.
    pub sampled: bool,
}

/// What is no `traceparent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a traceparent such as 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")]
pub struct InvalidTraceParent;

impl FromStr for TraceParent {
    type Err = InvalidTraceParent;

    /// Reads the header's value. Of a later version the first four fields are read, as W3C Trace Context §4.3 has it.
    fn from_str(text: &str) -> Result<Self, InvalidTraceParent> {
        let mut fields = text.split('-');
        let mut field = |digits| hexadecimal(fields.next(), digits);
        let version = field(2)?;
        let (trace, span, flags) = (field(32)?, field(16)?, field(2)?);
        let more = fields.next().is_some();
        let span = u64::try_from(span).map_err(|_| InvalidTraceParent)?;
        if version == 0xff || (version == 0 && more) || trace == 0 || span == 0 {
            return Err(InvalidTraceParent);
        }
        Ok(Self {
            trace,
            span,
            sampled: flags & 1 == 1,
        })
    }
}

fn hexadecimal(field: Option<&str>, digits: usize) -> Result<u128, InvalidTraceParent> {
    field
        .filter(|field| field.len() == digits)
        .filter(|field| {
            field
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        })
        .and_then(|field| u128::from_str_radix(field, 16).ok())
        .ok_or(InvalidTraceParent)
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags = u8::from(self.sampled);
        write!(f, "00-{:032x}-{:016x}-{flags:02x}", self.trace, self.span)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn what_is_written_is_read_again() {
        let parent: TraceParent = EXAMPLE.parse().unwrap();
        assert_eq!(parent.trace, 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736);
        assert_eq!((parent.span, parent.sampled), (0x00f0_67aa_0ba9_02b7, true));
        assert_eq!(parent.to_string(), EXAMPLE);
        let silent = EXAMPLE.replace("b7-01", "b7-00");
        assert!(!silent.parse::<TraceParent>().unwrap().sampled);
    }

    #[test]
    fn a_later_version_may_have_more_fields_and_nothing_else_is_let_through() {
        let later = EXAMPLE.replacen("00-", "01-", 1) + "-more";
        assert_eq!(later.parse(), EXAMPLE.parse::<TraceParent>());
        let (trace, span) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
        for bad in [
            String::new(),
            EXAMPLE.to_owned() + "-more",
            EXAMPLE.to_uppercase(),
            EXAMPLE.replacen("00-", "ff-", 1),
            EXAMPLE.replace(trace, &"0".repeat(32)),
            EXAMPLE.replace(span, &"0".repeat(16)),
            EXAMPLE.replace(trace, "+bf92f3577b34da6a3ce929d0e0e4736"),
            EXAMPLE.replace("-01", "-1"),
            format!("00-{trace}-{span}"),
        ] {
            assert_eq!(bad.parse::<TraceParent>(), Err(InvalidTraceParent), "{bad}");
        }
    }
}
