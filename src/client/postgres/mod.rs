//! A connection to PostgreSQL: tokio-postgres over any executor's stream.
//!
//! The connection is polled by the task that waits for the answer, as that of `http` is: no helper
//! task differs between executors.

pub(super) mod fault;
pub(super) mod stream;

use std::{
    fmt::Write as _,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::{Context, Poll},
};

use hyper_util::rt::TokioIo;
use tokio_postgres::{
    Client, Config, Error, NoTls, SimpleQueryMessage, config::SslMode, tls::NoTlsStream,
};

pub use self::fault::fault;
use self::stream::stream;
use super::{Address, Buffered, CancelKey, Fault, FaultKind, Pair, Transport, transport};
use crate::runtime::Native;

/// The protocol's side of a connection.
type PostgresDriver<C> = tokio_postgres::Connection<TokioIo<Buffered<Transport<C>>>, NoTlsStream>;

/// A connection.
pub struct Postgres<N: Native> {
    client: Client,
    /// None once it has ended: whoever waits must see the closed channel.
    driver: Option<PostgresDriver<N::Conn>>,
    /// Who of the two was woken.
    pair: Pair,
    key: CancelKey,
    preamble: String,
}

/// Options of a url that are heeded, besides those about encryption.
pub const OPTIONS: &[&str] = &["application_name", "options"];

impl<N: Native> Postgres<N> {
    /// Connects and logs in within the time limit. `application` is the name under which the server
    /// shows the session, `settings` are parameters of the session, such as `("search_path",
    /// "mine")`.
    pub async fn open(
        address: &Address,
        application: &str,
        settings: &[(&str, &str)],
    ) -> Result<Self, Fault> {
        let config = config(address, application, settings)?;
        let opening = async {
            let stream = Buffered::new(stream::<N>(address).await?);
            let connected = config.connect_raw(TokioIo::new(stream), NoTls).await;
            let (client, driver) = connected.map_err(|why| fault(&why))?;
            let (key, preamble) = (CancelKey::of(&client).await?, String::new());
            Ok(Self { client, driver: Some(driver), pair: Pair::default(), key, preamble })
        };
        let opened = transport::within_limit::<N, _>(address, opening).await;
        opened.map_err(|fault| fault.at(address))
    }

    /// With what it is asked to cancel what it does.
    pub fn key(&self) -> &CancelKey {
        &self.key
    }

    /// What is to stand before each text that is sent, in the same message; empty at first. Only
    /// whoever sends heeds it.
    pub fn preamble(&self) -> &str {
        &self.preamble
    }

    /// Puts something before each text.
    pub fn begin_texts_with(&mut self, preamble: &str) {
        preamble.clone_into(&mut self.preamble);
    }

    /// The first column of the first row that statements return, as text.
    pub async fn text(&mut self, query: &str) -> Result<Option<String>, Fault> {
        let messages = self.with(|client| client.simple_query(query)).await?;
        let row = messages.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        Ok(row.and_then(|row| row.get(0)).map(ToOwned::to_owned))
    }

    /// Runs statements, whatever they return.
    pub async fn run(&mut self, text: &str) -> Result<(), Fault> {
        self.with(|client| client.batch_execute(text)).await
    }

    /// Whether statements can still be sent.
    pub fn is_open(&self) -> bool {
        self.driver.is_some() && !self.client.is_closed()
    }

    /// Whether the server now takes a backslash in a text for the beginning of something else: it
    /// does where `standard_conforming_strings` is off, and says so whenever that changes.
    pub fn escapes_with_backslash(&self) -> bool {
        self.driver.as_ref().and_then(|driver| driver.parameter("standard_conforming_strings"))
            == Some("off")
    }

    /// Does something with the client, and polls the connection meanwhile.
    pub async fn with<'a, T, F>(
        &'a mut self,
        work: impl FnOnce(&'a Client) -> F,
    ) -> Result<T, Fault>
    where
        F: Future<Output = Result<T, Error>> + 'a,
    {
        let Self { client, driver, pair, .. } = self;
        let mut work = pin!(work(client));
        let mut connection = |context: &mut Context<'_>| {
            if let Some(connection) = driver.as_mut()
                && let Poll::Ready(ended) = Pin::new(connection).poll(context)
            {
                *driver = None;
                if let Err(why) = ended {
                    return Poll::Ready(Err(why));
                }
            }
            Poll::Pending
        };
        N::begin();
        pair.renew();
        poll_fn(|context| {
            pair.poll(context, |context| work.as_mut().poll(context), &mut connection)
        })
        .await
        .map_err(|why| fault(&why))
    }

    /// Says good-bye and waits until the connection is closed.
    pub async fn close(self) {
        let Self { client, driver, .. } = self;
        drop(client);
        if let Some(driver) = driver {
            // Whether or not the server heard it, the connection is gone.
            let _ = driver.await;
        }
    }
}

/// How a session is opened, but for where and how encrypted; see [`Postgres::open`].
pub fn config(
    address: &Address,
    application: &str,
    settings: &[(&str, &str)],
) -> Result<Config, Fault> {
    address.knows_options(OPTIONS).map_err(|why| Fault::new(FaultKind::Refused, why))?;
    let mut config = Config::new();
    config.ssl_mode(SslMode::Disable).application_name(application);
    let user = if address.user.is_empty() { "postgres" } else { address.user.as_str() };
    config.user(user);
    if let Some(password) = &address.password {
        config.password(password.reveal());
    }
    config.dbname(address.database.as_deref().unwrap_or(user));
    let mut options = address.options.get("options").cloned().unwrap_or_default();
    for (name, value) in settings {
        // A backslash keeps a space inside of a value.
        // Writing to a String cannot fail.
        let _ = write!(options, " -c {name}={}", value.replace('\\', "\\\\").replace(' ', "\\ "));
    }
    // A pooler may refuse options that say nothing, too.
    if !options.trim().is_empty() {
        config.options(options.trim());
    }
    Ok(config)
}

/// Whether a fault of the login is that of a pooler which takes no parameters of the session with
/// it.
pub fn refuses_settings(fault: &Fault) -> bool {
    fault.message.contains("unsupported startup parameter")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_begin_with_their_settings() {
        let address = Address::parse("postgres://me:pw@h/db?options=-c%20geqo=off").unwrap();
        let config = config(&address, "regatta", &[("search_path", "a b")]).unwrap();
        assert_eq!(config.get_options(), Some("-c geqo=off -c search_path=a\\ b"));
        assert_eq!(
            (config.get_user(), config.get_dbname(), config.get_ssl_mode()),
            (Some("me"), Some("db"), SslMode::Disable)
        );
    }
}
