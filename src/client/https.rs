//! Encryption of HTTP/1.1: who is trusted, what is offered, and what it means when a handshake
//! fails.

use std::{
    fmt, io,
    path::PathBuf,
    sync::{Arc, OnceLock},
};

use hyper::rt::{Read, Write};
use hyper_util::rt::TokioIo;
use tokio_rustls::{
    TlsConnector,
    rustls::{
        AlertDescription, CertificateError, ClientConfig, ClientConnection, Error, RootCertStore,
        client::Resumption,
        crypto::ring,
        pki_types::{CertificateDer, ServerName, pem::PemObject},
    },
};

use super::{Transport, tls};

/// Whose certificates are trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// Those that one of this system's authorities has signed.
    System,
    /// Those of the authorities in a PEM file.
    File(PathBuf),
    /// Those of the authorities in a PEM text.
    Text(String),
    /// Whoever answers: nobody is asked who the server is.
    Anybody,
}

/// HTTP/2, as clients and servers agree upon it.
const HTTP2: &[u8] = b"h2";

/// How the connections to one server are encrypted, made once for all of them. Clones share it.
#[derive(Clone)]
pub struct Https {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
    agreed: Arc<OnceLock<String>>,
}

impl fmt::Debug for Https {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "TLS with {:?}", self.name)
    }
}

impl Https {
    /// For a server that is to have a certificate for `host`, which is a name or an address without
    /// brackets; an error names the file that has no certificates, or the name that is none.
    pub fn new(host: &str, trust: &Trust) -> Result<Self, String> {
        let name = ServerName::try_from(host.to_owned());
        let name = name.map_err(|_| format!("`{host}` is no name of a host"))?;
        let config = Arc::new(config(trust)?);
        Ok(Self { config, name, agreed: Arc::default() })
    }

    /// The same for HTTP/2: nothing else is offered, and a server that does not agree to it is an
    /// error.
    #[must_use]
    pub fn over_http2(mut self) -> Self {
        Arc::make_mut(&mut self.config).alpn_protocols = vec![HTTP2.to_vec()];
        self
    }

    /// Encrypts a stream. The error is of the stream, or of the handshake: see [`meaning`].
    pub async fn encrypt<C>(&self, stream: C) -> io::Result<Transport<C>>
    where
        C: Read + Write + Unpin,
    {
        let connector = TlsConnector::from(self.config.clone());
        let encrypted = connector.connect(self.name.clone(), TokioIo::new(stream)).await?;
        let session = encrypted.get_ref().1;
        if self.config.alpn_protocols == [HTTP2] && session.alpn_protocol() != Some(HTTP2) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, Error::NoApplicationProtocol));
        }
        // Of the first connection only: what is agreed upon is the same for all.
        self.agreed.get_or_init(|| agreed(session));
        Ok(Transport::Tls(Box::new(TokioIo::new(encrypted))))
    }

    /// What client and server have agreed upon, in words; none: no handshake has ended so far.
    pub fn agreed(&self) -> Option<&str> {
        self.agreed.get().map(String::as_str)
    }
}

fn agreed(session: &ClientConnection) -> String {
    let version = session.protocol_version().map_or("?".to_owned(), |it| format!("{it:?}"));
    let suite = session.negotiated_cipher_suite();
    let suite = suite.map_or("?".to_owned(), |it| format!("{:?}", it.suite()));
    let protocol = session.alpn_protocol().map(String::from_utf8_lossy);
    let protocol = protocol.as_deref().unwrap_or("no protocol by ALPN");
    format!("{}, {suite}, {protocol}", version.replace("TLSv1_", "1."))
}

fn config(trust: &Trust) -> Result<ClientConfig, String> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone());
    let builder = builder.with_safe_default_protocol_versions().map_err(|why| why.to_string())?;
    let mut config = match trust {
        Trust::Anybody => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(tls::Anybody(provider)))
            .with_no_client_auth(),
        known => builder.with_root_certificates(roots(known)?).with_no_client_auth(),
    };
    // A ticket of TLS 1.3 is good for one connection, so that some of a burst would resume and the
    // others not: each connection is one whole handshake.
    config.resumption = Resumption::disabled();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn roots(trust: &Trust) -> Result<RootCertStore, String> {
    match trust {
        Trust::File(file) => tls::authorities(file),
        Trust::Text(text) => told(text),
        Trust::System | Trust::Anybody => system(),
    }
}

fn told(text: &str) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(text.as_bytes()) {
        let certificate = certificate.map_err(|why| format!("no certificate: {why}"))?;
        roots.add(certificate).map_err(|why| format!("no certificate: {why}"))?;
    }
    Ok(roots)
}

/// The authorities that this system trusts. Single ones that cannot be read are left out, as
/// everybody does.
fn system() -> Result<RootCertStore, String> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    let help = "install them (`ca-certificates`), or name a file: tls = { ca = \"ca.pem\" }";
    if added == 0 { Err(format!("this system has no authorities; {help}")) } else { Ok(roots) }
}

/// Whether a server does not agree to the version of HTTP that it was offered.
pub fn is_other_version(why: &io::Error) -> bool {
    let tls = why.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    let refused = Error::AlertReceived(AlertDescription::NoApplicationProtocol);
    tls.is_some_and(|tls| *tls == Error::NoApplicationProtocol || *tls == refused)
}

/// What it means that a connection could not be encrypted, and what helps.
pub fn meaning(why: &io::Error) -> String {
    let Some(tls) = why.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) else {
        return format!(
            "the connection ended in the middle of the handshake: {why}; does the server speak TLS at this port?"
        );
    };
    match tls {
        Error::InvalidCertificate(flaw) => certificate(flaw),
        Error::InvalidMessage(_) => {
            "what answers at this port speaks no TLS: write `http://` in the url, or name the \
            port for TLS"
                .into()
        }
        Error::AlertReceived(alert) => {
            format!("the server has refused the handshake ({alert:?}); look into its log")
        }
        Error::NoApplicationProtocol => {
            "the server does not offer HTTP/1.1; let it (ALPN `http/1.1`)".into()
        }
        other => format!("no encrypted connection: {other}"),
    }
}

fn certificate(flaw: &CertificateError) -> String {
    use CertificateError::{
        Expired, ExpiredContext, NotValidForName, NotValidForNameContext, NotValidYet,
        NotValidYetContext, UnknownIssuer,
    };
    match flaw {
        UnknownIssuer => {
            "nobody who is trusted has signed the server's certificate; name the authority's \
            certificates: tls = { ca = \"ca.pem\" }"
                .into()
        }
        NotValidForNameContext { expected, presented } => format!(
            "the server's certificate is not for `{}` but for {}; name one of these hosts in the url, or correct the \
             certificate",
            expected.to_str(),
            presented.join(", ")
        ),
        NotValidForName => "the server's certificate is for another host; correct the url".into(),
        Expired | ExpiredContext { .. } => "the server's certificate has expired; renew it".into(),
        NotValidYet | NotValidYetContext { .. } => {
            "the server's certificate is not valid yet; look at the clocks of both hosts".into()
        }
        other => format!("the server's certificate is not accepted: {other}; correct it"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handshake_that_fails_has_its_meaning_and_its_remedy() {
        let of = |why: Error| meaning(&io::Error::new(io::ErrorKind::InvalidData, why));
        let name = CertificateError::NotValidForNameContext {
            expected: ServerName::try_from("h").unwrap().to_owned(),
            presented: vec!["DnsName(\"a\")".into()],
        };
        for (why, said) in [
            (CertificateError::UnknownIssuer, "tls = { ca ="),
            (name, "is not for `h` but for DnsName(\"a\"); name"),
            (CertificateError::Expired, "renew it"),
            (CertificateError::NotValidYet, "the clocks"),
            (CertificateError::Revoked, "not accepted"),
        ] {
            let found = of(Error::InvalidCertificate(why));
            assert!(found.contains(said), "{found}");
        }
        assert!(of(Error::NoApplicationProtocol).contains("ALPN"));
        let cut = meaning(&io::ErrorKind::UnexpectedEof.into());
        assert!(cut.contains("does the server speak TLS"), "{cut}");
    }

    #[test]
    fn a_host_that_has_no_name_and_authorities_that_are_none_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("none.pem");
        std::fs::write(&file, "nothing").unwrap();
        let why = Https::new("h", &Trust::File(file.clone())).unwrap_err();
        assert!(why.contains("none.pem: no certificates"), "{why}");
        assert!(Https::new("a b", &Trust::Anybody).unwrap_err().contains("no name of a host"));
        for host in ["h", "127.0.0.1", "::1"] {
            assert_eq!(Https::new(host, &Trust::Anybody).unwrap().agreed(), None);
        }
    }
}
