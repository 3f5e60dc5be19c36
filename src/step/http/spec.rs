//! A request as a scenario describes it.

use std::collections::BTreeMap;

use hyper::Method;
use serde::{Deserialize, Serialize};

use super::{
    body::FileBytes,
    expect::{HttpAllow, HttpExpect},
    follow::Follow,
    take::HttpValues,
};
use crate::{
    config::{Diagnostics, Field, Name, Node, choice_schema, read_choice},
    step::template::EnvTemplate,
    units::Size,
};

/// A request.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Http {
    pub(super) target: Name,
    pub(super) method: Verb,
    pub(super) path: EnvTemplate,
    pub(super) headers: BTreeMap<String, EnvTemplate>,
    pub(super) body: Option<EnvTemplate>,
    pub(super) body_size: Option<Size>,
    /// A body that is sent byte for byte.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) body_raw: Option<FileBytes>,
    /// None: the target's pool, or else kept.
    #[serde(default)]
    pub(super) connection: Option<HttpLifetime>,
    /// Most bytes that are read at once; none: as many as hyper thinks best.
    #[serde(default)]
    pub(super) chunk: Option<Size>,
    /// How the pages of a list are followed; none: it is one answer.
    #[serde(default)]
    pub(super) follow: Option<Box<Follow>>,
    /// The values that it takes and uses.
    #[serde(default)]
    pub(super) values: Box<HttpValues>,
    pub(super) expect: HttpExpect,
    pub(super) allow: HttpAllow,
}

/// A request's method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum Verb {
    Get,
    Head,
    Post,
    Put,
    Patch,
    Delete,
}

const VERBS: &[(&str, Verb)] = &[
    ("GET", Verb::Get),
    ("HEAD", Verb::Head),
    ("POST", Verb::Post),
    ("PUT", Verb::Put),
    ("PATCH", Verb::Patch),
    ("DELETE", Verb::Delete),
];

/// How long a connection lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum HttpLifetime {
    /// Opened when the slot is first used, kept by the slot.
    Keep,
    /// Opened and closed by every call.
    PerCall,
    /// One of the target's pool.
    Pool,
}

const KEEPS: &[(&str, HttpLifetime)] = &[
    ("keep", HttpLifetime::Keep),
    ("per-call", HttpLifetime::PerCall),
    ("pool", HttpLifetime::Pool),
];

impl Http {
    /// How long its connections live, at a target that has a pool or has none.
    pub(super) fn lifetime(&self, has_pool: bool) -> HttpLifetime {
        let usual = if has_pool { HttpLifetime::Pool } else { HttpLifetime::Keep };
        self.connection.unwrap_or(usual)
    }
}

impl Field for Verb {
    fn schema() -> serde_json::Value {
        choice_schema(VERBS)
    }

    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        read_choice(node, VERBS, diagnostics)
    }
}

impl Field for HttpLifetime {
    fn schema() -> serde_json::Value {
        choice_schema(KEEPS)
    }

    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        read_choice(node, KEEPS, diagnostics)
    }
}

impl Verb {
    /// As hyper has it.
    pub fn method(self) -> Method {
        match self {
            Self::Get => Method::GET,
            Self::Head => Method::HEAD,
            Self::Post => Method::POST,
            Self::Put => Method::PUT,
            Self::Patch => Method::PATCH,
            Self::Delete => Method::DELETE,
        }
    }
}
