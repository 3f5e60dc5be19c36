//! What a scenario says of the encryption of an HTTP server.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{
    client::Trust,
    config::{Diagnostics, Field, Fields, Node, Section, choice_schema, read_choice},
};

/// How connections to a server are encrypted. The embedded one makes an authority and a certificate
/// of its own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpTls {
    /// The user's own server: the certificates of its authority; none: those that the system
    /// trusts.
    pub ca: Option<PathBuf>,
    /// Whether its certificate is checked.
    pub verify: Verify,
}

/// Whether a certificate is checked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verify {
    /// Its authority, its host and its time.
    #[default]
    Full,
    /// Nothing: whoever answers is taken for the server.
    None,
}

const CHECKS: &[(&str, Verify)] = &[("full", Verify::Full), ("none", Verify::None)];

impl Field for Verify {
    fn schema() -> serde_json::Value {
        choice_schema(CHECKS)
    }

    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        read_choice(node, CHECKS, diagnostics)
    }
}

impl Section for HttpTls {
    const DOC: &'static str = "Encrypted connections, with TLS.";

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let ca: Option<String> = fields.optional(
            "ca",
            "Your own server only: a PEM file with the certificates of its authority; default: those that this system trusts.",
        );
        let doc = "Your own server only: `none` takes whoever answers for the server, and the facts say so.";
        let verify = fields.or("verify", Verify::Full, doc);
        if ca.is_some() && verify == Verify::None {
            let help = "keep one of the two";
            fields.reject("verify", "nothing is checked, and `ca` says by whom", Some(help.into()));
        }
        Some(Self { ca: ca.map(PathBuf::from), verify })
    }
}

impl HttpTls {
    /// Whose certificates are trusted, of a server of the user's own.
    pub(in crate::targets) fn trust(&self) -> Trust {
        match (self.verify, &self.ca) {
            (Verify::None, _) => Trust::Anybody,
            (Verify::Full, Some(file)) => Trust::File(file.clone()),
            (Verify::Full, None) => Trust::System,
        }
    }
}

/// What the report says of the certificate.
pub(in crate::targets) fn checked(trust: &Trust) -> String {
    match trust {
        Trust::System => "checked, by the authorities that this system trusts".into(),
        Trust::File(file) => format!("checked, by the authorities in {}", file.display()),
        Trust::Text(_) => "checked, by an authority that was made for this trial".into(),
        Trust::Anybody => "NOT CHECKED (verify = \"none\"): whoever answers is the server".into(),
    }
}
