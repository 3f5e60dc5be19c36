//! Secrets: a scenario names an environment variable, `${env:NAME}`, and that is all that is ever
//! stored. Only the process that needs the value reads it, and [`blanked`] takes it out of every
//! text that leaves that process.

mod blank;
mod text;

use std::fmt;

pub use blank::{blanked, remember};
pub use text::EnvText;

/// A password or a token: it has no words, so that no message can contain it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// A secret.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The secret itself, for whoever sends it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("***")
    }
}

/// What a run needs and this process lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lack {
    /// The environment variable that it is about, if it is about one.
    pub variable: Option<String>,
    /// Why, with the remedy, and without the value.
    pub reason: String,
}

impl Lack {
    /// Something is wrong with the value of a variable.
    pub fn of(variable: &str, what: &str) -> Self {
        Self {
            variable: Some(variable.to_owned()),
            reason: format!("the environment variable `{variable}` {what}"),
        }
    }
}

/// The name in `env:NAME`, which is what stands between `${` and `}`: letters, digits and `_`.
pub fn variable(key: &str) -> Option<&str> {
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    key.strip_prefix("env:").filter(|name| !name.is_empty() && name.bytes().all(fine))
}

/// Reads a variable. From then on, [`blanked`] knows its value.
pub fn read(name: &str) -> Result<Secret, Lack> {
    match std::env::var(name) {
        Ok(value) if value.is_empty() => {
            Err(Lack::of(name, "is empty; give it its value, and run again"))
        }
        Ok(value) => {
            blank::remember(name, &value);
            Ok(Secret(value))
        }
        Err(std::env::VarError::NotPresent) => {
            Err(Lack::of(name, &format!("is not set; write `export {name}=VALUE`, and run again")))
        }
        Err(std::env::VarError::NotUnicode(_)) => {
            Err(Lack::of(name, "is not UTF-8; correct it, and run again"))
        }
    }
}

/// How the names of headers end that say who one is; a `-` before it, or nothing.
const HEADERS: &[&str] = &[
    "authorization",
    "cookie",
    "api-key",
    "apikey",
    "auth-token",
    "auth-key",
    "access-token",
    "access-key",
    "security-token",
    "session-token",
    "private-token",
    "vault-token",
    "subscription-key",
    "secret",
    "password",
];

/// Whether a header of this name holds a password or a token, as far as is known.
pub fn is_secret_header(name: &str) -> bool {
    let name = name.to_ascii_lowercase().replace('_', "-");
    let ends = |end: &&str| {
        name.strip_suffix(end).is_some_and(|rest| rest.is_empty() || rest.ends_with('-'))
    };
    HEADERS.iter().any(ends)
}

/// Whether a parameter of a query of this name holds a password or a token, as far as is known.
pub fn is_secret_parameter(name: &str) -> bool {
    let name = name.to_ascii_lowercase().replace('_', "-");
    let known = [
        "api-key",
        "apikey",
        "access-token",
        "auth-token",
        "token",
        "client-secret",
        "password",
        "passwd",
    ];
    known.contains(&name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_has_no_words() {
        let secret = Secret::new("topsecret");
        assert_eq!((format!("{secret:?}"), secret.reveal()), ("***".into(), "topsecret"));
    }

    #[test]
    fn what_lacks_is_named_with_its_remedy() {
        let lack = read("REGATTA_NO_SUCH_VARIABLE").unwrap_err();
        assert_eq!(lack.variable.as_deref(), Some("REGATTA_NO_SUCH_VARIABLE"));
        assert!(lack.reason.contains("`export REGATTA_NO_SUCH_VARIABLE=VALUE`"), "{lack:?}");
        assert_eq!(
            (variable("env:A_1"), variable("env:"), variable("env:a b"), variable("i")),
            (Some("A_1"), None, None, None)
        );
    }

    #[test]
    fn the_usual_names_are_known_in_any_case() {
        for name in [
            "Authorization",
            "COOKIE",
            "x-api-key",
            "X_Api_Key",
            "proxy-authorization",
            "PRIVATE-TOKEN",
            "X-Goog-Api-Key",
        ] {
            assert!(is_secret_header(name), "{name}");
        }
        for name in [
            "accept",
            "idempotency-key",
            "x-request-id",
            "cookie-consent",
            "authority",
            "x-secretary",
        ] {
            assert!(!is_secret_header(name), "{name}");
        }
        assert!(is_secret_parameter("API_KEY") && is_secret_parameter("token"));
        assert!(!is_secret_parameter("page_token") && !is_secret_parameter("key"));
    }
}
