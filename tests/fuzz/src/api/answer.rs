//! The response on a connection.

use cordon_protocol::{Failure, FailureCode};

/// All bytes that the gateway sent before it closed the connection.
pub(super) struct Answer(Vec<u8>);

impl Answer {
    pub(super) fn new(bytes: Vec<u8>) -> Answer {
        let mut answer = Answer(bytes);
        // `100 Continue` precedes the actual response.
        while answer.status().is_some_and(|status| status < 200)
            && let Some((_, rest)) = head(&answer.0)
        {
            answer = Answer(rest.to_vec());
        }
        answer
    }

    /// Whether the bytes are the beginning of an event stream.
    pub(super) fn is_endless(bytes: &[u8]) -> bool {
        let head = head(bytes).map_or(b"".as_slice(), |(head, _)| head);
        let kind = b"application/x-ndjson";
        head.windows(kind.len()).any(|window| window == kind)
    }

    pub(super) fn is_success(&self) -> bool {
        self.status().is_some_and(|status| status < 300)
    }

    fn status(&self) -> Option<u16> {
        let line = self.0.strip_prefix(b"HTTP/1.")?;
        std::str::from_utf8(line.get(2..5)?).ok()?.parse().ok()
    }

    fn text(&self) -> String {
        self.0.escape_ascii().to_string()
    }

    /// Checks the response: it is empty, or valid HTTP without an internal error. A refusal has a body of type
    /// [`Failure`], or none if the HTTP library refused the request.
    pub(super) fn check(&self) {
        if self.0.is_empty() {
            return;
        }
        let status = self
            .status()
            .unwrap_or_else(|| panic!("not HTTP: {}", self.text()));
        let (_, body) =
            head(&self.0).unwrap_or_else(|| panic!("incomplete header: {}", self.text()));
        if (200..300).contains(&status) || body.is_empty() {
            return;
        }
        let failure: Failure =
            serde_json::from_slice(body).unwrap_or_else(|error| panic!("{error}: {}", self.text()));
        assert!(!failure.message.is_empty(), "{}", self.text());
        let hint = failure.hint.as_deref().unwrap_or_default();
        assert!(!hint.is_empty(), "no hint: {}", self.text());
        assert!(
            failure.code != FailureCode::Internal,
            "internal error: {}",
            self.text()
        );
    }
}

/// Head and body.
fn head(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    const END: &[u8] = b"\r\n\r\n";
    let at = bytes.windows(END.len()).position(|window| window == END)?;
    Some((&bytes[..at], &bytes[at + END.len()..]))
}
