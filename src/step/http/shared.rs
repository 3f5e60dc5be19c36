//! What all slots share of a step, and the request of each call.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use hyper::{
    Request, Uri,
    header::{CONTENT_LENGTH, HOST, HeaderName, HeaderValue},
    http::uri::{Authority, InvalidUri, Scheme},
};

use super::{
    excerpt::excerpt,
    expect::ExpectedAnswer,
    headers,
    secrets::FilledRequest,
    spec::{Http, HttpLifetime, Verb},
};
use crate::{
    draw,
    step::{BuildError, Call, RowTables, Template, value::TakenValue},
    targets::http as target,
    units::Size,
};

/// A request, and the length of its body in bytes.
pub(super) type HttpAsked = (Request<Bytes>, u64);

/// What all slots share of a step: everything that does not change from call to call, made once.
pub(super) struct HttpShared {
    pub spec: Http,
    /// The templates with what the environment says.
    pub filled: FilledRequest,
    pub endpoint: Arc<target::HttpEndpoint>,
    pub seed: u64,
    pub host: HeaderValue,
    /// Scheme and host, where requests name them in front of the path: over HTTP/2.
    pub origin: Option<(Scheme, Authority)>,
    /// The path, where it is the same for every call.
    pub uri: Option<Uri>,
    /// How long its connections live.
    pub lifetime: HttpLifetime,
    /// Whether sending a request twice is the same as sending it once.
    pub is_idempotent: bool,
    pub body: Option<Bytes>,
    pub expected: ExpectedAnswer,
    /// Digest of the body whose SHA-256 was checked in preparation; all slots share it.
    pub learned: Arc<OnceLock<u64>>,
}

impl HttpShared {
    pub fn new(
        spec: &Http,
        endpoint: Arc<target::HttpEndpoint>,
        seed: u64,
        learned: Arc<OnceLock<u64>>,
    ) -> Result<Self, BuildError> {
        let bad = |what: &str| {
            BuildError(format!("{what} of a request to target `{}`", spec.target.text))
        };
        let filled = FilledRequest::new(spec).map_err(|lack| BuildError(lack.reason))?;
        let constant = filled.path.constant().map(|path| format!("{}{path}", endpoint.base));
        if let Some(why) = constant.as_ref().and_then(|path| headers::too_long(path.len())) {
            return Err(bad(&why));
        }
        let constant = constant.map(|path| path.parse::<Uri>());
        let generated = spec.body_size.map(|Size(bytes)| Bytes::from(target::body(bytes)));
        let written = filled
            .body
            .as_ref()
            .and_then(Template::constant)
            .map(|text| Bytes::from(text.into_owned()));
        let raw = spec.body_raw.as_ref().map(|body| body.0.clone());
        let expected =
            ExpectedAnswer::new(&spec.expect, &spec.allow, spec.method == Verb::Head, &endpoint);
        let page = spec.follow.is_none().then(|| first_page(spec, &endpoint)).flatten();
        let origin = endpoint.http2.map(|_| origin(&endpoint)).transpose();
        Ok(Self {
            origin: origin.map_err(|_| bad("the host"))?,
            host: HeaderValue::from_str(&endpoint.host).map_err(|_| bad("the host"))?,
            lifetime: spec.lifetime(endpoint.pool.is_some()),
            is_idempotent: spec.method.method().is_idempotent(),
            uri: constant.transpose().map_err(|_| bad("the path"))?,
            body: generated.or(raw).or(written),
            expected: if spec.follow.is_some() || page.is_some() {
                expected.of_any_page()
            } else {
                expected
            },
            spec: spec.clone(),
            filled,
            endpoint,
            seed,
            learned: page.map_or(learned, |digest| Arc::new(OnceLock::from(digest))),
        })
    }

    /// Looks at these values from now on.
    pub fn bind(&mut self, value: &dyn Fn(&str) -> Arc<TakenValue>) {
        self.filled.templates_mut().for_each(|template| template.bind(value));
    }

    /// Looks at these rows from now on.
    pub fn bind_rows(&mut self, tables: &RowTables) -> Result<(), BuildError> {
        self.filled.templates_mut().try_for_each(|template| template.bind_rows(tables))
    }

    /// Whether all values are there that the request is made of.
    fn check_values(&self) -> Result<(), String> {
        let lacking = self.filled.templates().find_map(Template::lacks);
        lacking.map_or(Ok(()), |name| {
            Err(format!(
                "no step has taken `${{value:{name}}}` in this run of the task; let the step that takes it come before, \
                 and fail or skip"
            ))
        })
    }

    /// The id by which the embedded server draws its delay and status.
    pub fn id(&self, call: &Call) -> u64 {
        draw::mix(self.seed, call.key)
    }

    /// Where the request of one call goes. `text` is room for templates.
    pub fn place(&self, call: &Call, text: &mut String) -> Result<Uri, String> {
        self.check_values()?;
        if let Some(uri) = &self.uri {
            return Ok(uri.clone());
        }
        self.endpoint.base.clone_into(text);
        self.filled.path.render(call, draw::mix(self.seed, 0), text);
        let is_path = || {
            let own = &text[self.endpoint.base.len()..];
            own.starts_with('/') && !own.contains('#')
        };
        let parsed =
            if self.filled.path.fills_in_text() && !is_path() { None } else { text.parse().ok() };
        parsed.ok_or_else(|| {
            headers::too_long(text.len()).unwrap_or_else(|| self.no_path(text.as_bytes()))
        })
    }

    fn no_path(&self, text: &[u8]) -> String {
        let help = if self.filled.path.fills_in_text() {
            ": a value and a row are sent as they are; fill in what a path can have, and write the `/` before it"
        } else {
            ""
        };
        format!("{} is no path{help}", excerpt(text))
    }

    /// The request of one call.
    pub fn request(&self, call: &Call, text: &mut String) -> Result<HttpAsked, String> {
        self.request_to(self.place(call, text)?, self.id(call), call, text)
    }

    /// A request of a call to a place, by an id of its own.
    pub fn request_to(
        &self,
        uri: Uri,
        id: u64,
        call: &Call,
        text: &mut String,
    ) -> Result<HttpAsked, String> {
        let mut render = |template: &Template, place: u64| {
            text.clear();
            template.render(call, draw::mix(self.seed, place), text);
            text.clone()
        };
        let body = match (&self.body, &self.filled.body) {
            (Some(body), _) => body.clone(),
            (None, Some(template)) => render(template, 1).into(),
            (None, None) => Bytes::new(),
        };
        let sent = body.len() as u64;
        let mut request = Request::new(body);
        *request.method_mut() = self.spec.method.method();
        *request.uri_mut() = uri;
        let headers = request.headers_mut();
        headers.insert(HOST, self.host.clone());
        if self.origin.is_some() && sent > 0 {
            // Over HTTP/1.1, hyper does that.
            headers.insert(CONTENT_LENGTH, HeaderValue::from(sent));
        }
        if self.endpoint.embedded.is_some() {
            headers.insert(HeaderName::from_static(target::ID_HEADER), HeaderValue::from(id));
        }
        for (place, (name, value)) in self.filled.headers.iter().enumerate() {
            let value = render(value, place as u64 + 2);
            // One's own `Host` takes the place of the url's.
            headers.insert(
                name,
                HeaderValue::from_str(&value)
                    .map_err(|_| format!("{} is no header", excerpt(value.as_bytes())))?,
            );
        }
        if let Some((scheme, authority)) = &self.origin {
            name_host(&mut request, scheme, authority)?;
        }
        Ok((request, sent))
    }

    pub fn words(&self) -> String {
        format!("{} {}{}", self.spec.method.method(), self.endpoint.words, self.spec.path.0.text())
    }
}

/// The digest of the first page of the embedded server's list, if that is what a request asks for.
fn first_page(spec: &Http, endpoint: &target::HttpEndpoint) -> Option<u64> {
    let path = spec.path.0.text().split('?').next();
    endpoint.list().filter(|list| path == Some(list.path.as_str()))?;
    endpoint.pages_xxh3().first().copied()
}

/// The scheme and the host of a target, as HTTP/2 names them.
fn origin(endpoint: &target::HttpEndpoint) -> Result<(Scheme, Authority), InvalidUri> {
    let scheme = if endpoint.tls.is_some() { Scheme::HTTPS } else { Scheme::HTTP };
    Ok((scheme, endpoint.host.parse()?))
}

/// Over HTTP/2 the host stands beside the path, and not among the headers. One's own `Host` takes
/// the place of the url's there, too.
fn name_host(
    request: &mut Request<Bytes>,
    scheme: &Scheme,
    authority: &Authority,
) -> Result<(), String> {
    let own = request.headers_mut().remove(HOST);
    let own = own.filter(|own| own.as_bytes() != authority.as_str().as_bytes());
    let authority = match &own {
        None => authority.clone(),
        Some(own) => Authority::try_from(own.as_bytes())
            .map_err(|why| format!("`Host` cannot be {own:?} over HTTP/2: {why}"))?,
    };
    let mut parts = std::mem::take(request.uri_mut()).into_parts();
    (parts.scheme, parts.authority) = (Some(scheme.clone()), Some(authority));
    *request.uri_mut() = Uri::from_parts(parts).map_err(|why| why.to_string())?;
    Ok(())
}
