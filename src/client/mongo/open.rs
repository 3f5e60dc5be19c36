//! From a url to a connection: the stream, the greeting and the login, within a time limit.

use super::{Login, MongoConnection, login};
use crate::{
    client::{Address, Fault, TlsMode, Transport, connect, within_limit},
    runtime::Native,
};

/// Options of a url that are heeded, besides those about encryption.
const OPTIONS: &[&str] = &["authSource", "authMechanism"];
/// The database in which users are usually known.
const ADMIN: &str = "admin";
/// The only mechanism of login.
const MECHANISM: &str = "SCRAM-SHA-256";

/// A server, and as whom to log in.
#[derive(Debug)]
pub struct MongoSite {
    /// Where it is.
    pub address: Address,
    tls: TlsMode,
    login: Option<Login>,
}

impl MongoSite {
    /// Of a url; the error says what is wrong with it.
    pub fn new(address: Address) -> Result<Self, String> {
        address.knows_options(OPTIONS)?;
        let tls = address.tls()?;
        if tls == TlsMode::Preferred {
            return Err(
                "a server of MongoDB's protocol cannot be asked whether it encrypts; write `tls=true`, or remove \
                        the option"
                    .into(),
            );
        }
        if address.options.get("authMechanism").is_some_and(|mechanism| mechanism != MECHANISM) {
            return Err(format!(
                "the only mechanism of login is {MECHANISM}; remove `authMechanism` from the url"
            ));
        }
        let login = match (&address.password, address.user.as_str()) {
            (_, "") => None,
            (None, user) => {
                return Err(format!(
                    "the url has the user `{user}` and no password; one with a password is taken from the environment, \
                    as `${{env:MONGODB_URL}}`"
                ));
            }
            (Some(password), user) => {
                let source = address.options.get("authSource").or(address.database.as_ref());
                Some(Login::new(user, password.clone(), source.map_or(ADMIN, String::as_str)))
            }
        };
        Ok(Self { address, tls, login })
    }

    /// Connects, encrypts if the url says so, greets and logs in.
    pub async fn open<N: Native>(&self) -> Result<MongoConnection<Transport<N::Conn>>, Fault> {
        let opening = async {
            // Encrypted from the first byte: the protocol has no word for changing over.
            let stream =
                connect::<N>(&self.address).await?.encrypted(&self.tls, &self.address).await?;
            login::open(stream, self.login.as_ref()).await.map_err(Fault::from)
        };
        let opened = within_limit::<N, _>(&self.address, opening).await;
        opened.map_err(|fault| fault.at(&self.address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(url: &str) -> Result<MongoSite, String> {
        MongoSite::new(Address::parse(url).unwrap())
    }

    #[test]
    fn a_user_needs_a_password_and_is_known_somewhere() {
        assert!(site("mongodb://h").unwrap().login.is_none());
        for (url, source) in [
            ("mongodb://me:pw@h", "admin"),
            ("mongodb://me:pw@h/shop", "shop"),
            ("mongodb://me:pw@h/shop?authSource=users&authMechanism=SCRAM-SHA-256", "users"),
        ] {
            let login = format!("{:?}", site(url).unwrap().login);
            assert!(
                login.contains(&format!("source: \"{source}\"")) && !login.contains("pw"),
                "{login}"
            );
        }
        assert!(site("mongodb://me@h").unwrap_err().contains("no password"));
    }

    #[test]
    fn what_is_not_offered_is_said() {
        assert!(site("mongodb://h/?tls=maybe").unwrap_err().contains("whether to encrypt"));
        assert!(site("mongodb://h/?authMechanism=PLAIN").unwrap_err().contains("SCRAM-SHA-256"));
        assert!(site("mongodb://h/?replicaSet=rs0").unwrap_err().contains("`replicaSet`"));
    }
}
