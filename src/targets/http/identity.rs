//! Who the embedded server is when it speaks TLS: an authority, and a certificate that it has
//! signed, made when the server starts.

use std::{io, sync::Arc};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio_rustls::rustls::{
    ServerConfig, ServerConnection, crypto::ring, pki_types::PrivatePkcs8KeyDer,
    server::NoServerSessionStorage,
};

/// What the certificate is for.
const HOSTS: [&str; 2] = ["127.0.0.1", "localhost"];

/// A server's certificate and key, and the authority by which clients know it.
#[derive(Debug)]
pub(in crate::targets) struct Identity {
    /// With what connections are encrypted.
    config: Arc<ServerConfig>,
    /// The authority's certificate, as PEM.
    pub authority: String,
}

impl Identity {
    /// A new one. Keys are of ECDSA on P-256, which most servers have today.
    pub fn make() -> io::Result<Self> {
        let mut root = CertificateParams::new(Vec::new()).map_err(io::Error::other)?;
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root_key = KeyPair::generate().map_err(io::Error::other)?;
        let authority = root.self_signed(&root_key).map_err(io::Error::other)?.pem();
        let issuer = Issuer::new(root, root_key);
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let hosts = HOSTS.map(str::to_owned);
        let own = CertificateParams::new(hosts).and_then(|own| own.signed_by(&key, &issuer));
        let own = own.map_err(io::Error::other)?.der().clone();
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| {
                builder.with_no_client_auth().with_single_cert(vec![own], key.into())
            });
        let mut config = config.map_err(io::Error::other)?;
        // Each connection is one whole handshake, whoever the client is.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self { config: Arc::new(config), authority })
    }

    /// A connection that begins.
    pub fn session(&self) -> io::Result<ServerConnection> {
        ServerConnection::new(self.config.clone()).map_err(io::Error::other)
    }
}
