//! What came back on a connection.

use cordon_protocol::{Failure, FailureCode};

/// All that the gateway sent before it hung up.
pub(super) struct Answer(Vec<u8>);

impl Answer {
    pub(super) fn new(bytes: Vec<u8>) -> Answer {
        let mut answer = Answer(bytes);
        // A caller may ask to be told to go on: that is not the answer yet.
        while answer.status().is_some_and(|status| status < 200)
            && let Some((_, behind)) = head(&answer.0)
        {
            answer = Answer(behind.to_vec());
        }
        answer
    }

    /// Whether this is the beginning of an answer that has no end.
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

    /// Nothing, or HTTP with a status that is a caller's doing. What is refused, is so in the one shape, but by HTTP
    /// itself.
    pub(super) fn is_proper(&self) {
        if self.0.is_empty() {
            return;
        }
        let status = self
            .status()
            .unwrap_or_else(|| panic!("no HTTP: {}", self.text()));
        let (_, body) = head(&self.0).unwrap_or_else(|| panic!("half a head: {}", self.text()));
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
            "a fault of the gateway's own: {}",
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
