//! HTTP targets: the embedded server, or a server of the user's own.
//!
//! The embedded server must never be the limit of a comparison: one thread, `epoll`, prebuilt
//! responses, no allocation per request. Data flows `server` (events) → `peer` (socket) →
//! `connection` (state machine) → `request`, `incoming`, `site` → `response`; only the first two, and
//! the `stream` of a peer, make system calls.

use std::{io, net::Ipv4Addr, os::unix::net::UnixStream, time::Duration};

use signal_hook::consts::SIGTERM;

use self::retry_after::LONGEST_ASKED;
use super::{Start, Started, TargetError, TargetKind};
use crate::{
    config::{Fields, Section},
    secret::{EnvText, Lack},
    units::{Size, format_size},
};

mod answer;
mod body;
mod connection;
mod control;
mod conversation;
mod counts;
mod drain;
mod embedded;
mod endpoint;
mod foreign;
mod held_most;
mod http2;
#[cfg(target_os = "linux")]
mod identity;
mod incoming;
mod list;
mod multiplexed;
mod parameters;
#[cfg(target_os = "linux")]
mod peer;
mod pool;
mod request;
mod response;
mod retry_after;
#[cfg(target_os = "linux")]
mod server;
#[cfg(not(target_os = "linux"))]
#[path = "unsupported.rs"]
mod server;
mod site;
mod slab;
mod stall;
#[cfg(target_os = "linux")]
mod stream;
mod timers;
mod tls;

pub use answer::{request_id, response_for, wait_for};
pub use body::{ServedBody, body};
pub use control::ControlAnswer;
pub use counts::ServedCounts;
pub use drain::HttpDrain;
pub use endpoint::HttpEndpoint;
pub use http2::{Http2, Http2Connections};
pub use list::HttpList;
pub use parameters::{HttpTarget, StatusWeight};
pub use pool::HttpPool;
pub use request::ID_HEADER;
pub use retry_after::RETRY_AFTER_MS;
pub use server::{listen, serve, serve_until};
pub use stall::Stall;
pub use tls::HttpTls;

// What another server of ours has in common with this one.
pub(super) use control::{Commands, ControlCommand};
pub(super) use counts::FULL_HANDSHAKES;
pub(super) use foreign::{PATIENCE, answering};
#[cfg(target_os = "linux")]
pub(super) use identity::Identity;
pub(super) use parameters::flaw;
pub(super) use slab::{Slab, Token};
#[cfg(target_os = "linux")]
pub(super) use stream::{PeerStream, Received};
pub(super) use tls::checked;

/// Longest body that the embedded server answers with: its digest is computed before a trial.
const MOST_BODY: u64 = 16 << 30;
/// Most entries of `status`.
const MOST_STATUSES: usize = 64;

impl TargetKind for HttpTarget {
    const KEY: &'static str = "http";
    const DOC: &'static str = "An HTTP server: the embedded one, or your own by its url.";

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let usual = Self::default();
        let url: Option<String> = fields.optional(
            "url",
            "Your own server, such as `http://127.0.0.1:3000`, `https://h` or `${env:API_URL}`; without it the embedded one is started.",
        );
        let delay = fields.or(
            "delay",
            usual.delay,
            "How long the embedded server waits before it answers.",
        );
        let Size(body) =
            fields.or("body", Size(usual.body), "Length of the embedded server's response bodies.");
        let status = fields.or(
            "status",
            usual.status,
            "Statuses that the embedded server answers with, by weight; empty: always 200.",
        );
        let doc = "How often and for how long the embedded server stands still, as if it were frozen; default: never.";
        let stall = fields.optional("stall", doc);
        let doc = "A list that the embedded server gives out page by page, as JSON; default: none.";
        let list = fields.optional("list", doc);
        let doc = "Encrypted connections: the embedded server speaks TLS; of your own, whom `https://` trusts.";
        let tls = fields.optional("tls", doc);
        let doc = "Requests go over HTTP/2, and who has which connection; default: HTTP/1.1.";
        let http2 = fields.optional("http2", doc);
        let doc = "The connections that all tasks share, and how long one lasts; default: as each step says.";
        let pool = fields.optional("pool", doc);
        let doc = "How often the embedded server gives way to a successor, as in a rolling restart, and drains; default: never.";
        let drain = fields.optional("drain", doc);
        let url = url.map(|url| EnvText::parse(&url)).transpose();
        let url = url
            .map_err(|why| fields.reject("url", why, Some("write url = \"${env:API_URL}\"".into())))
            .ok()?;
        let http = Self { url, delay, body, status, stall, list, tls, http2, pool, drain };
        http.check(fields);
        Some(http)
    }

    fn has_process(&self) -> bool {
        self.url.is_none()
    }

    fn has_pool(&self) -> bool {
        self.pool.is_some()
    }

    fn address(&self) -> Option<String> {
        // What the environment says is never written.
        self.url.as_ref().map(|url| url.text().to_owned())
    }

    fn unready(&self) -> Option<Lack> {
        self.url.as_ref()?.variable()?;
        self.resolved().err()
    }

    fn serve(&self, seed: u64) -> io::Result<()> {
        let listener = listen((Ipv4Addr::LOCALHOST, 0).into())?;
        let (terminated, told) = UnixStream::pair()?;
        signal_hook::low_level::pipe::register(SIGTERM, told)?;
        let control = (io::stdin(), io::stdout());
        serve_until(self, seed, listener, control, Some(&terminated.into()))?;
        Ok(())
    }

    fn start(&self, start: &Start<'_>) -> Result<Box<dyn Started>, TargetError> {
        match &self.url {
            Some(url) => foreign::start(self, url, start),
            None => embedded::start(self, start),
        }
    }
}

impl HttpTarget {
    /// Reports what each key alone cannot see.
    fn check(&self, fields: &mut Fields<'_>) {
        if let Some(url) = &self.url {
            // What the environment says is looked at before a run.
            if let Some((message, help)) =
                parameters::flaw(url.text()).filter(|_| url.variable().is_none())
            {
                fields.reject("url", message, help.map(str::to_owned));
            }
            if self.tls.is_some() && url.text().starts_with("http://") {
                let help = "write `https://` in the url, or remove `tls`";
                fields.reject("tls", parameters::PLAIN, Some(help.into()));
            }
            if fields.has("http2") && self.http2.is_some_and(|http2| http2.says_streams()) {
                let message = "`streams` is about the embedded server, and `url` names your own";
                fields.reject("http2", message, Some("remove `streams` or `url`".into()));
            }
            for key in ["delay", "body", "status", "stall", "list", "drain"]
                .into_iter()
                .filter(|key| fields.has(key))
                .collect::<Vec<_>>()
            {
                let message =
                    format!("`{key}` is about the embedded server, and `url` names your own");
                fields.reject(key, message, Some(format!("remove `{key}` or `url`")));
            }
        }
        if self.url.is_none() && self.tls.as_ref().is_some_and(|tls| *tls != HttpTls::default()) {
            let help = "write tls = {}, or name your own server's `url`";
            let message = "the embedded server makes an authority of its own, which is trusted";
            fields.reject("tls", message, Some(help.into()));
        }
        if self.pool.is_some() && self.http2.is_some() {
            let help = "remove `pool`, and write http2 = { connections = N }: that many are shared";
            let message =
                "a pool lends a connection to one call at a time, and HTTP/2 has many calls on one";
            fields.reject("pool", message, Some(help.into()));
        }
        if self.drain.is_some() && self.http2.is_some() {
            let help = "remove `http2` or `drain`";
            let message = "what is in flight over HTTP/2 when a server drains is not counted";
            fields.reject("drain", message, Some(help.into()));
        }
        if self.body > MOST_BODY {
            fields.reject(
                "body",
                format!("the embedded server's bodies are at most {}", format_size(MOST_BODY)),
                None,
            );
        }
        if self.list.is_some() && !self.status.is_empty() {
            let help = "name two targets, or remove one of the two";
            let message = "pages of `list` are answered with 200, and `status` draws other ones";
            fields.reject("list", message, Some(help.into()));
        }
        if self.status.len() > MOST_STATUSES {
            fields.reject("status", format!("at most {MOST_STATUSES} statuses"), None);
        }
    }
}

impl Section for StatusWeight {
    const DOC: &'static str = "A status and how often it is answered, relative to the others.";

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let status = fields.required("status", "The status code, from 200 to 599.");
        let weight = fields.or("weight", 1.0, "How often, relative to the other entries.");
        if status.is_some_and(|status| !(200..600).contains(&status)) {
            fields.reject("status", "expected a status from 200 to 599", None);
        }
        if !(weight > 0.0 && weight <= 1e9) {
            fields.reject("weight", "expected a weight above 0 and at most 1e9", None);
        }
        let doc = "The wait before the next attempt that such an answer asks for, in `Retry-After` (whole seconds, rounded up) and `retry-after-ms`; default: none.";
        let retry_after: Option<Duration> = fields.optional("retry_after", doc);
        if retry_after.is_some_and(|wait| wait > LONGEST_ASKED) {
            let help = "write seconds or milliseconds, such as `retry_after = \"20ms\"`";
            fields.reject("retry_after", "expected at most 24 hours", Some(help.into()));
        }
        if retry_after.is_some() && status.is_some_and(|status| (200..300).contains(&status)) {
            let help = "write it into the entry of an error, such as 429 or 503";
            let message = "who is answered with this status has no reason to try again";
            fields.reject("retry_after", message, Some(help.into()));
        }
        Some(Self { status: status?, weight, retry_after })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Diagnostics, parse};
    use crate::units::Distribution;

    fn read(text: &str) -> (Option<HttpTarget>, Vec<String>) {
        let mut diagnostics = Diagnostics::default();
        let node = parse(text, &mut diagnostics);
        let mut fields = Fields::of(&node, &mut diagnostics).unwrap();
        let http = <HttpTarget as TargetKind>::read(&mut fields);
        fields.finish(&mut diagnostics);
        (http, diagnostics.into_sorted().into_iter().map(|found| found.message).collect())
    }

    #[test]
    fn everything_has_a_default() {
        let (http, errors) = read("");
        let http = http.unwrap();
        assert_eq!(errors, [""; 0]);
        assert!(http.has_process());
        assert_eq!(
            (http.body, http.delay, http.status.len()),
            (1024, Distribution::Const(Duration::ZERO), 0)
        );
    }

    #[test]
    fn all_keys_are_read() {
        let (http, errors) = read(
            "delay = '2ms'\nbody = '4KiB'\nstatus = [{ status = 200, weight = 9 }, { status = 500 }]",
        );
        let http = http.unwrap();
        assert_eq!(errors, [""; 0]);
        assert_eq!((http.body, http.delay), (4096, Distribution::Const(Duration::from_millis(2))));
        let statuses: Vec<_> =
            http.status.iter().map(|entry| (entry.status, entry.weight)).collect();
        assert_eq!(statuses, [(200, 9.0), (500, 1.0)]);
    }

    #[test]
    fn your_own_server_takes_no_orders() {
        let (http, errors) = read(
            "url = 'http://localhost:1'\ndelay = '2ms'\nbody = 1\nstatus = []\n\
                  stall = { every = '1s', for = '1ms' }\nlist = { items = 9, page = 3 }\ndrain = { every = '1s' }",
        );
        assert!(!http.unwrap().has_process());
        assert_eq!(errors.len(), 6, "{errors:?}");
        assert!(read("url = 'localhost'").1[0].contains("http://"));
    }

    #[test]
    fn a_url_that_no_run_can_use_is_refused() {
        for fine in ["http://localhost:1", "http://h", "http://[::1]:8080/base", "https://h/"] {
            assert_eq!(read(&format!("url = '{fine}'")).1, [""; 0], "{fine}");
        }
        for (wrong, said) in [
            ("ftp://h", "`http://` or `https://`"),
            ("https://", "no host"),
            ("http:///x", "no host"),
            ("http://", "no host"),
            ("http://me:pw@h/", "every run file"),
            ("http://h:99999", "no port"),
            ("http://h:", "no port"),
            ("http://h/?x=1", "neither `?`"),
            ("http://h o", "no url"),
        ] {
            let errors = read(&format!("url = '{wrong}'")).1;
            assert!(errors.len() == 1 && errors[0].contains(said), "{wrong}: {errors:?}");
        }
    }

    #[test]
    fn senseless_values_are_refused() {
        for text in [
            "body = '17GiB'",
            "status = [{ status = 100 }]",
            "status = [{ status = 600 }]",
            "status = [{ status = 200, weight = 0 }]",
            "status = [{ status = 503, retry_after = '25h' }]",
            "status = [{ status = 204, retry_after = '1s' }]",
            "status = [{ status = 200, weight = -1 }]",
            "stall = { every = '1s', for = '1s' }",
            "stall = { every = 0, for = 0 }",
            "tls = { verify = 'none' }",
            "pool = { acquire_timeout = '1s' }",
            "drain = { every = '1us' }",
            "drain = { every = '1s' }\nhttp2 = {}",
            "pool = { max = 0 }",
            "pool = { max = 65536 }",
            "pool = { max = 4, force_close = true, idle_timeout = '1s' }",
            "pool = { max = 4 }\nhttp2 = {}",
            "tls = { ca = 'ca.pem' }",
            "url = 'http://h'\ntls = {}",
            "url = 'https://h'\ntls = { ca = 'ca.pem', verify = 'none' }",
            "list = { items = 1, page = 0 }",
            "list = { items = 1000001, page = 1000 }",
            "list = { items = 10001, page = 1 }",
            "list = { items = 1, page = 1, path = 'list' }",
            "list = { items = 1, page = 1, path = '/list?page=1' }",
            "list = { items = 1, page = 1 }\nstatus = [{ status = 200 }]",
        ] {
            assert_eq!(read(text).1.len(), 1, "{text}");
        }
    }
}
