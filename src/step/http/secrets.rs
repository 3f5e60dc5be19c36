//! Passwords and tokens in a request: they are in the environment, not in the scenario, which every
//! run file holds.

use std::collections::BTreeMap;

use hyper::header::{HeaderName, HeaderValue};

use super::{headers::stray, spec::Http};
use crate::{
    config::{Fields, quote},
    secret::{self, Lack},
    step::template::{EnvTemplate, Template},
};

/// Reports headers and parameters of the query that hold a password or a token as it is.
pub(super) fn check(
    op: &mut Fields<'_>,
    path: Option<&Template>,
    headers: &BTreeMap<String, EnvTemplate>,
) {
    const WHY: &str = "would end up in every run file";
    let literal = headers
        .iter()
        .filter(|(_, value)| value.0.constant().is_some_and(|text| !text.trim().is_empty()));
    for (name, _) in literal.filter(|(name, _)| secret::is_secret_header(name)) {
        let help =
            format!("put the value into the environment, and write {name} = \"${{env:NAME}}\"");
        op.reject("headers", format!("the value of {} {WHY}", quote(name)), Some(help));
    }
    let query = path.and_then(|path| path.text().split_once('?')).map_or("", |(_, query)| query);
    for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
        if secret::is_secret_parameter(name) && !value.is_empty() && !value.contains("${") {
            let help =
                format!("put the value into the environment, and write {name}=${{env:NAME}}");
            op.reject("path", format!("the value of {} {WHY}", quote(name)), Some(help));
        }
    }
}

/// The templates of a request with what the environment says.
pub(super) struct FilledRequest {
    pub path: Template,
    pub headers: Vec<(HeaderName, Template)>,
    pub body: Option<Template>,
}

impl FilledRequest {
    /// All of them.
    pub(super) fn templates(&self) -> impl Iterator<Item = &Template> {
        let headers = self.headers.iter().map(|(_, value)| value);
        [&self.path].into_iter().chain(headers).chain(&self.body)
    }

    /// The same, to be changed.
    pub(super) fn templates_mut(&mut self) -> impl Iterator<Item = &mut Template> {
        let headers = self.headers.iter_mut().map(|(_, value)| value);
        [&mut self.path].into_iter().chain(headers).chain(&mut self.body)
    }

    /// Reads the variables that a request names; an error says which cannot be used, and why,
    /// without its value.
    pub(super) fn new(spec: &Http) -> Result<Self, Lack> {
        for value in spec.headers.values() {
            let fine = |value: &str| HeaderValue::from_str(value).is_ok();
            check_values(
                &value.0,
                fine,
                "has a character that a header cannot have, such as the end of a line; correct it",
            )?;
        }
        let fine = |value: &str| stray(value).is_none();
        let help = "has a character that a path cannot have; it is sent as it is, so write such characters as `%` and two digits";
        check_values(&spec.path.0, fine, help)?;
        let path = spec.path.0.resolved()?;
        let begins =
            |_: &&str| spec.path.0.text().starts_with("${env:") && !path.sample().starts_with('/');
        if let Some(first) = spec.path.0.variables().next().filter(begins) {
            return Err(Lack::of(first, "begins a path, and a path begins with `/`; correct it"));
        }
        // Names that are none were refused when the scenario was read.
        let named = spec
            .headers
            .iter()
            .filter_map(|(name, value)| Some((name.parse().ok()?, value.0.resolved())));
        let headers = named.map(|(name, value)| Ok((name, value?))).collect::<Result<_, Lack>>()?;
        Ok(Self {
            path,
            headers,
            body: spec.body.as_ref().map(|body| body.0.resolved()).transpose()?,
        })
    }
}

/// Refuses a variable whose value cannot stand where it is to stand.
fn check_values(template: &Template, fine: impl Fn(&str) -> bool, what: &str) -> Result<(), Lack> {
    for name in template.variables() {
        if !fine(secret::read(name)?.reveal()) {
            return Err(Lack::of(name, what));
        }
    }
    Ok(())
}
