//! What an answer must be. The embedded server's answers are known beforehand, to the last byte.

use std::{fmt::Write as _, time::Duration};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use xxhash_rust::xxh3::xxh3_64;

use super::{answer::HttpAnswer, excerpt::excerpt};
use crate::{
    config::{Diagnostics, Field, Fields, Node, Section, Value, mismatch_with},
    targets::http::{self as target, HttpEndpoint},
    units::{Size, format_duration},
};

/// `expect`: what the answer must be.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct HttpExpect {
    status: Statuses,
    bytes: Option<Size>,
    sha256: Option<String>,
    /// Pages of a list that is followed, and items on them.
    #[serde(default)]
    pub(super) pages: Option<u64>,
    #[serde(default)]
    pub(super) items: Option<u64>,
}

/// `allow`: what is counted as an error and goes on.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct HttpAllow {
    status: Statuses,
    /// Lost and refused connections.
    pub(super) errors: bool,
}

/// One status or several; none: any from 200 to 299.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
struct Statuses(Vec<u16>);

/// Reads one status; text such as `2xx` is reported with what to write.
fn read_status(node: &Node, diagnostics: &mut Diagnostics) -> Option<u16> {
    let Value::Text(text) = &node.value else { return u16::read(node, diagnostics) };
    let help = match text.parse::<u16>() {
        Ok(status) => format!("write {status}, without quotes"),
        Err(_) => {
            "write a list, such as [200, 204]; `expect` without `status` takes any from 200 to 299"
                .to_owned()
        }
    };
    mismatch_with(node, "a status such as 200, or a list of them", Some(help), diagnostics);
    None
}

impl Field for Statuses {
    fn schema() -> serde_json::Value {
        let one = serde_json::json!({ "type": "integer", "minimum": 100, "maximum": 599 });
        serde_json::json!({ "anyOf": [one, { "type": "array", "items": one, "minItems": 1 }] })
    }

    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        let several: Vec<u16> = match &node.value {
            Value::Array(items) => {
                let read: Vec<_> =
                    items.iter().map(|item| read_status(item, diagnostics)).collect();
                read.into_iter().collect::<Option<_>>()?
            }
            _ => vec![read_status(node, diagnostics)?],
        };
        if let Some(wrong) = several.iter().find(|status| !(100..600).contains(*status)) {
            let message = format!("{wrong} is no status");
            diagnostics.error(node.span.clone(), message, Some("statuses are 100 to 599".into()));
            return None;
        }
        Some(Self(several))
    }
}

impl HttpExpect {
    /// Whether it says something of a single body.
    pub(super) fn is_of_a_body(&self) -> bool {
        self.bytes.is_some() || self.has_sha256()
    }

    /// Whether it says something of a list.
    pub(super) fn is_of_a_list(&self) -> bool {
        self.pages.is_some() || self.items.is_some()
    }

    /// Whether it names a SHA-256.
    pub(super) fn has_sha256(&self) -> bool {
        self.sha256.is_some()
    }

    /// What a racer is told: statuses, and the length of the body.
    pub(super) fn told(&self) -> Result<(Vec<u16>, Option<u64>), String> {
        if self.has_sha256() {
            return Err("the protocol has no `sha256` of an answer".to_owned());
        }
        Ok((self.status.0.clone(), self.bytes.map(|Size(bytes)| bytes)))
    }

    /// The same the other way round.
    pub(super) fn heard(status: &[u16], bytes: Option<u64>) -> Self {
        Self { status: Statuses(status.to_vec()), bytes: bytes.map(Size), ..Self::default() }
    }
}

impl HttpAllow {
    /// Whether a call may end in an error.
    pub(super) fn allows_something(&self) -> bool {
        self.errors || !self.status.0.is_empty()
    }

    /// What a racer is told: statuses.
    pub(super) fn told(&self) -> Result<Vec<u16>, String> {
        if self.errors {
            return Err("the protocol has no `allow = { errors = true }`".to_owned());
        }
        Ok(self.status.0.clone())
    }

    /// The same the other way round.
    pub(super) fn heard(status: &[u16]) -> Self {
        Self { status: Statuses(status.to_vec()), errors: false }
    }
}

impl Section for HttpExpect {
    const DOC: &'static str = "What the answer must be; an answer that is not fails the trial.";

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let status = fields.or(
            "status",
            Statuses::default(),
            "A status, or several; without it any from 200 to 299.",
        );
        let bytes = fields.optional("bytes", "Length of the body.");
        let sha256: Option<String> =
            fields.optional("sha256", "SHA-256 of the body, in hexadecimal.");
        if sha256
            .as_ref()
            .is_some_and(|hex| hex.len() != 64 || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
        {
            fields.reject(
                "sha256",
                "a SHA-256 has 64 hexadecimal digits",
                Some("`sha256sum FILE` prints it".into()),
            );
        }
        let pages = fields.optional("pages", "With `follow`: how many pages there are.");
        let items = fields.optional("items", "With `follow`: how many items are on them in all.");
        Some(Self { status, bytes, sha256, pages, items })
    }
}

impl Section for HttpAllow {
    const DOC: &'static str = "What is counted as an error and does not fail the trial.";

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let status = fields.or("status", Statuses::default(), "A status, or several.");
        let errors = fields.or("errors", false, "Whether calls that got no answer are counted, too, because a connection was refused or lost; the target counts each by its name.");
        Some(Self { status, errors })
    }
}

/// What the answers of one step must be.
pub(super) struct ExpectedAnswer {
    status: Vec<u16>,
    allowed: Vec<u16>,
    bytes: Option<u64>,
    /// xxh3 of the body, where it is known.
    digest: Option<u64>,
    /// The embedded server, whose status for each request is known.
    embedded: Option<(target::HttpTarget, u64)>,
    /// SHA-256 of the body of the user's own server, checked once in preparation.
    sha256: Option<String>,
    /// The server's scheme and host, and the path of its url, for messages.
    place: (String, String),
    /// Whether answers have no body.
    headless: bool,
    /// Why no answer can ever be right.
    contradiction: Option<String>,
}

impl ExpectedAnswer {
    pub(super) fn new(
        expect: &HttpExpect,
        allow: &HttpAllow,
        head: bool,
        endpoint: &HttpEndpoint,
    ) -> Self {
        let mut expected = Self {
            status: expect.status.0.clone(),
            allowed: allow.status.0.clone(),
            bytes: expect.bytes.map(|Size(bytes)| bytes),
            digest: None,
            embedded: endpoint.embedded.clone(),
            sha256: None,
            place: (format!("{}://{}", endpoint.scheme(), endpoint.host), endpoint.base.clone()),
            headless: head,
            contradiction: None,
        };
        if let Some((server, _)) = &endpoint.embedded {
            let bytes = if head { 0 } else { server.body };
            let sha256 = || if head { Sha256::digest([]).into() } else { endpoint.body_sha256() };
            expected.contradiction = contradiction(expect, bytes, sha256);
            expected.bytes = Some(bytes);
            expected.digest = Some(if head { xxh3_64(&[]) } else { endpoint.body_xxh3() });
        } else {
            expected.sha256.clone_from(&expect.sha256);
        }
        expected
    }

    /// The same of a page of a list: each has another body.
    pub(super) fn of_any_page(self) -> Self {
        Self { bytes: None, digest: None, contradiction: None, ..self }
    }

    /// Why no answer can ever be right, if so.
    pub(super) fn contradiction(&self) -> Option<String> {
        self.contradiction.clone()
    }

    /// Whether the body's SHA-256 must be checked in preparation.
    pub(super) fn wants_sha256(&self) -> bool {
        self.sha256.is_some()
    }

    /// Checks the SHA-256 of an answer in preparation; its cheaper digest then serves for all that
    /// follow.
    pub(super) fn learn(&self, answer: &HttpAnswer) -> Result<u64, String> {
        let found = answer.sha256.map(|bytes| hex(&bytes)).unwrap_or_default();
        match &self.sha256 {
            Some(wanted) if !found.eq_ignore_ascii_case(wanted) => {
                Err(format!("expected a body with SHA-256 {wanted}, found {found}"))
            }
            _ => Ok(answer.digest),
        }
    }

    /// Whether the answer counts as an allowed error; an error if it is wrong. `learned` is the
    /// digest of a body that was checked in preparation, or of a page that is known.
    pub(super) fn judge(
        &self,
        answer: &HttpAnswer,
        id: u64,
        learned: Option<u64>,
    ) -> Result<bool, String> {
        let status = answer.status;
        if let Some((server, seed)) = &self.embedded {
            // Without a mix of statuses nothing has to be drawn.
            let known = if server.status.is_empty() {
                200
            } else {
                target::response_for(server, *seed, id).0
            };
            if known != status {
                return Err(format!(
                    "the embedded server had to answer request {id} with {known}, found {status}"
                ));
            }
            if !(200..300).contains(&status) {
                Self::check_wait(answer, target::wait_for(server, *seed, id))?;
            }
        }
        let fine = if self.status.is_empty() {
            (200..300).contains(&status)
        } else {
            self.status.contains(&status)
        };
        if !fine && !self.allowed.contains(&status) {
            return Err(self.wrong_status(answer));
        }
        let bodyless = self.headless || status == 204 || status == 304;
        if !bodyless && let Some(bytes) = self.bytes.filter(|bytes| *bytes != answer.bytes && fine)
        {
            return Err(format!(
                "expected a body of {bytes} bytes, found {}{}",
                answer.bytes,
                begins(answer)
            ));
        }
        let digest = self.digest.or(learned.filter(|_| fine));
        if !bodyless && digest.is_some_and(|digest| digest != answer.digest) {
            let (bytes, begins) = (answer.bytes, begins(answer));
            return Err(format!(
                "the body of {bytes} bytes is not the one that the server has sent{begins}"
            ));
        }
        Ok(!fine)
    }

    /// The embedded server asks for the wait that its description says. Where that says of none,
    /// perhaps nobody was told of it.
    fn check_wait(answer: &HttpAnswer, known: Option<Duration>) -> Result<(), String> {
        let Some(wait) = known.filter(|_| known != answer.wait) else { return Ok(()) };
        let found = answer.wait.map_or_else(|| "none".to_owned(), format_duration);
        let known = format_duration(wait);
        Err(format!("the embedded server had to ask for a wait of {known}, found {found}"))
    }

    fn wrong_status(&self, answer: &HttpAnswer) -> String {
        let status = answer.status;
        let mut text = String::from("expected status ");
        if self.status.is_empty() {
            text.push_str("200 to 299");
        }
        for (at, status) in self.status.iter().enumerate() {
            // Writing to a String cannot fail.
            let _ = write!(text, "{}{status}", if at == 0 { "" } else { " or " });
        }
        let _ = write!(text, ", found {status}{}; {}", begins(answer), self.remedy(answer));
        text
    }

    /// What helps against a status that was not expected.
    fn remedy(&self, answer: &HttpAnswer) -> String {
        let status = answer.status;
        let Some(location) = &answer.location else {
            return format!("if that may happen: `allow = {{ status = [{status}] }}`");
        };
        let place = excerpt(location.as_bytes());
        let write = match path_there(&String::from_utf8_lossy(location.as_bytes()), &self.place) {
            Some(path) => format!("write `path = {path:?}`"),
            None => "name that place in the target's `url` and the step's `path`".to_owned(),
        };
        format!(
            "redirects are not followed, and this one leads to {place}: {write}, or `expect = {{ status = {status} }}` to \
             measure the redirect itself"
        )
    }
}

/// What an answer's body says, as far as a message has room for it.
pub(super) fn begins(answer: &HttpAnswer) -> String {
    if answer.first.is_empty() {
        String::new()
    } else {
        format!(", and a body that begins with {}", excerpt(&answer.first))
    }
}

/// The path to write for the place that a redirect names, if it is on the same server.
fn path_there(location: &str, endpoint: &(String, String)) -> Option<String> {
    let (host, base) = endpoint;
    let uri: hyper::Uri = location.parse().ok()?;
    let is_here = match uri.authority() {
        Some(authority) => {
            host.split_once("://")
                == Some((uri.scheme_str().unwrap_or_default(), authority.as_str()))
        }
        None => true,
    };
    let path = uri.path_and_query().filter(|_| is_here)?.as_str().strip_prefix(base.as_str())?;
    path.starts_with('/').then(|| path.to_owned())
}

pub(super) fn hex(bytes: &[u8; 32]) -> String {
    let mut text = String::new();
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Why what is expected is not what the embedded server answers.
fn contradiction(
    expect: &HttpExpect,
    length: u64,
    digest: impl FnOnce() -> [u8; 32],
) -> Option<String> {
    if let Some(Size(bytes)) = expect.bytes.filter(|Size(bytes)| *bytes != length) {
        return Some(format!(
            "`expect.bytes` is {bytes}, and the target's `body` has {length} bytes"
        ));
    }
    let sha256 = expect.sha256.as_ref()?;
    let found = hex(&digest());
    (!found.eq_ignore_ascii_case(sha256))
        .then(|| format!("`expect.sha256` is not that of the target's body: {found}"))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn endpoint(status: Vec<target::StatusWeight>) -> HttpEndpoint {
        let server = target::HttpTarget { body: 64, status, ..target::HttpTarget::default() };
        let address = ([127, 0, 0, 1], 1).into();
        HttpEndpoint::new(address, "h".into(), String::new(), Some((server, 7)))
    }

    fn answer(status: u16) -> HttpAnswer {
        let body = target::body(64);
        let (digest, first) = (xxh3_64(&body), Bytes::from(body));
        HttpAnswer { status, bytes: 64, digest, sha256: None, first, location: None, wait: None }
    }

    #[test]
    fn the_embedded_server_s_answers_are_known() {
        let expected = ExpectedAnswer::new(
            &HttpExpect::default(),
            &HttpAllow::default(),
            false,
            &endpoint(Vec::new()),
        );
        assert_eq!(expected.judge(&answer(200), 1, None), Ok(false));
        assert!(expected.judge(&answer(201), 1, None).is_err());
        assert!(
            expected
                .judge(&HttpAnswer { bytes: 63, ..answer(200) }, 1, None)
                .unwrap_err()
                .contains("64 bytes")
        );
        assert!(
            expected
                .judge(&HttpAnswer { digest: 0, ..answer(200) }, 1, None)
                .unwrap_err()
                .contains("not the one")
        );
    }

    #[test]
    fn allowed_statuses_count_as_errors() {
        let always = vec![target::StatusWeight { status: 503, weight: 1.0, retry_after: None }];
        let endpoint = endpoint(always);
        let strict =
            ExpectedAnswer::new(&HttpExpect::default(), &HttpAllow::default(), false, &endpoint);
        assert!(
            strict.judge(&answer(503), 1, None).unwrap_err().contains("allow = { status = [503] }")
        );
        let allow = HttpAllow { status: Statuses(vec![503]), errors: false };
        let lenient = ExpectedAnswer::new(&HttpExpect::default(), &allow, false, &endpoint);
        assert_eq!(lenient.judge(&answer(503), 1, None), Ok(true));
    }

    #[test]
    fn the_wait_that_the_embedded_server_asks_for_is_known() {
        let wait = |ms| Some(Duration::from_millis(ms));
        let entry = |retry_after| target::StatusWeight { status: 503, weight: 1.0, retry_after };
        let allow = HttpAllow { status: Statuses(vec![503]), errors: false };
        let of = |known, found| {
            let endpoint = endpoint(vec![entry(known)]);
            let expected = ExpectedAnswer::new(&HttpExpect::default(), &allow, false, &endpoint);
            expected.judge(&HttpAnswer { wait: found, ..answer(503) }, 1, None)
        };
        assert_eq!((of(wait(20), wait(20)), of(None, None)), (Ok(true), Ok(true)));
        let had_to = "the embedded server had to ask for a wait of 20ms, found";
        assert_eq!(of(wait(20), wait(21)), Err(format!("{had_to} 21ms")));
        assert_eq!(of(wait(20), None), Err(format!("{had_to} none")));
    }

    #[test]
    fn a_sha256_of_another_server_is_checked_once_and_then_its_cheap_digest() {
        let endpoint = own("");
        let sha256 = Some(hex(&Sha256::digest(target::body(64)).into()));
        let expect = HttpExpect { sha256, ..HttpExpect::default() };
        let expected = ExpectedAnswer::new(&expect, &HttpAllow::default(), false, &endpoint);
        let right =
            HttpAnswer { sha256: Some(Sha256::digest(target::body(64)).into()), ..answer(200) };
        let learned = expected.learn(&right).unwrap();
        assert!(
            expected
                .learn(&HttpAnswer { sha256: Some([0; 32]), ..right.clone() })
                .unwrap_err()
                .contains("SHA-256")
        );
        assert_eq!(expected.judge(&answer(200), 1, Some(learned)), Ok(false));
        assert!(
            expected.judge(&HttpAnswer { digest: 1, ..right.clone() }, 1, Some(learned)).is_err()
        );
    }

    /// A server of the user's own.
    fn own(base: &str) -> HttpEndpoint {
        HttpEndpoint::new(([127, 0, 0, 1], 1).into(), "h:81".into(), base.into(), None)
    }

    fn told_of(base: &str, answer: &HttpAnswer) -> String {
        ExpectedAnswer::new(&HttpExpect::default(), &HttpAllow::default(), false, &own(base))
            .judge(answer, 1, None)
            .unwrap_err()
    }

    fn told(answer: &HttpAnswer) -> String {
        told_of("", answer)
    }

    #[test]
    fn a_wrong_status_comes_with_what_the_server_says() {
        let unauthorized =
            HttpAnswer { first: Bytes::from("{\"error\":\n\"no token\"}"), ..answer(401) };
        let said = told(&unauthorized);
        assert!(
            said.contains(
                "found 401, and a body that begins with `{\"error\":\\n\"no token\"}`; if that"
            ),
            "{said}"
        );
        assert_eq!(
            told(&HttpAnswer { first: Bytes::new(), ..answer(500) }),
            "expected status 200 to 299, found 500; if that may happen: `allow = { status = [500] }`"
        );
    }

    #[test]
    fn a_redirect_names_where_it_leads_and_what_to_write() {
        let to = |status, place: &'static str| HttpAnswer {
            first: Bytes::new(),
            location: Some(hyper::header::HeaderValue::from_static(place)),
            ..answer(status)
        };
        for status in [301, 302, 303, 307, 308] {
            let said = told(&to(status, "/login?next=%2F"));
            assert!(
                said.contains("redirects are not followed") && !said.contains("allow"),
                "{said}"
            );
            assert!(said.contains("`path = \"/login?next=%2F\"`"), "{said}");
            assert!(said.contains(&format!("`expect = {{ status = {status} }}`")), "{said}");
        }
        assert!(told(&to(302, "http://h:81/x")).contains("`path = \"/x\"`"));
        assert!(told_of("/api", &to(302, "/api/x?y=1")).contains("`path = \"/x?y=1\"`"));
        for (base, place) in [
            ("", "https://h:81/x"),
            ("", "http://h/x"),
            ("", "../x"),
            ("/api", "/x"),
            ("/api", "/apix"),
        ] {
            let said = told_of(base, &to(302, place));
            assert!(
                said.contains(&format!(
                    "leads to `{place}`: name that place in the target's `url`"
                )),
                "{said}"
            );
        }
        // Without a place it is a status like any other.
        assert!(told(&answer(304)).contains("allow = { status = [304] }"));
    }

    #[test]
    fn contradictions_are_found_before_measuring() {
        let expect = HttpExpect { bytes: Some(Size(65)), ..HttpExpect::default() };
        let expected =
            ExpectedAnswer::new(&expect, &HttpAllow::default(), false, &endpoint(Vec::new()));
        assert!(expected.contradiction().is_some_and(|reason| reason.contains("65")));
    }
}
