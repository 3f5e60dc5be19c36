//! Encryption of a stream: rustls over whatever stream the executor has, with the authorities that
//! the url names.
//!
//! What a connection costs is its handshake: the authorities are read once per address, and
//! sessions are not resumed.

use std::{path::Path, sync::Arc};

use hyper::rt::{Read, Write};
use hyper_util::rt::TokioIo;
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore,
        SignatureScheme,
        client::{
            Resumption, WebPkiServerVerifier,
            danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        },
        crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
        pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
    },
};

use super::{Address, Fault, FaultKind, TlsMode};

/// An encrypted stream, with the traits that hyper's streams have.
pub type Encrypted<C> = TokioIo<TlsStream<TokioIo<C>>>;

/// Encrypts a stream to an address, and checks who answers as far as `mode` says, which is the
/// address's.
pub async fn encrypt<C>(stream: C, mode: &TlsMode, address: &Address) -> Result<Encrypted<C>, Fault>
where
    C: Read + Write + Unpin,
{
    let fault = |why: String| Fault::new(FaultKind::Tls, why);
    let config = address.authorities.get_or_make(|| config(mode)).map_err(fault)?;
    let host = &address.host;
    let name = ServerName::try_from(host.clone())
        .map_err(|_| fault(format!("`{host}` is no name of a host")))?;
    let encrypted = TlsConnector::from(config).connect(name, TokioIo::new(stream)).await;
    encrypted.map(TokioIo::new).map_err(|why| fault(format!("no encrypted connection: {why}")))
}

fn config(mode: &TlsMode) -> Result<ClientConfig, String> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone());
    let builder = builder.with_safe_default_protocol_versions().map_err(|why| why.to_string())?;
    let mut config = match mode {
        TlsMode::Full(file) => {
            builder.with_root_certificates(authorities(file)?).with_no_client_auth()
        }
        TlsMode::Authority(file) => {
            let roots = Arc::new(authorities(file)?);
            let inner =
                WebPkiServerVerifier::builder_with_provider(roots, provider.clone()).build();
            let verifier = AnyName(inner.map_err(|why| why.to_string())?);
            builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(verifier))
                .with_no_client_auth()
        }
        TlsMode::Off | TlsMode::Preferred | TlsMode::Unverified => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anybody(provider)))
            .with_no_client_auth(),
    };
    // Otherwise the first connections would cost more than those after them.
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// The certificates in a PEM file.
pub(super) fn authorities(file: &Path) -> Result<RootCertStore, String> {
    let told = |why: &dyn std::fmt::Display| format!("{}: no certificates: {why}", file.display());
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(|why| told(&why))? {
        roots.add(certificate.map_err(|why| told(&why))?).map_err(|why| told(&why))?;
    }
    if roots.is_empty() { Err(told(&"it has none")) } else { Ok(roots) }
}

/// Accepts whoever answers: `sslmode=require` asks for encryption and for nothing else.
#[derive(Debug)]
pub(super) struct Anybody(pub Arc<CryptoProvider>);

/// Accepts a certificate of the authorities under any name: `sslmode=verify-ca`.
#[derive(Debug)]
struct AnyName(Arc<WebPkiServerVerifier>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(
            message,
            certificate,
            signed,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(
            message,
            certificate,
            signed,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        use CertificateError::{NotValidForName, NotValidForNameContext};
        match self.0.verify_server_cert(certificate, chain, name, ocsp, now) {
            // The name is looked at last.
            Err(Error::InvalidCertificate(NotValidForName | NotValidForNameContext { .. })) => {
                Ok(ServerCertVerified::assertion())
            }
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::authorities::Authorities;

    #[test]
    fn a_file_without_certificates_is_told_by_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let (missing, empty) = (folder.path().join("missing.pem"), folder.path().join("empty.pem"));
        std::fs::write(&empty, "nothing").unwrap();
        for file in [missing, empty] {
            let why = config(&TlsMode::Full(file.clone())).unwrap_err();
            assert!(
                why.starts_with(&file.display().to_string()) && why.contains("no certificates"),
                "{why}"
            );
        }
        assert!(config(&TlsMode::Unverified).is_ok());
    }

    /// A certificate that nobody uses.
    const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----
MIIBcDCCARWgAwIBAgIUKqbCryz9pZxwQ9fEeJ9EgqaHvnowCgYIKoZIzj0EAwIw
DDEKMAgGA1UEAwwBYTAgFw0yNjExMjUwMzE2MTdaGA8yMTI2MTEwMTAzMTYxN1ow
DDEKMAgGA1UEAwwBYTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABAvzOk/k5h9w
qCmrK5z+YMDhHkWkdwaAHHQd3xLjH4nImcGtBhpBqcz1yf7AZzZqX/DNvZCu3GrU
P+rdXCly45qjUzBRMB0GA1UdDgQWBBRpR8qdhjxWt1L0qEG8Wd2dqLBfmjAfBgNV
HSMEGDAWgBRpR8qdhjxWt1L0qEG8Wd2dqLBfmjAPBgNVHRMBAf8EBTADAQH/MAoG
CCqGSM49BAMCA0kAMEYCIQC0PeCTvnK3tokFVccTeDYa+Ij3kuHV/4dBBmU+C+1G
WgIhAOaSU9FEx3WU0R0byCznsQ6RwRYWntLRuO39M/LQmuDJ
-----END CERTIFICATE-----\n";

    #[test]
    fn the_authorities_of_an_address_are_read_once() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.pem");
        let mode = TlsMode::Full(file.clone());
        let authorities = Authorities::default();
        assert!(
            authorities.get_or_make(|| config(&mode)).is_err(),
            "and once more after a failure"
        );
        std::fs::write(&file, CERTIFICATE).unwrap();
        let first = authorities.get_or_make(|| config(&mode)).unwrap();
        std::fs::remove_file(&file).unwrap();
        assert!(Arc::ptr_eq(&first, &authorities.clone().get_or_make(|| config(&mode)).unwrap()));
    }
}
