//! A request in the words of the protocol between referee and racer.

use std::collections::BTreeMap;

use super::{
    expect::{HttpAllow, HttpExpect},
    spec::{Http, HttpLifetime, Verb},
};
use crate::{
    protocol,
    step::template::{EnvTemplate, Template},
    units::Size,
};

/// Keys that racers fill in.
const KEYS: [&str; 2] = ["i", "j"];

/// What is said; an error names what the protocol has no words for.
pub(super) fn told(spec: &Http) -> Result<protocol::BriefOperation, String> {
    let text = |template: &EnvTemplate| template.0.text().to_owned();
    let headers = spec.headers.iter().map(|(name, value)| (name.clone(), text(value)));
    if spec.chunk.is_some() {
        return Err("the protocol has no `chunk`".to_owned());
    }
    if spec.body_raw.is_some() {
        return Err("the protocol has no `body_raw`".to_owned());
    }
    if spec.follow.is_some() {
        return Err("the protocol has no `follow`".to_owned());
    }
    if !spec.values.take.is_empty() {
        return Err("the protocol has no `take`".to_owned());
    }
    if spec.connection == Some(HttpLifetime::Pool) {
        return Err("the protocol has no `pool`".to_owned());
    }
    let (expect_status, expect_bytes) = spec.expect.told()?;
    let call = protocol::HttpCall {
        target: spec.target.text.clone(),
        method: method(spec.method),
        path: text(&spec.path),
        headers: headers.collect(),
        body: spec.body.as_ref().map(text),
        body_bytes: spec.body_size.map(|Size(bytes)| bytes),
        expect_status,
        expect_bytes,
        allow_status: spec.allow.told()?,
        per_call: spec.connection == Some(HttpLifetime::PerCall),
    };
    let strange = call.keys().find(|key| !KEYS.contains(key));
    let why = strange.map(|key| format!("the protocol has no `${{{key}}}` in what is sent"));
    why.map_or(Ok(protocol::BriefOperation::Http(call)), Err)
}

/// The request that was told.
pub(super) fn heard(call: &protocol::HttpCall) -> Result<Http, String> {
    let template = |text: &String| Template::parse(text).map(EnvTemplate);
    let headers: Result<BTreeMap<_, _>, String> =
        call.headers.iter().map(|(name, value)| Ok((name.clone(), template(value)?))).collect();
    Ok(Http {
        target: call.target.clone().into(),
        method: verb(call.method),
        path: template(&call.path)?,
        headers: headers?,
        body: call.body.as_ref().map(template).transpose()?,
        body_size: call.body_bytes.map(Size),
        body_raw: None,
        connection: call.per_call.then_some(HttpLifetime::PerCall),
        chunk: None,
        follow: None,
        values: Box::default(),
        expect: HttpExpect::heard(&call.expect_status, call.expect_bytes),
        allow: HttpAllow::heard(&call.allow_status),
    })
}

/// The verbs beside the protocol's methods.
const METHODS: [(Verb, protocol::HttpMethod); 6] = [
    (Verb::Get, protocol::HttpMethod::Get),
    (Verb::Head, protocol::HttpMethod::Head),
    (Verb::Post, protocol::HttpMethod::Post),
    (Verb::Put, protocol::HttpMethod::Put),
    (Verb::Patch, protocol::HttpMethod::Patch),
    (Verb::Delete, protocol::HttpMethod::Delete),
];

fn method(verb: Verb) -> protocol::HttpMethod {
    METHODS
        .iter()
        .find(|(known, _)| *known == verb)
        .map_or(protocol::HttpMethod::Get, |(_, method)| *method)
}

fn verb(method: protocol::HttpMethod) -> Verb {
    METHODS.iter().find(|(_, known)| *known == method).map_or(Verb::Get, |(verb, _)| *verb)
}
