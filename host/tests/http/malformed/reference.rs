//! What a client may make of a response at most, by RFC 9112 and written from it alone: pure, and slow.
//!
//! Leniencies that the RFC grants are taken; each has its section.

/// A response that a client may take.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
    /// Whether it says where it ends: otherwise the end of the connection does.
    pub(super) delimited: bool,
}

/// What a client may take of these bytes, behind which the connection ends, in answer to a POST.
pub(super) fn may_take(mut bytes: &[u8]) -> Option<Taken> {
    loop {
        let (status, fields, rest) = head(bytes)?;
        bytes = rest;
        match status {
            // A final one must follow; nobody asked for 101 (RFC 9110, section 15.2).
            101 => return None,
            100..=199 => continue,
            _ => {}
        }
        let (body, delimited) = body(status, &fields, bytes)?;
        return Some(Taken {
            status,
            body,
            delimited,
        });
    }
}

type Fields = Vec<(String, Vec<u8>)>;

fn head(mut bytes: &[u8]) -> Option<(u16, Fields, &[u8])> {
    // Empty lines before a request are passed over (section 2.2); before a response they mean no more.
    while let Some(rest) = bytes.strip_prefix(b"\r\n").or(bytes.strip_prefix(b"\n")) {
        bytes = rest;
    }
    let (first, mut bytes) = line(bytes)?;
    let status = status_line(first)?;
    let mut fields = Vec::new();
    loop {
        let (next, rest) = line(bytes)?;
        bytes = rest;
        if next.is_empty() {
            return Some((status, fields, bytes));
        }
        fields.push(field(next)?);
    }
}

/// Up to CRLF, or to LF alone (section 2.2: "a recipient MAY recognize a single LF as a line terminator").
fn line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let (line, rest) = (bytes.get(..end)?, bytes.get(end + 1..)?);
    Some((line.strip_suffix(b"\r").unwrap_or(line), rest))
}

/// `HTTP/1.1 200 OK`, or 1.0. The reason and the space before it may be missing (section 4: "a recipient MAY
/// instead parse on whitespace-delimited word boundaries").
fn status_line(line: &[u8]) -> Option<u16> {
    let rest = line
        .strip_prefix(b"HTTP/1.1 ")
        .or(line.strip_prefix(b"HTTP/1.0 "))?;
    let (digits, reason) = rest.split_at_checked(3)?;
    let status = std::str::from_utf8(digits).ok()?;
    let is_number = digits.iter().all(u8::is_ascii_digit);
    let separated = reason.is_empty() || reason.starts_with(b" ");
    let status: u16 = status.parse().ok()?;
    (is_number && separated && reason.iter().all(is_text) && status >= 100).then_some(status)
}

/// `name: value` (section 5): no space before the colon, no folding.
fn field(line: &[u8]) -> Option<(String, Vec<u8>)> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let (name, value) = (line.get(..colon)?, line.get(colon + 1..)?);
    let is_name = !name.is_empty() && name.iter().all(is_token);
    let value = value.trim_ascii().to_vec();
    let name = String::from_utf8(name.to_ascii_lowercase()).ok()?;
    (is_name && value.iter().all(is_text)).then_some((name, value))
}

/// RFC 9110, section 5.6.2.
fn is_token(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte)
}

/// RFC 9110, section 5.5: visible, space, tab, or beyond ASCII.
fn is_text(byte: &u8) -> bool {
    matches!(byte, b'\t' | b' '..=b'~' | 0x80..)
}

/// Section 6.3. Whether it says where it ends.
fn body(status: u16, fields: &Fields, bytes: &[u8]) -> Option<(Vec<u8>, bool)> {
    let values = |wanted: &str| -> Vec<&[u8]> {
        let found = fields.iter().filter(|(name, _)| name == wanted);
        found.map(|(_, value)| value.as_slice()).collect()
    };
    let (codings, lengths) = (values("transfer-encoding"), values("content-length"));
    if matches!(status, 204 | 304) {
        return Some((Vec::new(), true));
    }
    match (codings.as_slice(), lengths.as_slice()) {
        ([], []) => Some((bytes.to_vec(), false)),
        // "ought to be handled as an error".
        ([_, ..], [_, ..]) => None,
        ([coding], []) if coding.eq_ignore_ascii_case(b"chunked") => Some((chunks(bytes)?, true)),
        // No request says by `te` that it takes another (section 7.4).
        ([_, ..], []) => None,
        ([], [first, others @ ..]) => {
            let same = others.iter().all(|other| other == first);
            let is_number = !first.is_empty() && first.iter().all(u8::is_ascii_digit);
            let length: usize = std::str::from_utf8(first).ok()?.parse().ok()?;
            (same && is_number).then_some((bytes.get(..length)?.to_vec(), true))
        }
    }
}

/// Section 7.1.
fn chunks(mut bytes: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let (head, rest) = strict_line(bytes)?;
        let digits = head
            .iter()
            .take_while(|byte| byte.is_ascii_hexdigit())
            .count();
        let (digits, extension) = head.split_at_checked(digits)?;
        // BWS may stand before the `;` of an extension, or at the end of the line. What the extension says
        // must be ignored (section 7.1.1), so it may as well be no text.
        let extension = extension.trim_ascii_start();
        let extended = extension.is_empty() || extension.starts_with(b";");
        let size = usize::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
        if !extended {
            return None;
        }
        bytes = rest;
        if size == 0 {
            return trailers(bytes).then_some(body);
        }
        let (data, rest) = bytes.split_at_checked(size)?;
        body.extend_from_slice(data);
        bytes = rest.strip_prefix(b"\r\n")?;
    }
}

/// Within chunks, a bare LF is no end of a line (section 7.1: the grammar has CRLF alone).
fn strict_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.windows(2).position(|pair| pair == b"\r\n")?;
    let (line, rest) = (bytes.get(..end)?, bytes.get(end + 2..)?);
    (!line.contains(&b'\n') && !line.contains(&b'\r')).then_some((line, rest))
}

/// Fields, then an empty line (section 7.1.2); lines of fields may end with LF.
fn trailers(mut bytes: &[u8]) -> bool {
    loop {
        let Some((next, rest)) = line(bytes) else {
            return false;
        };
        if next.is_empty() {
            return true;
        }
        if field(next).is_none() {
            return false;
        }
        bytes = rest;
    }
}
