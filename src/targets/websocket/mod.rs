//! WebSocket targets: the embedded server, or a server of the user's own.
//!
//! The embedded server has one thread and `epoll`, as that of `http`, whose streams, control and
//! certificates it shares. At `/echo` it sends back each message as it came. At `/hub` it puts those
//! who register into rooms, and sends each message to all members of the room: [`words`] is what is
//! said there, `hub` what follows from it, without sockets. Data flows `server` (events) → `peer`
//! (socket, upgrade, frames) → `hub`.

use std::io;
#[cfg(target_os = "linux")]
use std::net::Ipv4Addr;

use super::{Start, Started, TargetError, TargetKind, http::HttpTls};
use crate::{
    config::Fields,
    secret::{EnvText, Lack},
};

mod account;
mod counts;
mod endpoint;
mod hub;
mod parameters;
#[cfg(target_os = "linux")]
mod peer;
#[cfg(target_os = "linux")]
mod server;
#[cfg(test)]
pub(crate) mod testing;
pub mod words;

pub use account::MessageAccount;
pub use endpoint::WebSocketEndpoint;
pub use parameters::WebSocketTarget;
pub use words::{ECHO_PATH, LONGEST_MESSAGE};

impl TargetKind for WebSocketTarget {
    const KEY: &'static str = "websocket";
    const DOC: &'static str =
        "A WebSocket server: the embedded one, or your own by its url, which sends messages back.";

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let doc = "Your own server, such as `ws://127.0.0.1:3000/echo`, `wss://h` or `${env:CHAT_URL}`; without it the embedded one is started.";
        let url: Option<String> = fields.optional("url", doc);
        let doc = "Encrypted connections: the embedded server speaks TLS; of your own, whom `wss://` trusts.";
        let tls = fields.optional("tls", doc);
        let url = url.map(|url| EnvText::parse(&url)).transpose();
        let help = "write url = \"${env:CHAT_URL}\"";
        let url = url.map_err(|why| fields.reject("url", why, Some(help.into()))).ok()?;
        let target = Self { url, tls };
        target.check(fields);
        Some(target)
    }

    fn has_process(&self) -> bool {
        self.url.is_none()
    }

    fn address(&self) -> Option<String> {
        // What the environment says is never written.
        self.url.as_ref().map(|url| url.text().to_owned())
    }

    fn unready(&self) -> Option<Lack> {
        self.url.as_ref()?.variable()?;
        self.resolved().err()
    }

    #[cfg(target_os = "linux")]
    fn serve(&self, _seed: u64) -> io::Result<()> {
        let listener = super::http::listen((Ipv4Addr::LOCALHOST, 0).into())?;
        server::serve(self, listener, io::stdin(), io::stdout())?;
        Ok(())
    }

    #[cfg(not(target_os = "linux"))]
    fn serve(&self, _seed: u64) -> io::Result<()> {
        let why = "the embedded WebSocket server needs Linux: name your own with `websocket = { url = \"ws://…\" }`";
        Err(io::Error::new(io::ErrorKind::Unsupported, why))
    }

    fn start(&self, start: &Start<'_>) -> Result<Box<dyn Started>, TargetError> {
        endpoint::start(self, start)
    }
}

impl WebSocketTarget {
    /// Reports what each key alone cannot see.
    fn check(&self, fields: &mut Fields<'_>) {
        if let Some(url) = &self.url {
            // What the environment says is looked at before a run.
            if let Some((message, help)) =
                parameters::flaw_of(url.text()).filter(|_| url.variable().is_none())
            {
                fields.reject("url", message, Some(help));
            }
            if self.tls.is_some() && url.text().starts_with("ws://") {
                let help = "write `wss://` in the url, or remove `tls`";
                fields.reject("tls", parameters::NO_TLS, Some(help.into()));
            }
        } else if self.tls.as_ref().is_some_and(|tls| *tls != HttpTls::default()) {
            let help = "write tls = {}, or name your own server's `url`";
            let message = "the embedded server makes an authority of its own, which is trusted";
            fields.reject("tls", message, Some(help.into()));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::step::testing::read_target;

    fn read(text: &str) -> Vec<String> {
        read_target(&format!("{{ websocket = {{ {text} }} }}")).err().unwrap_or_default()
    }

    #[test]
    fn a_server_is_embedded_or_one_s_own() {
        for fine in ["", "tls = {}", "url = 'ws://h:1/chat'", "url = 'wss://h', tls = { ca = 'a' }"]
        {
            assert_eq!(read(fine), [""; 0], "{fine}");
        }
        assert_eq!(read("url = '${env:CHAT_URL}'"), [""; 0]);
    }

    #[test]
    fn a_url_that_no_run_can_use_is_refused() {
        for (wrong, said) in [
            ("http://h", "`ws://` or `wss://`"),
            ("ws", "`ws://` or `wss://`"),
            ("wsx://h", "`ws://` or `wss://`"),
            ("ws://", "no host"),
            ("ws://me:pw@h/", "every run file"),
            ("ws://h:99999", "no port"),
            ("ws://h/?x=1", "neither `?`"),
        ] {
            let errors = read(&format!("url = '{wrong}'"));
            assert!(errors.len() == 1 && errors[0].contains(said), "{wrong}: {errors:?}");
        }
        assert_eq!(read("url = 'ws://h', tls = {}").len(), 1);
        assert_eq!(read("tls = { verify = 'none' }").len(), 1);
    }
}
