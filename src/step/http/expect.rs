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

impl Expect {
    /// Whether it names a SHA-256.
    pub(super) fn has_sha256(&self) -> bool {
        self.sha256.is_some()
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
    /// SHA-256 of the body of the user's own server, checked once per slot in preparation.
    sha256: Option<String>,
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
            sha256: None,
            headless: head,
            contradiction: None,
        };
        if let Some((server, _)) = &endpoint.embedded {
            let body = if head { Vec::new() } else { target::body(server.body) };
            expected.contradiction = contradiction(expect, &body);
            expected.bytes = Some(body.len() as u64);
            expected.digest = Some(xxh3_64(&body));
        } else {
            expected.sha256.clone_from(&expect.sha256);
        }
        expected
    }

    /// Why no answer can ever be right, if so.
    pub(super) fn contradiction(&self) -> Option<String> {
        self.contradiction.clone()
    }

    /// Whether the body's SHA-256 must be checked in preparation.
    pub(super) fn wants_sha256(&self) -> bool {
        self.sha256.is_some()
    }

    /// Checks the SHA-256 of an answer in preparation; its cheaper digest then serves for all that follow.
    pub(super) fn learn(&self, answer: &Answer) -> Result<u64, String> {
        let found = answer.sha256.map(|bytes| hex(&bytes)).unwrap_or_default();
        match &self.sha256 {
            Some(wanted) if !found.eq_ignore_ascii_case(wanted) => {
                Err(format!("expected a body with SHA-256 {wanted}, found {found}"))
            }
            _ => Ok(answer.digest),
        }
    }

    /// Whether the answer counts as an allowed error; an error if it is wrong. `learned` is the digest of a body
    /// that was checked in preparation.
    pub(super) fn judge(&self, answer: &Answer, id: u64, learned: Option<u64>) -> Result<bool, String> {
        let status = answer.status;
        if let Some((server, seed)) = &self.embedded {
            // Without a mix of statuses nothing has to be drawn.
            let known = if server.status.is_empty() { 200 } else { target::response_for(server, *seed, id).0 };
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
        let digest = self.digest.or(learned.filter(|_| fine));
        if !bodyless && digest.is_some_and(|digest| digest != answer.digest) {
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

fn hex(bytes: &[u8; 32]) -> String {
    let mut text = String::new();
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Why what is expected is not what the embedded server answers.
fn contradiction(expect: &Expect, body: &[u8]) -> Option<String> {
    if let Some(Size(bytes)) = expect.bytes.filter(|Size(bytes)| *bytes != body.len() as u64) {
        return Some(format!("`expect.bytes` is {bytes}, and the target's `body` has {} bytes", body.len()));
    }
    let sha256 = expect.sha256.as_ref()?;
    let found = hex(&Sha256::digest(body).into());
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
        Answer { status, bytes: 64, digest: xxh3_64(&body), sha256: None }
    }

    #[test]
    fn the_embedded_server_s_answers_are_known() {
        let expected = Expected::new(&Expect::default(), &Allow::default(), false, &endpoint(Vec::new()));
        assert_eq!(expected.judge(&answer(200), 1, None), Ok(false));
        assert!(expected.judge(&answer(201), 1, None).is_err());
        assert!(expected.judge(&Answer { bytes: 63, ..answer(200) }, 1, None).unwrap_err().contains("64 bytes"));
        assert!(expected.judge(&Answer { digest: 0, ..answer(200) }, 1, None).unwrap_err().contains("not the one"));
    }

    #[test]
    fn allowed_statuses_count_as_errors() {
        let always = vec![target::StatusWeight { status: 503, weight: 1.0 }];
        let endpoint = endpoint(always);
        let strict = Expected::new(&Expect::default(), &Allow::default(), false, &endpoint);
        assert!(strict.judge(&answer(503), 1, None).unwrap_err().contains("allow = { status = [503] }"));
        let allow = Allow { status: Statuses(vec![503]), errors: false };
        let lenient = Expected::new(&Expect::default(), &allow, false, &endpoint);
        assert_eq!(lenient.judge(&answer(503), 1, None), Ok(true));
    }

    #[test]
    fn a_sha256_of_another_server_is_checked_once_and_then_its_cheap_digest() {
        let endpoint = Endpoint { embedded: None, ..endpoint(Vec::new()) };
        let sha256 = Some(hex(&Sha256::digest(target::body(64)).into()));
        let expect = Expect { sha256, ..Expect::default() };
        let expected = Expected::new(&expect, &Allow::default(), false, &endpoint);
        let right = Answer { sha256: Some(Sha256::digest(target::body(64)).into()), ..answer(200) };
        let learned = expected.learn(&right).unwrap();
        assert!(expected.learn(&Answer { sha256: Some([0; 32]), ..right }).unwrap_err().contains("SHA-256"));
        assert_eq!(expected.judge(&answer(200), 1, Some(learned)), Ok(false));
        assert!(expected.judge(&Answer { digest: 1, ..right }, 1, Some(learned)).is_err());
    }

    #[test]
    fn contradictions_are_found_before_measuring() {
        let expect = Expect { bytes: Some(Size(65)), ..Expect::default() };
        let expected = Expected::new(&expect, &Allow::default(), false, &endpoint(Vec::new()));
        assert!(expected.contradiction().is_some_and(|reason| reason.contains("65")));
    }
}
