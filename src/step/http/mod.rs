//! `http`: an HTTP/1.1 request against the embedded server or one of the user's own, its answer checked.
//!
//! `mod` holds what a scenario says and the requests that follow from it, [`client`] the slot's state, [`exchange`]
//! the connection, [`expect`] what an answer must be, [`headers`] what a request may have, and [`lost`] why there was no
//! answer.

mod client;
mod excerpt;
mod exchange;
mod expect;
mod headers;
mod lost;
mod secrets;

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Method, Request, Uri,
    header::{HOST, HeaderName, HeaderValue},
};
use serde::{Deserialize, Serialize};

use self::{
    client::Client,
    expect::{Allow, Expect, Expected},
    secrets::Filled,
};
use super::{
    BuildError, Call, Cost, Lookup, Site, Step, StepKind, TargetUse,
    template::{EnvTemplate, Template},
};
use crate::{
    config::{Diagnostics, Field, Fields, Name, Node, choice_schema, read_choice},
    draw,
    runtime::Runtime,
    secret::Lack,
    target::{TargetSpec, http as target},
    units::Size,
};

/// A request.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Http {
    target: Name,
    method: Verb,
    path: EnvTemplate,
    headers: BTreeMap<String, EnvTemplate>,
    body: Option<EnvTemplate>,
    body_size: Option<Size>,
    connection: Keep,
    expect: Expect,
    allow: Allow,
}

/// A request's method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Verb {
    Get,
    Head,
    Post,
    Put,
    Patch,
    Delete,
}

const VERBS: &[(&str, Verb)] = &[
    ("GET", Verb::Get),
    ("HEAD", Verb::Head),
    ("POST", Verb::Post),
    ("PUT", Verb::Put),
    ("PATCH", Verb::Patch),
    ("DELETE", Verb::Delete),
];

/// How long a connection lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Keep {
    /// Opened when the slot is first used, kept by the slot.
    Keep,
    /// Opened and closed by every call.
    PerCall,
}

const KEEPS: &[(&str, Keep)] = &[("keep", Keep::Keep), ("per-call", Keep::PerCall)];

impl Field for Verb {
    fn schema() -> serde_json::Value {
        choice_schema(VERBS)
    }

    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        read_choice(node, VERBS, diagnostics)
    }
}

impl Field for Keep {
    fn schema() -> serde_json::Value {
        choice_schema(KEEPS)
    }

    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        read_choice(node, KEEPS, diagnostics)
    }
}

impl Verb {
    fn method(self) -> Method {
        match self {
            Self::Get => Method::GET,
            Self::Head => Method::HEAD,
            Self::Post => Method::POST,
            Self::Put => Method::PUT,
            Self::Patch => Method::PATCH,
            Self::Delete => Method::DELETE,
        }
    }
}

impl StepKind for Http {
    const KEY: &'static str = "http";
    const DOC: &'static str = "An HTTP/1.1 request whose answer is checked.";

    fn read(op: &mut Fields<'_>, step: &mut Fields<'_>) -> Option<Self> {
        let target = op.required("target", "The HTTP target.");
        let method = op.or("method", Verb::Get, "The method.");
        let path = op.required(
            "path",
            "The path and query; `${i}` is the task's index, `${env:NAME}` what the environment says.",
        );
        let headers = op.or("headers", BTreeMap::new(), "More headers: name and value.");
        let body = op.optional("body", "The request's body as text.");
        let body_size = op.optional("body_size", "Or: a body of this many bytes.");
        let connection = op.or(
            "connection",
            Keep::Keep,
            "`keep`: opened when the slot is first used, and kept by it; `per-call`: opened and closed by every call.",
        );
        let expect = step.or("expect", Expect::default(), "What the answer must be; otherwise the trial fails.");
        let allow = step.or("allow", Allow::default(), "What is counted as an error and does not fail the trial.");
        if body.is_some() && body_size.is_some() {
            op.reject("body_size", "`body` says what is sent already", Some("keep one of the two".into()));
        }
        if expect.has_sha256() && path.as_ref().is_some_and(|path: &EnvTemplate| !path.0.is_constant()) {
            step.reject("expect", "`sha256` needs a path that is the same for every call", None);
        }
        headers::check(op, path.as_ref().map(|path| &path.0), &headers);
        secrets::check(op, path.as_ref().map(|path| &path.0), &headers);
        Some(Self { target: target?, method, path: path?, headers, body, body_size, connection, expect, allow })
    }

    fn targets(&self) -> Vec<TargetUse<'_>> {
        vec![TargetUse { name: &self.target, kind: "http" }]
    }

    fn connects_per_call(&self) -> bool {
        self.connection == Keep::PerCall
    }

    fn unready(&self) -> Option<Lack> {
        Filled::new(self).err()
    }

    fn cancellable(&self, _: Lookup<'_, '_>) -> bool {
        true
    }

    fn cost<'a>(&self, target: &dyn Fn(&str) -> Option<&'a TargetSpec>) -> Cost {
        match target(&self.target.text) {
            Some(TargetSpec::Http(server)) if server.url.is_none() => {
                Cost { least: server.delay.least(), mean: server.delay.mean() + NOMINAL, cpu: NOMINAL }
            }
            _ => Cost { mean: NOMINAL, cpu: NOMINAL, ..Cost::default() },
        }
    }

    fn build<R: Runtime>(&self, site: &Site<R>) -> Result<Box<dyn Step>, BuildError> {
        let endpoint = site.endpoint::<target::Endpoint>(&self.target.text)?;
        let learned = site.trial.commons.shared(&format!("body of step {}", site.number), OnceLock::new);
        let shared = Arc::new(Shared::new(self, endpoint, site.seed(), learned)?);
        Ok(site.operation(move || Client::<R::Native>::new(shared.clone())))
    }
}

/// What a request costs the CPU, for estimates: about what hyper's client takes.
const NOMINAL: std::time::Duration = std::time::Duration::from_micros(30);

/// What all slots share of a step: everything that does not change from call to call, made once.
struct Shared {
    spec: Http,
    /// The templates with what the environment says.
    filled: Filled,
    endpoint: Arc<target::Endpoint>,
    seed: u64,
    host: HeaderValue,
    /// The path, where it is the same for every call.
    uri: Option<Uri>,
    /// Whether sending a request twice is the same as sending it once.
    is_idempotent: bool,
    body: Option<Bytes>,
    expected: Expected,
    /// Digest of the body whose SHA-256 was checked in preparation; all slots share it.
    learned: Arc<OnceLock<u64>>,
}

impl Shared {
    fn new(
        spec: &Http,
        endpoint: Arc<target::Endpoint>,
        seed: u64,
        learned: Arc<OnceLock<u64>>,
    ) -> Result<Self, BuildError> {
        let bad = |what: &str| BuildError(format!("{what} of a request to target `{}`", spec.target.text));
        let filled = Filled::new(spec).map_err(|lack| BuildError(lack.reason))?;
        let constant = filled.path.constant().map(|path| format!("{}{path}", endpoint.base));
        if let Some(why) = constant.as_ref().and_then(|path| headers::too_long(path.len())) {
            return Err(bad(&why));
        }
        let constant = constant.map(|path| path.parse::<Uri>());
        let generated = spec.body_size.map(|Size(bytes)| Bytes::from(target::body(bytes)));
        let written = filled.body.as_ref().and_then(Template::constant).map(|text| Bytes::from(text.into_owned()));
        Ok(Self {
            host: HeaderValue::from_str(&endpoint.host).map_err(|_| bad("the host"))?,
            is_idempotent: spec.method.method().is_idempotent(),
            uri: constant.transpose().map_err(|_| bad("the path"))?,
            body: generated.or(written),
            expected: Expected::new(&spec.expect, &spec.allow, spec.method == Verb::Head, &endpoint),
            spec: spec.clone(),
            filled,
            endpoint,
            seed,
            learned,
        })
    }

    /// The id by which the embedded server draws its delay and status.
    fn id(&self, call: &Call) -> u64 {
        draw::mix(self.seed, call.key)
    }

    /// The request of one call, and the length of its body. `text` is room for templates.
    fn request(&self, call: &Call, text: &mut String) -> Result<(Request<Full<Bytes>>, u64), String> {
        let mut render = |template: &Template, place: u64| {
            text.clear();
            template.render(call, draw::mix(self.seed, place), text);
            text.clone()
        };
        let uri = if let Some(uri) = &self.uri {
            uri.clone()
        } else {
            let path = format!("{}{}", self.endpoint.base, render(&self.filled.path, 0));
            path.parse().map_err(|_| headers::too_long(path.len()).unwrap_or_else(|| format!("`{path}` is no path")))?
        };
        let body = match (&self.body, &self.filled.body) {
            (Some(body), _) => body.clone(),
            (None, Some(template)) => render(template, 1).into(),
            (None, None) => Bytes::new(),
        };
        let sent = body.len() as u64;
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = self.spec.method.method();
        *request.uri_mut() = uri;
        let headers = request.headers_mut();
        headers.insert(HOST, self.host.clone());
        if self.endpoint.embedded.is_some() {
            headers.insert(HeaderName::from_static(target::ID_HEADER), HeaderValue::from(self.id(call)));
        }
        for (place, (name, value)) in self.filled.headers.iter().enumerate() {
            let value = render(value, place as u64 + 2);
            // One's own `Host` takes the place of the url's.
            headers.insert(name, HeaderValue::from_str(&value).map_err(|_| format!("`{value}` is no header"))?);
        }
        Ok((request, sent))
    }

    fn words(&self) -> String {
        format!("{} {}{}", self.spec.method.method(), self.endpoint.words, self.spec.path.0.text())
    }
}

#[cfg(test)]
mod tests;
