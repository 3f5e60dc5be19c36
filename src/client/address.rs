//! Where a database server is, and as whom to log in: `postgres://user@host:5432/db`.
//!
//! Scenarios, plans and run files hold a [`Reference`], which never contains a password: the name
//! of an environment variable, or a url without one. Only the process that connects resolves it to
//! an [`Address`].

use std::{collections::BTreeMap, fmt, path::PathBuf, time::Duration};

use hyper::Uri;
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use super::authorities::Authorities;
use crate::{
    config::{Diagnostics, Field, Node},
    secret::{self, Secret},
};

/// The longest that opening a connection may take, login included, unless the url says otherwise.
pub const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// The protocol of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// PostgreSQL's.
    Postgres,
    /// MySQL's and MariaDB's.
    Mysql,
    /// MongoDB's.
    Mongo,
}

/// The words with which urls begin.
const SCHEMES: &[(&str, Scheme)] = &[
    ("postgres", Scheme::Postgres),
    ("postgresql", Scheme::Postgres),
    ("mysql", Scheme::Mysql),
    ("mariadb", Scheme::Mysql),
    ("mongodb", Scheme::Mongo),
];

impl Scheme {
    /// The word with which its urls begin.
    pub fn word(self) -> &'static str {
        SCHEMES.iter().find(|(_, scheme)| *scheme == self).map_or("", |(word, _)| word)
    }

    /// The port where its servers usually listen.
    pub fn port(self) -> u16 {
        match self {
            Self::Postgres => 5432,
            Self::Mysql => 3306,
            Self::Mongo => 27017,
        }
    }
}

/// A server, and as whom to log in. Printed without the password and the options.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// The protocol.
    pub scheme: Scheme,
    /// The user; empty: none.
    pub user: String,
    /// The user's password.
    pub password: Option<Secret>,
    /// A name or an address, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The server's socket in the file system, which is used instead of host and port.
    pub socket: Option<PathBuf>,
    /// The database to begin with.
    pub database: Option<String>,
    /// What follows `?`.
    pub options: BTreeMap<String, String>,
    /// The certificates that [`Self::tls`] speaks of, once a connection has read them.
    pub(super) authorities: Authorities,
}

/// Whether and how a connection is encrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TlsMode {
    /// It is not.
    Off,
    /// It is if the server offers it, with whoever answers; see [`Address::settle`].
    Preferred,
    /// It is, with whoever answers.
    Unverified,
    /// With a server whose certificate one of the authorities in this file has signed, under any
    /// name.
    Authority(PathBuf),
    /// The certificate must also be for the url's host.
    Full(PathBuf),
}

impl Address {
    /// Reads a url. Errors do not repeat it, for it may have a password.
    pub fn parse(text: &str) -> Result<Self, String> {
        const HINT: &str = "in user and password, write `%` and two digits for `@ : / ? # %`";
        // What follows would be dropped without a word.
        if text.contains('#') {
            return Err(format!("a database's url has no `#`; {HINT}"));
        }
        let text = with_host(text)?;
        let text = text.as_str();
        // A `/` or `?` in the password would end the host, and what follows be told as a database
        // or an option.
        let after_host =
            text.split_once("://").map_or(text, |(_, rest)| rest).split_once(['/', '?']);
        if after_host.is_some_and(|(_, rest)| rest.contains('@')) {
            return Err(format!("there is an `@` after the host; {HINT}"));
        }
        let uri: Uri = text.parse().map_err(|why| format!("this is no url: {why}; {HINT}"))?;
        let word = uri.scheme_str().unwrap_or_default();
        let known = SCHEMES.iter().find(|(known, _)| *known == word).map(|(_, scheme)| *scheme);
        let scheme = known.ok_or_else(|| {
            let words: Vec<_> = SCHEMES.iter().map(|(word, _)| format!("`{word}://`")).collect();
            format!("a database's url begins with one of {}", words.join(", "))
        })?;
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        let login = authority.rsplit_once('@').map_or("", |(login, _)| login);
        let (user, password) =
            login.split_once(':').map_or((login, None), |(user, word)| (user, Some(word)));
        let host = decoded(uri.host().unwrap_or_default().trim_matches(['[', ']']))?;
        if host.is_empty() {
            return Err(format!(
                "the url names no host; write `{}://HOST/DATABASE`",
                scheme.word()
            ));
        }
        let after_host = authority.rsplit_once('@').map_or(authority, |(_, place)| place);
        let after_host = after_host.rsplit_once(']').map_or(after_host, |(_, rest)| rest);
        let port = match after_host.rsplit_once(':') {
            Some((_, digits)) => digits
                .parse()
                .map_err(|_| format!("what follows the host's `:` is no port; {HINT}"))?,
            None => scheme.port(),
        };
        let database = uri.path().trim_matches('/');
        let mut options = options(uri.query().unwrap_or_default())?;
        let (host, socket) = place(scheme, host, port, &mut options)?;
        Ok(Self {
            scheme,
            user: decoded(user)?,
            password: password
                .map(decoded)
                .transpose()?
                .filter(|word| !word.is_empty())
                .map(Secret::new),
            host,
            port,
            socket,
            database: Some(decoded(database)?).filter(|name| !name.is_empty()),
            options,
            authorities: Authorities::default(),
        })
    }

    /// How long opening a connection may take, login included: the url's `connect_timeout` in
    /// seconds, or [`CONNECT_LIMIT`].
    pub fn connect_limit(&self) -> Duration {
        let seconds = self.options.get("connect_timeout").and_then(|text| text.parse().ok());
        seconds.filter(|seconds| *seconds > 0).map_or(CONNECT_LIMIT, Duration::from_secs)
    }

    /// Says once and for all of a trial's connections whether they are encrypted, where the url
    /// leaves that to the server.
    pub fn settle(&mut self, encrypted: bool) {
        let settled = if encrypted { "require" } else { "disable" };
        if let Some(mode) = MODE_KEYS.iter().find(|key| self.options.contains_key(**key)) {
            self.options.insert((*mode).to_owned(), settled.to_owned());
        }
    }

    /// Where it is, and whether connections to it are encrypted, in words without the password.
    pub fn words(&self) -> String {
        let encrypted = match self.tls() {
            Ok(TlsMode::Off) => "",
            Ok(TlsMode::Preferred) => ", encrypted if the server offers it",
            _ => ", encrypted",
        };
        format!("{self}{encrypted}")
    }

    /// Refuses options that nobody would heed, and values that none has; those of [`Self::tls`] are
    /// always known, and so are those that are the same in all protocols.
    pub fn knows_options(&self, known: &[&str]) -> Result<(), String> {
        let is_known =
            |key: &str| known.contains(&key) || TLS_KEYS.contains(&key) || key == "connect_timeout";
        if let Some(key) = self.options.keys().find(|key| !is_known(key)) {
            let all: Vec<_> = known
                .iter()
                .chain(&["connect_timeout"])
                .chain(TLS_KEYS)
                .map(|key| format!("`{key}`"))
                .collect();
            return Err(format!(
                "the url has the unknown option `{key}`; known are {}",
                all.join(", ")
            ));
        }
        let limit = self.options.get("connect_timeout");
        if let Some(wrong) = limit.filter(|text| text.parse::<u32>().is_err()) {
            return Err(format!(
                "`connect_timeout` is a number of seconds, and the url has `{wrong}`"
            ));
        }
        let charset =
            self.options.get("charset").filter(|name| !name.eq_ignore_ascii_case("utf8mb4"));
        charset.map_or(Ok(()), |name| {
            Err(format!("connections use `charset=utf8mb4`, and the url asks for `{name}`"))
        })
    }

    /// Whether and how to encrypt, by the options of any of the protocols:
    /// `sslmode=verify-full&sslrootcert=ca.pem`, `ssl-mode=VERIFY_IDENTITY&ssl-ca=ca.pem`,
    /// `tls=true`. Without any, a connection is plain.
    pub fn tls(&self) -> Result<TlsMode, String> {
        let get = |keys: &[&str]| keys.iter().find_map(|key| self.options.get(*key));
        let file = get(&["sslrootcert", "ssl-ca", "tlsCAFile"]);
        // Nobody listens in on a socket of this host's file system; servers do not encrypt there.
        if self.socket.is_some() {
            return Ok(TlsMode::Off);
        }
        let Some(mode) = get(MODE_KEYS) else {
            let plain =
                "the url names an authority and does not say to encrypt; add `sslmode=verify-full`";
            return if file.is_some() { Err(plain.into()) } else { Ok(TlsMode::Off) };
        };
        let authority = || {
            file.map(PathBuf::from).ok_or_else(|| {
                format!("`{mode}` needs the certificates of the authority: add `sslrootcert=FILE.pem` to the url")
            })
        };
        match mode.to_ascii_lowercase().replace('_', "-").as_str() {
            "disable" | "disabled" | "false" => Ok(TlsMode::Off),
            "require" | "required" if file.is_some() => Err(format!(
                "`{mode}` asks nobody who the server is, and the url names an authority; write `verify-ca` or `verify-full`"
            )),
            "prefer" | "preferred" if file.is_some() => Err(format!(
                "`{mode}` may leave a connection open to all, and the url names an authority; write `verify-ca` or \
                 `verify-full`"
            )),
            "prefer" | "preferred" => Ok(TlsMode::Preferred),
            "require" | "required" => Ok(TlsMode::Unverified),
            "true" if file.is_none() => Ok(TlsMode::Unverified),
            "verify-ca" => authority().map(TlsMode::Authority),
            "verify-full" | "verify-identity" | "true" => authority().map(TlsMode::Full),
            _ => Err(format!(
                "`{mode}` says not whether to encrypt; write `disable`, `prefer`, `require`, `verify-ca` or `verify-full`"
            )),
        }
    }
}

/// The options that say whether to encrypt, by protocol.
const MODE_KEYS: &[&str] = &["sslmode", "ssl-mode", "tls", "ssl"];

/// Options about encryption, of all protocols.
const TLS_KEYS: &[&str] =
    &["sslmode", "ssl-mode", "tls", "ssl", "sslrootcert", "ssl-ca", "tlsCAFile"];

/// The url with a host: one that names only a socket in the file system, as in
/// `postgres:///db?host=/run/postgresql` or `postgres://%2Frun%2Fpostgresql/db`, has none.
fn with_host(text: &str) -> Result<String, String> {
    let Some((scheme, rest)) = text.split_once("://") else { return Ok(text.to_owned()) };
    let (before, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = before.split_once('/').unwrap_or((before, ""));
    let (login, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (name, port) = host.find(':').map_or((host, ""), |at| host.split_at(at));
    let is_path = name.get(..3).is_some_and(|first| first.eq_ignore_ascii_case("%2f"));
    if !name.is_empty() && !is_path {
        return Ok(text.to_owned());
    }
    let query = if is_path { format!("host={name}&{query}") } else { query.to_owned() };
    let names_socket =
        |pair: &str| pair.split_once('=').is_some_and(|(key, _)| SOCKET_KEYS.contains(&key));
    if !query.split('&').any(names_socket) {
        return Err("the url names no host; write `SCHEME://HOST/DATABASE`".into());
    }
    let login = if login.is_empty() { String::new() } else { format!("{login}@") };
    Ok(format!("{scheme}://{login}localhost{port}/{path}?{query}"))
}

/// Options that name a socket in the file system, or, as PostgreSQL's do, another host.
const SOCKET_KEYS: &[&str] = &["host", "socket", "unix_socket"];

/// The host, and the socket in the file system, if the url names one: as its host
/// (`%2Frun%2Fpostgresql`) or by an option, which is taken out. PostgreSQL's users name the folder,
/// MySQL's the file.
fn place(
    scheme: Scheme,
    host: String,
    port: u16,
    options: &mut BTreeMap<String, String>,
) -> Result<(String, Option<PathBuf>), String> {
    let named = SOCKET_KEYS.iter().find_map(|key| options.remove(*key)).unwrap_or(host);
    if !named.starts_with('/') {
        return if named.contains('/') {
            Err(format!("`{named}` is no host; a socket's path begins with `/`"))
        } else {
            Ok((named, None))
        };
    }
    let path = PathBuf::from(named);
    let socket = match scheme {
        Scheme::Postgres => path.join(format!(".s.PGSQL.{port}")),
        Scheme::Mysql => path,
        Scheme::Mongo => {
            return Err("MongoDB's protocol is spoken over TCP only; name a host".into());
        }
    };
    Ok(("localhost".into(), Some(socket)))
}

fn decoded(text: &str) -> Result<String, String> {
    let text = percent_decode_str(text).decode_utf8();
    text.map(Into::into).map_err(|_| "the url is not UTF-8 where `%` is decoded".to_owned())
}

fn options(query: &str) -> Result<BTreeMap<String, String>, String> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decoded(key)?, decoded(&value.replace('+', " "))?))
        })
        .collect()
}

impl fmt::Display for Address {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = if self.user.is_empty() { String::new() } else { format!("{}@", self.user) };
        let host =
            if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        write!(out, "{}://{user}{host}:{}", self.scheme.word(), self.port)?;
        self.database.as_ref().map_or(Ok(()), |database| write!(out, "/{database}"))?;
        self.socket.as_ref().map_or(Ok(()), |socket| write!(out, " by {}", socket.display()))
    }
}

/// A url as a scenario has it: `${env:NAME}`, or a url without a password. This text is what is
/// stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Reference(String);

impl Reference {
    /// Reads what a scenario says; the error is the message and the remedy.
    pub fn parse(text: &str) -> Result<Self, (String, Option<String>)> {
        if text.contains("${") {
            let key = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
            return match key.and_then(secret::variable) {
                Some(_) => Ok(Self(text.into())),
                None => Err((
                    "a url is taken from the environment as a whole".into(),
                    Some("write url = \"${env:DATABASE_URL}\"".into()),
                )),
            };
        }
        let address = Address::parse(text).map_err(|why| (why, None))?;
        if address.password.is_some() || address.options.keys().any(|key| key.contains("pass")) {
            return Err((
                "a password here would end up in every run file".into(),
                Some(
                    "put the url into the environment, and write url = \"${env:DATABASE_URL}\""
                        .into(),
                ),
            ));
        }
        Ok(Self(text.into()))
    }

    /// The environment variable that it names.
    pub fn variable(&self) -> Option<&str> {
        self.0.strip_prefix("${env:")?.strip_suffix('}')
    }

    /// Whether it is a url, and no name of a variable: all of it is known before a run.
    pub fn is_literal(&self) -> bool {
        self.variable().is_none()
    }

    /// The address, with what the environment says; `schemes` are the protocols that will do.
    pub fn resolve(&self, schemes: &[Scheme]) -> Result<Address, String> {
        let (text, place) = match self.variable() {
            None => (self.0.clone(), String::new()),
            Some(name) => {
                let text = std::env::var(name).map_err(|_| {
                    let word = schemes.first().map_or("", |scheme| scheme.word());
                    format!(
                        "the environment variable `{name}` is not set; export {name}={word}://USER:PASSWORD@HOST/DATABASE"
                    )
                })?;
                (text, format!("the environment variable `{name}`: "))
            }
        };
        let address = Address::parse(&text).map_err(|why| format!("{place}{why}"))?;
        if schemes.contains(&address.scheme) {
            return Ok(address);
        }
        let words: Vec<_> =
            schemes.iter().map(|scheme| format!("`{}://`", scheme.word())).collect();
        Err(format!("{place}expected a url that begins with {}", words.join(" or ")))
    }
}

impl Field for Reference {
    fn schema() -> Json {
        json!({ "type": "string", "examples": ["${env:DATABASE_URL}", "postgres://user@localhost:5432/db"] })
    }

    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        let text = <String as Field>::read(node, diagnostics)?;
        Self::parse(&text)
            .map_err(|(message, help)| diagnostics.error(node.span.clone(), message, help))
            .ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_a_url_is_read() {
        let text = "postgresql://me%40here:p%3Aw%2F@[::1]:6543/my%20db?sslmode=require&options=-c+geqo%3Doff";
        let address = Address::parse(text).unwrap();
        assert_eq!(
            (address.scheme, address.user.as_str(), address.port),
            (Scheme::Postgres, "me@here", 6543)
        );
        assert_eq!(address.password.as_ref().map(Secret::reveal), Some("p:w/"));
        assert_eq!((address.host.as_str(), address.database.as_deref()), ("::1", Some("my db")));
        assert_eq!(address.options["options"], "-c geqo=off");
        assert_eq!(address.to_string(), "postgres://me@here@[::1]:6543/my db");
        let short = Address::parse("mariadb://db").unwrap();
        assert_eq!((short.to_string().as_str(), short.password), ("mysql://db:3306", None));
        assert_eq!(Address::parse("mongodb://h/").unwrap().port, 27017);
    }

    #[test]
    fn a_password_has_no_words() {
        let address = Address::parse("postgres://me:topsecret@h/db").unwrap();
        assert!(!format!("{address} {address:?}").contains("topsecret"));
        for wrong in [
            "topsecret",
            "postgres://me:topsecret@/db",
            "oracle://me:topsecret@h",
            "postgres://me:topsecret%@h o",
        ] {
            let why = Address::parse(wrong).unwrap_err();
            assert!(!why.contains("topsecret"), "{why}");
        }
    }

    #[test]
    fn encryption_is_as_each_protocol_says_it() {
        let tls = |query: &str| Address::parse(&format!("mysql://h/?{query}")).unwrap().tls();
        let file = || PathBuf::from("ca.pem");
        assert_eq!(tls(""), Ok(TlsMode::Off));
        assert_eq!(
            (tls("sslmode=disable"), tls("tls=true")),
            (Ok(TlsMode::Off), Ok(TlsMode::Unverified))
        );
        assert_eq!(tls("ssl-mode=REQUIRED"), Ok(TlsMode::Unverified));
        assert_eq!(tls("sslmode=verify-ca&sslrootcert=ca.pem"), Ok(TlsMode::Authority(file())));
        assert_eq!(tls("ssl-mode=VERIFY_IDENTITY&ssl-ca=ca.pem"), Ok(TlsMode::Full(file())));
        assert_eq!(tls("tls=true&tlsCAFile=ca.pem"), Ok(TlsMode::Full(file())));
        assert!(tls("sslmode=verify-full").unwrap_err().contains("sslrootcert"));
        assert_eq!(tls("ssl=true&ssl-ca=ca.pem"), Ok(TlsMode::Full(file())));
        assert!(tls("sslrootcert=ca.pem").unwrap_err().contains("sslmode=verify-full"));
        assert!(tls("sslmode=require&sslrootcert=ca.pem").unwrap_err().contains("verify-ca"));
        assert_eq!(
            (tls("sslmode=prefer"), tls("ssl-mode=PREFERRED")),
            (Ok(TlsMode::Preferred), Ok(TlsMode::Preferred))
        );
        assert!(tls("sslmode=prefer&sslrootcert=ca.pem").unwrap_err().contains("verify-full"));
        assert!(tls("sslmode=allow").unwrap_err().contains("`prefer`"));
    }

    #[test]
    fn what_the_server_offers_is_said_once_for_all_connections() {
        for (url, key) in [
            ("postgres://h/?sslmode=prefer", "sslmode"),
            ("mysql://h/?ssl-mode=PREFERRED", "ssl-mode"),
        ] {
            let mut address = Address::parse(url).unwrap();
            assert!(address.words().contains("if the server offers it"));
            address.settle(true);
            assert_eq!(
                (address.tls(), address.options[key].as_str()),
                (Ok(TlsMode::Unverified), "require")
            );
            address.settle(false);
            assert_eq!(address.tls(), Ok(TlsMode::Off));
        }
    }

    #[test]
    fn a_socket_in_the_file_system_is_named_as_each_protocol_does() {
        for (url, socket) in [
            ("postgres://me@localhost/db?host=/run/postgresql", "/run/postgresql/.s.PGSQL.5432"),
            (
                "postgres://me@h:6543/db?host=%2Frun%2Fpostgresql&sslmode=require",
                "/run/postgresql/.s.PGSQL.6543",
            ),
            ("postgres:///db?host=/run/postgresql", "/run/postgresql/.s.PGSQL.5432"),
            ("postgres://me:pw@/db?host=/run/postgresql", "/run/postgresql/.s.PGSQL.5432"),
            ("postgres://me@%2Frun%2Fpostgresql/db", "/run/postgresql/.s.PGSQL.5432"),
            ("postgres://me@:6543/db?host=/tmp", "/tmp/.s.PGSQL.6543"),
            ("mysql://me@localhost/db?socket=/run/mysqld/mysqld.sock", "/run/mysqld/mysqld.sock"),
            (
                "mariadb://me@localhost/db?unix_socket=/run/mysqld/mysqld.sock",
                "/run/mysqld/mysqld.sock",
            ),
            ("mysql:///db?host=/run/mysqld/mysqld.sock", "/run/mysqld/mysqld.sock"),
        ] {
            let address = Address::parse(url).unwrap();
            assert_eq!(
                (address.socket.as_deref(), address.tls()),
                (Some(std::path::Path::new(socket)), Ok(TlsMode::Off))
            );
            assert!(address.to_string().ends_with(&format!("/db by {socket}")), "{address}");
            assert_eq!(
                (address.knows_options(&[]), address.database.as_deref()),
                (Ok(()), Some("db"))
            );
        }
        assert_eq!(Address::parse("postgres://a/db?host=b").unwrap().host, "b");
        for (wrong, why) in [
            ("postgres:///db", "names no host"),
            ("postgres://me@/db?sslmode=require", "names no host"),
            ("postgres://h/db?host=run/postgresql", "begins with `/`"),
            ("mongodb://h/?host=/tmp/mongodb.sock", "over TCP only"),
        ] {
            let told = Address::parse(wrong).unwrap_err();
            assert!(told.contains(why), "{told}");
        }
    }

    #[test]
    fn options_that_every_user_has_are_known() {
        let known = |url: &str, known| Address::parse(url).unwrap().knows_options(known);
        assert_eq!(
            known("postgres://h/?connect_timeout=3&application_name=a", &["application_name"]),
            Ok(())
        );
        assert_eq!(
            Address::parse("mysql://h/?connect_timeout=3").unwrap().connect_limit(),
            Duration::from_secs(3)
        );
        assert_eq!(
            Address::parse("mysql://h/?connect_timeout=0").unwrap().connect_limit(),
            CONNECT_LIMIT
        );
        assert!(
            known("mysql://h/?connect_timeout=soon", &[])
                .unwrap_err()
                .contains("number of seconds")
        );
        assert!(known("mysql://h/?charset=latin1", &["charset"]).unwrap_err().contains("utf8mb4"));
        assert!(
            known("mysql://h/?charsett=utf8mb4", &["charset"]).unwrap_err().contains("`charset`")
        );
    }

    #[test]
    fn what_is_no_port_is_not_taken_for_the_usual_one() {
        for wrong in [
            "postgres://u:12/topsecret@h:1/d",
            "mysql://u:12?topsecret@h/d",
            "mysql://u:a/topsecret@h",
        ] {
            let why = Address::parse(wrong).unwrap_err();
            assert!(!why.contains("topsecret") && why.contains("`%` and two digits"), "{why}");
            assert!(Reference::parse(wrong).is_err());
        }
        for wrong in [
            "postgres://u@h:543290/d",
            "postgres://u@h:abc/d",
            "mysql://[::1]:/d",
            "postgres://u:topsecret",
        ] {
            let why = Address::parse(wrong).unwrap_err();
            assert!(
                !why.contains("topsecret") && (why.contains("no port") || why.contains("no url")),
                "{wrong}: {why}"
            );
        }
        assert!(Address::parse("postgres://u:a#b@h/d").unwrap_err().contains("`%` and two digits"));
        assert_eq!(Address::parse("postgres://[::1]/d").unwrap().port, 5432);
    }

    #[test]
    fn unknown_options_are_told() {
        let address = Address::parse("postgres://h/db?sslmode=disable&frob=1").unwrap();
        assert!(address.knows_options(&["frob"]).is_ok());
        assert!(address.knows_options(&["options"]).unwrap_err().contains("`frob`"));
    }

    #[test]
    fn a_reference_holds_no_password() {
        for fine in ["${env:DATABASE_URL}", "postgres://me@localhost:1/db"] {
            let reference = Reference::parse(fine).unwrap();
            assert_eq!(serde_json::to_string(&reference).unwrap(), format!("\"{fine}\""));
        }
        for wrong in ["postgres://me:pw@h/db", "postgres://h/db?password=pw"] {
            assert!(Reference::parse(wrong).unwrap_err().0.contains("every run file"));
        }
        for wrong in ["${env:}", "postgres://me:${env:PW}@h", "${env:a b}", "${DATABASE_URL}"] {
            assert!(
                Reference::parse(wrong).unwrap_err().1.unwrap().contains("${env:DATABASE_URL}"),
                "{wrong}"
            );
        }
    }

    #[test]
    fn a_variable_that_is_not_set_is_named() {
        let reference = Reference::parse("${env:REGATTA_NO_SUCH_VARIABLE}").unwrap();
        let why = reference.resolve(&[Scheme::Mysql]).unwrap_err();
        assert!(why.contains("REGATTA_NO_SUCH_VARIABLE") && why.contains("mysql://USER"), "{why}");
        let other =
            Reference::parse("mongodb://h").unwrap().resolve(&[Scheme::Postgres, Scheme::Mysql]);
        assert!(other.unwrap_err().contains("`postgres://` or `mysql://`"));
    }
}
