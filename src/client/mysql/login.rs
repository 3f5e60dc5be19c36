//! How a connection begins: the server's greeting, TLS if it is wanted, and the password in one of
//! two scrambled forms.

use std::collections::HashMap;

use hyper::rt::{Read, Write};
use mysql_common::{
    constants::{CapabilityFlags, StatusFlags},
    io::ParseBuf,
    packets::{
        AuthMoreData, AuthPlugin, AuthSwitchRequest, HandshakePacket, HandshakeResponse, SslRequest,
    },
    proto::MySerialize as _,
    scramble::{scramble_native, scramble_sha256},
};

use super::{
    MysqlClient,
    client::MysqlServer,
    error::{MysqlError, malformed},
    packet::{MOST_PAYLOAD, Packets},
    resultset::ok_packet,
};

/// What the client needs of a server: there is none without it since MySQL 5.5.
const NEEDED: CapabilityFlags = CapabilityFlags::CLIENT_PROTOCOL_41
    .union(CapabilityFlags::CLIENT_SECURE_CONNECTION)
    .union(CapabilityFlags::CLIENT_PLUGIN_AUTH);
/// What it uses where the server has it. FOUND_ROWS: an UPDATE counts the rows that it finds, as
/// other databases do.
const WELCOME: CapabilityFlags = CapabilityFlags::CLIENT_LONG_PASSWORD
    .union(CapabilityFlags::CLIENT_FOUND_ROWS)
    .union(CapabilityFlags::CLIENT_LONG_FLAG)
    .union(CapabilityFlags::CLIENT_CONNECT_WITH_DB)
    .union(CapabilityFlags::CLIENT_TRANSACTIONS)
    .union(CapabilityFlags::CLIENT_MULTI_STATEMENTS)
    .union(CapabilityFlags::CLIENT_MULTI_RESULTS)
    .union(CapabilityFlags::CLIENT_PS_MULTI_RESULTS)
    .union(CapabilityFlags::CLIENT_CONNECT_ATTRS)
    .union(CapabilityFlags::CLIENT_DEPRECATE_EOF);
/// utf8mb4_general_ci, which both servers know.
const COLLATION: u8 = 45;
/// Length of the server's random bytes.
const NONCE: usize = 20;

/// First bytes of the server's words during the login.
const OK: u8 = 0x00;
const MORE: u8 = 0x01;
const SWITCH: u8 = 0xfe;
const ERR: u8 = 0xff;
/// What caching_sha2_password says: the scrambled password was enough, or the password itself is
/// wanted.
const ENOUGH: &[u8] = &[3];
const WANTED: &[u8] = &[4];

/// Who logs in, and what for.
#[derive(Clone, Copy)]
pub struct Credentials<'a> {
    /// The user.
    pub user: &'a str,
    /// The password; empty for none.
    pub password: &'a str,
    /// The database that names without a database mean.
    pub database: Option<&'a str>,
}

/// A connection on which the server has spoken and nobody has logged in.
pub struct MysqlOpening<S> {
    packets: Packets<S>,
    greeting: Greeting,
    /// Whether it is encrypted.
    secure: bool,
}

/// A connection on which TLS is about to begin: all but its stream.
pub struct BeforeTls {
    greeting: Greeting,
    sequence: u8,
}

/// What the server said first.
#[derive(Debug)]
struct Greeting {
    version: String,
    connection_id: u32,
    capabilities: CapabilityFlags,
    nonce: [u8; NONCE],
    method: Method,
}

/// How a password is scrambled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Method {
    /// With SHA-1: mysql_native_password.
    Native,
    /// With SHA-256, against a cache of the server: caching_sha2_password.
    CachingSha2,
}

impl<S: Read + Write + Unpin> MysqlOpening<S> {
    /// Reads the server's greeting.
    pub async fn read(stream: S) -> Result<Self, MysqlError> {
        let mut packets = Packets::new(stream);
        packets.read().await?;
        let greeting = Greeting::read(packets.payload())?;
        Ok(Self { packets, greeting, secure: false })
    }

    /// Whether the server offers TLS.
    pub fn offers_tls(&self) -> bool {
        self.greeting.capabilities.contains(CapabilityFlags::CLIENT_SSL)
    }

    /// Asks the server to go on with TLS: the stream is to be wrapped, and then goes into
    /// [`BeforeTls::resume`].
    ///
    /// # Errors
    /// If the server does not offer it. Never falls back to an open connection.
    pub async fn ask_for_tls(
        mut self,
        who: &Credentials<'_>,
    ) -> Result<(S, BeforeTls), MysqlError> {
        if !self.offers_tls() {
            return Err(MysqlError::Tls("the server offers no TLS".into()));
        }
        // Servers go by the capabilities in this packet, not in the one that follows.
        let capabilities = self.agreed(true, who.database.is_some());
        self.packets.append(|request| {
            SslRequest::new(capabilities, MOST_PAYLOAD as u32, COLLATION).serialize(request);
        });
        self.packets.send().await?;
        let sequence = self.packets.sequence();
        let early = || MysqlError::protocol("it sent bytes in the open after it was asked for TLS");
        let stream = self.packets.into_stream().ok_or_else(early)?;
        Ok((stream, BeforeTls { greeting: self.greeting, sequence }))
    }

    /// Logs in.
    pub async fn log_in(mut self, who: &Credentials<'_>) -> Result<MysqlClient<S>, MysqlError> {
        let capabilities = self.agreed(self.secure, who.database.is_some());
        self.respond(who, capabilities);
        self.packets.send().await?;
        let mut method = self.greeting.method;
        let status = loop {
            self.packets.read().await?;
            let packet = self.packets.payload();
            match packet[0] {
                OK => break ok_packet(packet, capabilities)?.status_flags(),
                ERR => return Err(MysqlError::from_packet(packet)),
                SWITCH => {
                    let (wanted, nonce) = switch(packet)?;
                    method = wanted;
                    self.packets
                        .append(|request| request.extend(wanted.scramble(&nonce, who.password)));
                }
                MORE if method == Method::CachingSha2 => {
                    if is_enough(packet)? {
                        continue;
                    }
                    if !self.secure {
                        return Err(MysqlError::Login(UNENCRYPTED.into()));
                    }
                    self.packets.append(|request| {
                        request.extend([who.password.as_bytes(), b"\0"].concat());
                    });
                }
                _ => {
                    return Err(MysqlError::protocol(
                        "it says something else than the login expects",
                    ));
                }
            }
            self.packets.send().await?;
        };
        let Greeting { version, connection_id, .. } = self.greeting;
        let backslash = !status.contains(StatusFlags::SERVER_STATUS_NO_BACKSLASH_ESCAPES);
        Ok(MysqlClient::new(
            self.packets,
            capabilities,
            MysqlServer { version, connection_id, backslash },
        ))
    }

    /// What both sides can do and we want.
    fn agreed(&self, tls: bool, database: bool) -> CapabilityFlags {
        let mut wanted = NEEDED | WELCOME;
        wanted.set(CapabilityFlags::CLIENT_SSL, tls);
        wanted.set(CapabilityFlags::CLIENT_CONNECT_WITH_DB, database);
        wanted & self.greeting.capabilities
    }

    fn respond(&mut self, who: &Credentials<'_>, capabilities: CapabilityFlags) {
        let Greeting { nonce, method, capabilities: offered, .. } = &self.greeting;
        let attributes = offered.contains(CapabilityFlags::CLIENT_CONNECT_ATTRS).then(|| {
            HashMap::from([
                ("program_name".to_owned(), "regatta".to_owned()),
                ("_client_version".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
                ("_pid".to_owned(), std::process::id().to_string()),
            ])
        });
        let response = HandshakeResponse::new(
            Some(method.scramble(nonce, who.password)),
            (5, 5, 3),
            Some(who.user.as_bytes()),
            who.database.map(str::as_bytes),
            Some(method.plugin()),
            capabilities,
            attributes,
            MOST_PAYLOAD as u32,
        );
        self.packets.append(|request| response.serialize(request));
    }
}

/// Why the password is not sent.
const UNENCRYPTED: &str = "the server has this password not in its cache (caching_sha2_password) and asks for the \
    password itself, which is sent over TLS only, and not encrypted with a key that nothing vouches for: ask for TLS \
    in the URL (ssl-mode=REQUIRED), or let a client that uses TLS log in once";

impl BeforeTls {
    /// Goes on over the encrypted stream.
    pub fn resume<T>(self, stream: T) -> MysqlOpening<T> {
        let packets = Packets::<T>::on(stream, self.sequence);
        MysqlOpening { packets, greeting: self.greeting, secure: true }
    }
}

impl Greeting {
    fn read(packet: &[u8]) -> Result<Self, MysqlError> {
        match packet[0] {
            10 => {}
            ERR => return Err(MysqlError::from_packet(packet)),
            other => {
                return Err(MysqlError::protocol(format!(
                    "it speaks version {other} of the protocol, not 10"
                )));
            }
        }
        if !says_a_short_nonce(packet) {
            return Err(malformed("the greeting"));
        }
        let read: HandshakePacket<'_> =
            ParseBuf(packet).parse(()).map_err(|_| malformed("the greeting"))?;
        let capabilities = read.capabilities();
        if !capabilities.contains(NEEDED) {
            return Err(MysqlError::Login(format!(
                "server {} is too old for this client",
                read.server_version_str()
            )));
        }
        let nonce = read.nonce().try_into().map_err(|_| malformed("the greeting"))?;
        // Where the server prefers another method it will say which one the user has.
        let method =
            read.auth_plugin().and_then(|plugin| Method::of(&plugin)).unwrap_or(Method::Native);
        let version = read.server_version_str().into_owned();
        Ok(Self { version, connection_id: read.connection_id(), capabilities, nonce, method })
    }
}

/// Whether the length of the random bytes is one that the codec can read: it takes it for a number
/// with a sign and subtracts 8. Servers say 21.
fn says_a_short_nonce(packet: &[u8]) -> bool {
    // After the version: connection (4), random bytes (8), zero, capabilities (2), collation,
    // status (2), and more capabilities (2).
    let after =
        packet.iter().position(|byte| *byte == 0).map(|zero| zero + 1 + 4 + 8 + 1 + 2 + 1 + 2 + 2);
    after.and_then(|at| packet.get(at)).is_some_and(|length| *length < 128)
}

/// Whether caching_sha2_password is content with the scrambled password.
fn is_enough(packet: &[u8]) -> Result<bool, MysqlError> {
    let more: AuthMoreData<'_> =
        ParseBuf(packet).parse(()).map_err(|_| malformed("what it says about the login"))?;
    match more.data() {
        ENOUGH => Ok(true),
        WANTED => Ok(false),
        _ => Err(MysqlError::protocol("caching_sha2_password says something else than yes or no")),
    }
}

/// The method that the server asks for instead, with its new random bytes.
fn switch(packet: &[u8]) -> Result<(Method, [u8; NONCE]), MysqlError> {
    if packet.len() == 1 {
        return Err(MysqlError::Login(
            "the user has a password in the form of before MySQL 4.1, which anybody can read"
                .into(),
        ));
    }
    let wanted: AuthSwitchRequest<'_> =
        ParseBuf(packet).parse(()).map_err(|_| malformed("another way to log in"))?;
    let plugin = wanted.auth_plugin();
    let method = Method::of(&plugin).ok_or_else(|| {
        let name = String::from_utf8_lossy(plugin.as_bytes()).into_owned();
        MysqlError::Login(format!(
            "the user logs in with {name:?}, and this client knows mysql_native_password and caching_sha2_password"
        ))
    })?;
    let nonce = wanted.plugin_data().try_into().map_err(|_| malformed("another way to log in"))?;
    Ok((method, nonce))
}

impl Method {
    fn of(plugin: &AuthPlugin<'_>) -> Option<Self> {
        match plugin {
            AuthPlugin::MysqlNativePassword => Some(Self::Native),
            AuthPlugin::CachingSha2Password => Some(Self::CachingSha2),
            _ => None,
        }
    }

    fn plugin(self) -> AuthPlugin<'static> {
        match self {
            Self::Native => AuthPlugin::MysqlNativePassword,
            Self::CachingSha2 => AuthPlugin::CachingSha2Password,
        }
    }

    /// The password as it may be seen; nothing for no password.
    fn scramble(self, nonce: &[u8; NONCE], password: &str) -> Vec<u8> {
        let scrambled = match self {
            Self::Native => scramble_native(nonce, password.as_bytes()).map(Vec::from),
            Self::CachingSha2 => scramble_sha256(nonce, password.as_bytes()).map(Vec::from),
        };
        scrambled.unwrap_or_default()
    }
}
