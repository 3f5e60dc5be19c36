//! What an answer must be. The embedded server's answers are known beforehand, to the last byte.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use xxhash_rust::xxh3::xxh3_64;

use super::exchange::Answer;
use crate::{
    config::{Diagnostics, Field, Fields, Node, Section, Value},
    target::http::{self as target, Endpoint},
    units::Size,
};

/// `expect`: what the answer must be.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Expect {
    status: Statuses,
    bytes: Option<Size>,
    sha256: Option<String>,
}

/// `allow`: what is counted as an error and goes on.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Allow {
    status: Statuses,
    /// Lost and refused connections.
    pub(super) errors: bool,
}

/// One status or several; none: any from 200 to 299.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
struct Statuses(Vec<u16>);

impl Field for Statuses {
    fn schema() -> serde_json::Value {
        let one = serde_json::json!({ "type": "integer", "minimum": 100, "maximum": 599 });
        serde_json::json!({ "anyOf": [one, { "type": "array", "items": one, "minItems": 1 }] })
    }

    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        let several: Vec<u16> = match &node.value {
            Value::Array(_) => Vec::read(node, diagnostics)?,
            _ => vec![u16::read(node, diagnostics)?],
        };
        if let Some(wrong) = several.iter().find(|status| !(100..600).contains(*status)) {
            let message = format!("{wrong} is no status");
            diagnostics.error(node.span.clone(), message, Some("statuses are 100 to 599".into()));
            return None;
        }
        Some(Self(several))
    }
}

impl Section for Expect {
    const DOC: &'static str = "What the answer must be; an answer that is not fails the trial.";

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let status = fields.or("status", Statuses::default(), "A status, or several; without it any from 200 to 299.");
        let bytes = fields.optional("bytes", "Length of the body.");
        let sha256: Option<String> = fields.optional("sha256", "SHA-256 of the body, in hexadecimal.");
        if sha256.as_ref().is_some_and(|hex| hex.len() != 64 || !hex.bytes().all(|byte| byte.is_ascii_hexdigit())) {
            fields.reject("sha256", "a SHA-256 has 64 hexadecimal digits", Some("`sha256sum FILE` prints it".into()));
        }
        Some(Self { status, bytes, sha256 })
    }
}

impl Section for Allow {
    const DOC: &'static str = "What is counted as an error and does not fail the trial.";

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let status = fields.or("status", Statuses::default(), "A status, or several.");
        let errors = fields.or("errors", false, "Whether refused and lost connections are counted, too.");
        Some(Self { status, errors })
    }
}

/// What the answers of one step must be.
pub(super) struct Expected {
    status: Vec<u16>,
    allowed: Vec<u16>,
    bytes: Option<u64>,
    /// xxh3 of the body, where it is known.
    digest: Option<u64>,
    /// The embedded server, whose status for each request is known.
    embedded: Option<(target::Http, u64)>,
    /// Whether answers have no body.
    headless: bool,
    /// Why no answer can ever be right.
    contradiction: Option<String>,
}

impl Expected {
    pub(super) fn new(expect: &Expect, allow: &Allow, head: bool, endpoint: &Endpoint) -> Self {
        let mut expected = Self {
            status: expect.status.0.clone(),
            allowed: allow.status.0.clone(),
            bytes: expect.bytes.map(|Size(bytes)| bytes),
            digest: None,
            embedded: endpoint.embedded.clone(),
            headless: head,
            contradiction: None,
        };
        if let Some((server, _)) = &endpoint.embedded {
            let body = if head { Vec::new() } else { target::body(server.body) };
            expected.contradiction = contradiction(expect, &body);
            expected.bytes = Some(body.len() as u64);
            expected.digest = Some(xxh3_64(&body));
        } else if expect.sha256.is_some() {
            expected.contradiction = Some(
                "`expect.sha256` is checked against the embedded server only, so far; use `expect.bytes` for your own"
                    .into(),
            );
        }
        expected
    }

    /// Why no answer can ever be right, if so.
    pub(super) fn contradiction(&self) -> Option<String> {
        self.contradiction.clone()
    }

    /// Whether the answer counts as an allowed error; an error if it is wrong.
    pub(super) fn judge(&self, answer: &Answer, id: u64) -> Result<bool, String> {
        let status = answer.status;
        if let Some((server, seed)) = &self.embedded {
            let (known, _) = target::response_for(server, *seed, id);
            if known != status {
                return Err(format!("the embedded server had to answer request {id} with {known}, found {status}"));
            }
        }
        let fine = if self.status.is_empty() { (200..300).contains(&status) } else { self.status.contains(&status) };
        if !fine && !self.allowed.contains(&status) {
            return Err(self.wrong_status(status));
        }
        let bodyless = self.headless || status == 204 || status == 304;
        if !bodyless && let Some(bytes) = self.bytes.filter(|bytes| *bytes != answer.bytes && fine) {
            return Err(format!("expected a body of {bytes} bytes, found {}", answer.bytes));
        }
        if !bodyless && self.digest.is_some_and(|digest| digest != answer.digest) {
            return Err(format!("the body of {} bytes is not the one that the server has sent", answer.bytes));
        }
        Ok(!fine)
    }

    fn wrong_status(&self, status: u16) -> String {
        let mut text = String::from("expected status ");
        if self.status.is_empty() {
            text.push_str("200 to 299");
        }
        for (at, status) in self.status.iter().enumerate() {
            // Writing to a String cannot fail.
            let _ = write!(text, "{}{status}", if at == 0 { "" } else { " or " });
        }
        let _ = write!(text, ", found {status}; if that may happen: `allow = {{ status = [{status}] }}`");
        text
    }
}

/// Why what is expected is not what the embedded server answers.
fn contradiction(expect: &Expect, body: &[u8]) -> Option<String> {
    if let Some(Size(bytes)) = expect.bytes.filter(|Size(bytes)| *bytes != body.len() as u64) {
        return Some(format!("`expect.bytes` is {bytes}, and the target's `body` has {} bytes", body.len()));
    }
    let sha256 = expect.sha256.as_ref()?;
    let mut found = String::new();
    for byte in Sha256::digest(body) {
        // Writing to a String cannot fail.
        let _ = write!(found, "{byte:02x}");
    }
    (!found.eq_ignore_ascii_case(sha256)).then(|| format!("`expect.sha256` is not that of the target's body: {found}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(status: Vec<target::StatusWeight>) -> Endpoint {
        let server = target::Http { body: 64, status, ..target::Http::default() };
        let address = ([127, 0, 0, 1], 1).into();
        Endpoint { address, host: "h".into(), base: String::new(), embedded: Some((server, 7)) }
    }

    fn answer(status: u16) -> Answer {
        let body = target::body(64);
        Answer { status, bytes: 64, digest: xxh3_64(&body) }
    }

    #[test]
    fn the_embedded_server_s_answers_are_known() {
        let expected = Expected::new(&Expect::default(), &Allow::default(), false, &endpoint(Vec::new()));
        assert_eq!(expected.judge(&answer(200), 1), Ok(false));
        assert!(expected.judge(&answer(201), 1).is_err());
        assert!(expected.judge(&Answer { bytes: 63, ..answer(200) }, 1).unwrap_err().contains("64 bytes"));
        assert!(expected.judge(&Answer { digest: 0, ..answer(200) }, 1).unwrap_err().contains("not the one"));
    }

    #[test]
    fn allowed_statuses_count_as_errors() {
        let always = vec![target::StatusWeight { status: 503, weight: 1.0 }];
        let endpoint = endpoint(always);
        let strict = Expected::new(&Expect::default(), &Allow::default(), false, &endpoint);
        assert!(strict.judge(&answer(503), 1).unwrap_err().contains("allow = { status = [503] }"));
        let allow = Allow { status: Statuses(vec![503]), errors: false };
        let lenient = Expected::new(&Expect::default(), &allow, false, &endpoint);
        assert_eq!(lenient.judge(&answer(503), 1), Ok(true));
    }

    #[test]
    fn contradictions_are_found_before_measuring() {
        let expect = Expect { bytes: Some(Size(65)), ..Expect::default() };
        let expected = Expected::new(&expect, &Allow::default(), false, &endpoint(Vec::new()));
        assert!(expected.contradiction().is_some_and(|reason| reason.contains("65")));
    }
}
