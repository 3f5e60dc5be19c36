//! What a scenario says of a WebSocket server.

use serde::{Deserialize, Serialize};

use crate::{
    secret::{EnvText, Lack},
    targets::http::{self, HttpTls},
};

/// A WebSocket server.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct WebSocketTarget {
    /// The user's own server; none: the embedded one is started.
    pub url: Option<EnvText>,
    /// How connections are encrypted; none: the embedded server's are not, and those to the user's
    /// own are where its url says so.
    pub tls: Option<HttpTls>,
}

/// What is wrong with a url where the target has `tls`.
pub(super) const NO_TLS: &str = "`tls` is about `wss://`, and this url begins with `ws://`";

/// A url of `ws` and `wss` as one of `http` and `https`, which is the same place.
pub(super) fn as_http(url: &str) -> Option<String> {
    let rest = url.strip_prefix("ws").filter(|rest| rest.starts_with([':', 's']))?;
    Some(format!("http{rest}"))
}

/// What is wrong with the url of a server, and what helps; nothing where it can be called.
pub(super) fn flaw_of(url: &str) -> Option<(String, String)> {
    let help = "write `ws://HOST:PORT/PATH`".to_owned();
    let expected = "expected a url that starts with `ws://` or `wss://`";
    let Some(place) = as_http(url).filter(|url| url.contains("://")) else {
        return Some((expected.into(), help));
    };
    if url.contains(['?', '#']) {
        return Some(("a target's url has neither `?` nor `#`".into(), help));
    }
    if place.split(['/', '@']).nth(2).is_some() && place.contains('@') {
        let message = "a user or a password here would end up in every run file";
        return Some((message.into(), "write a url without them".into()));
    }
    let (message, _) = http::flaw(&place)?;
    Some((message.replace("http://", "ws://").replace("https://", "wss://"), help))
}

impl WebSocketTarget {
    /// The url of the user's own server with what the environment says; an error does not show it.
    pub(super) fn resolved(&self) -> Result<String, Lack> {
        let Some(url) = &self.url else { return Ok(String::new()) };
        let text = url.resolve()?;
        let Some(variable) = url.variable() else { return Ok(text) };
        let no_tls = (self.tls.is_some() && text.starts_with("ws://")).then(|| NO_TLS.into());
        let Some(message) = flaw_of(&text).map(|(message, _)| message).or(no_tls) else {
            return Ok(text);
        };
        Err(Lack::of(
            variable,
            &format!("gives no url for this target: {message}; write `ws://HOST:PORT`"),
        ))
    }
}
