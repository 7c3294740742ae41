//! Trace contexts as W3C Trace Context writes them: `00-<trace id>-<span id>-<flags>`.

use std::fmt;

/// Which span of which trace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Context {
    /// Never 0 in a context that was made or parsed.
    pub trace: u128,
    /// The same.
    pub span: u64,
    /// Whether the trace is recorded.
    pub sampled: bool,
    /// What other vendors say, passed on as it came.
    pub state: Option<Box<str>>,
}

/// The longest `tracestate` that is kept: what the standard asks for at least.
const MAX_STATE: usize = 512;

impl Context {
    /// The root of a new trace.
    pub(super) fn root(sampled: bool) -> Self {
        Self {
            trace: fastrand::u128(1..),
            span: fastrand::u64(1..),
            sampled,
            state: None,
        }
    }

    /// The root of a new trace, which is recorded with this probability.
    pub(super) fn sampled_at(share: f64) -> Self {
        // By the trace's id, as OpenTelemetry's samplers do: whoever has the same share decides the same.
        let mut root = Self::root(false);
        let low = root.trace & u128::from(u64::MAX >> 1);
        root.sampled = (low as f64) < share * 2_f64.powi(63);
        root
    }

    /// Another span of the same trace.
    pub(super) fn child(&self) -> Self {
        Self {
            span: fastrand::u64(1..),
            ..self.clone()
        }
    }

    /// Reads `traceparent` and `tracestate`. None for what the standard says must be ignored.
    pub(super) fn parse(parent: &str, state: Option<&str>) -> Option<Self> {
        let mut parts = parent.trim().split('-');
        let (version, trace, span, flags) =
            (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        // A later version may have more; this one has not.
        if version == "ff" || (version == "00" && parts.next().is_some()) {
            return None;
        }
        hex(version, 2)?;
        let (trace, span) = (hex(trace, 32)?, u64::try_from(hex(span, 16)?).ok()?);
        let flags = hex(flags, 2)?;
        let state = state.filter(|state| !state.is_empty() && state.len() <= MAX_STATE);
        (trace != 0 && span != 0).then(|| Self {
            trace,
            span,
            sampled: flags & 1 == 1,
            state: state.map(Into::into),
        })
    }
}

/// Lower-case hexadecimal of exactly this length.
fn hex(text: &str, digits: usize) -> Option<u128> {
    let valid = text.len() == digits
        && text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    valid.then(|| u128::from_str_radix(text, 16).ok()).flatten()
}

impl fmt::Display for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags = u8::from(self.sampled);
        write!(f, "00-{:032x}-{:016x}-{flags:02x}", self.trace, self.span)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contexts_are_read_as_the_standard_says() {
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let table = [
            (good, Some(true)),
            (
                "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00",
                Some(false),
            ),
            (
                "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03",
                Some(true),
            ),
            (
                "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
                Some(true),
            ),
            (
                "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
                None,
            ),
            (
                "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                None,
            ),
            (
                "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
                None,
            ),
            (
                "00-00000000000000000000000000000000-b7ad6b7169203331-01",
                None,
            ),
            (
                "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
                None,
            ),
            (
                "00-0af7651916cd43dd8448eb211c80319c-b7ad6b716920333-01",
                None,
            ),
            (
                "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-+1",
                None,
            ),
            ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331", None),
            ("", None),
        ];
        for (text, expected) in table {
            let found = Context::parse(text, None);
            assert_eq!(found.map(|context| context.sampled), expected, "{text}");
        }
        let context = Context::parse(good, Some("a=1")).expect("it is one");
        assert_eq!(context.to_string(), good);
        assert_eq!(context.child().state.as_deref(), Some("a=1"));
        let long = "a".repeat(MAX_STATE + 1);
        assert_eq!(
            Context::parse(good, Some(&long)).and_then(|context| context.state),
            None
        );
    }

    #[test]
    fn the_share_of_traces_is_what_was_asked_for() {
        let sampled = |share| {
            let all = (0..10_000).filter(|_| Context::sampled_at(share).sampled);
            all.count()
        };

        assert_eq!((sampled(0.0), sampled(1.0)), (0, 10_000));
        // Twelve standard deviations on either side.
        assert!((640..1360).contains(&sampled(0.1)));
    }
}
