//! What a scenario says of an HTTP server.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    drain::HttpDrain, http2::Http2, list::HttpList, pool::HttpPool, stall::Stall, tls::HttpTls,
};
use crate::{
    secret::{EnvText, Lack},
    units::Distribution,
};

/// An HTTP server.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HttpTarget {
    /// The user's own server; none: the embedded one is started.
    pub url: Option<EnvText>,
    /// How long the embedded server waits before it answers.
    pub delay: Distribution,
    /// Length of the body that the embedded server answers with, in bytes.
    pub body: u64,
    /// Statuses that the embedded server answers with, and their weights; empty: always 200.
    pub status: Vec<StatusWeight>,
    /// When the embedded server stands still; none: never.
    #[serde(default)]
    pub stall: Option<Stall>,
    /// The list that the embedded server gives out page by page; none: it has none.
    #[serde(default)]
    pub list: Option<HttpList>,
    /// How connections are encrypted; none: the embedded server's are not, and those to the user's
    /// own are where its url says so.
    #[serde(default)]
    pub tls: Option<HttpTls>,
    /// Whose connections requests over HTTP/2 have; none: they go over HTTP/1.1.
    #[serde(default)]
    pub http2: Option<Http2>,
    /// The connections that all tasks share; none: as each step says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<HttpPool>,
    /// How often the embedded server gives way to a successor; none: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drain: Option<HttpDrain>,
}

/// A status and how often it is answered, relative to the others.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct StatusWeight {
    /// The status code.
    pub status: u16,
    /// Its weight.
    pub weight: f64,
    /// The wait before the next attempt that it asks for; none: it says nothing of one.
    #[serde(default)]
    pub retry_after: Option<Duration>,
}

/// The embedded server that answers at once with 1 KiB and status 200.
impl Default for HttpTarget {
    fn default() -> Self {
        Self {
            url: None,
            delay: Distribution::Const(Duration::ZERO),
            body: 1024,
            status: Vec::new(),
            stall: None,
            list: None,
            tls: None,
            http2: None,
            pool: None,
            drain: None,
        }
    }
}

/// What is wrong with a url where the target has `tls`.
pub(super) const PLAIN: &str = "`tls` is about `https://`, and this url begins with `http://`";

/// What is wrong with the url of a server, and what helps; nothing where it can be called.
pub(in crate::targets) fn flaw(url: &str) -> Option<(String, Option<&'static str>)> {
    let Some(rest) = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://")) else {
        return Some(("expected a url that starts with `http://` or `https://`".into(), None));
    };
    let uri: Result<hyper::Uri, _> = url.parse();
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let port = authority
        .rsplit_once(']')
        .map_or(authority, |(_, rest)| rest)
        .rsplit_once(':')
        .map(|(_, port)| port);
    let help = "write `http://HOST:PORT`, and a path if all calls have it in common";
    let message = match uri {
        _ if authority.is_empty() => "the url names no host".to_owned(),
        _ if authority.contains('@') => {
            let help = "send it as a header: headers = { authorization = \"${env:NAME}\" }, with `Basic …` in NAME";
            return Some((
                "a user or a password here would end up in every run file".to_owned(),
                Some(help),
            ));
        }
        Err(why) => format!("this is no url: {why}"),
        Ok(_) if port.is_some_and(|port| port.parse::<u16>().is_err()) => {
            "what follows the host's `:` is no port".into()
        }
        Ok(_) if url.contains(['?', '#']) => {
            "a target's url has neither `?` nor `#`: they belong to a step's path".into()
        }
        Ok(_) => return None,
    };
    Some((message, Some(help)))
}

impl HttpTarget {
    /// The url of the user's own server with what the environment says; an error does not show it.
    pub(super) fn resolved(&self) -> Result<String, Lack> {
        let Some(url) = &self.url else { return Ok(String::new()) };
        let text = url.resolve()?;
        let Some(variable) = url.variable() else { return Ok(text) };
        let authority = text
            .split_once("://")
            .map_or("", |(_, rest)| rest)
            .split('/')
            .next()
            .unwrap_or_default();
        if authority.contains('@') {
            let what = "holds a user or a password, which no url sends; put `Basic …` into a variable, and write \
                headers = { authorization = \"${env:NAME}\" } in the step";
            return Err(Lack::of(variable, what));
        }
        let no_tls = (self.tls.is_some() && text.starts_with("http://")).then(|| PLAIN.into());
        let flaw = flaw(&text).map(|(message, _)| message).or(no_tls);
        let Some(message) = flaw else { return Ok(text) };
        Err(Lack::of(
            variable,
            &format!("gives no url for this target: {message}; write `http://HOST:PORT`"),
        ))
    }

    /// Whether connections are encrypted, as far as its url tells.
    pub fn is_encrypted(&self) -> bool {
        match &self.url {
            Some(_) => self.resolved().is_ok_and(|url| url.starts_with("https://")),
            None => self.tls.is_some(),
        }
    }

    /// Whether it is the user's own server on another host, as far as its url tells.
    pub fn is_remote(&self) -> bool {
        let url = self.resolved().unwrap_or_default();
        let Some((_, host)) = url.split_once("://") else { return false };
        !["127.", "localhost", "[::1]"].iter().any(|own| host.starts_with(own))
    }
}
