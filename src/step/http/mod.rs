//! `http`: an HTTP request against the embedded server or one of the user's own, its answer
//! checked.
//!
//! [`spec`] is what a scenario says, [`shared`] the requests that follow from it, [`client`] the
//! slot's state, [`link`] its connection, which is of HTTP/1.1 ([`exchange`]) or of HTTP/2
//! ([`http2`]), [`answer`] what came back, [`expect`] what an answer must be, [`headers`] what a
//! request may have, [`lost`] why there was no answer, and [`retry_after`] what wait an answer asks for. A list is followed page by page:
//! [`follow`] is what a scenario says of that, [`next`] where the next page is,
//! [`unfit`] what does not go together, and [`walk`] the way. [`take`] is what values a scenario has
//! taken from an answer for later steps, [`unfit_values`] what does not go together with them, and [`taking`] how.

mod answer;
mod body;
mod client;
mod excerpt;
mod exchange;
mod expect;
mod failed;
mod follow;
mod headers;
mod http2;
mod link;
mod lost;
mod lost_stream;
mod next;
mod pooled;
mod retry_after;
mod secrets;
mod shared;
mod spec;
mod take;
mod taking;
mod told;
mod unfit;
mod unfit_values;
mod walk;

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
    time::Duration,
};

pub use self::spec::Http;
use self::{
    body::{FileBytes, FileText},
    client::HttpClient,
    expect::{HttpAllow, HttpExpect},
    follow::Follow,
    http2::{Home, SharedLinks},
    link::LinkRoute,
    pooled::HttpPooled,
    secrets::FilledRequest,
    shared::HttpShared,
    spec::{HttpLifetime, Verb},
    take::{HttpTake, HttpValues},
    taking::HttpTaking,
    walk::HttpWalk,
};
use super::{
    BuildError, Cost, Lookup, RowTables, Site, Step, StepKind, TargetUse, Template,
    pool_waits::PoolWaits, template::EnvTemplate, value::TakenValue,
};
use crate::{
    config::{Fields, Name, Named, Span},
    protocol,
    runtime::Runtime,
    secret::Lack,
    targets::{TargetSpec, http as target},
    units::Size,
};

impl StepKind for Http {
    const KEY: &'static str = "http";
    const DOC: &'static str = "An HTTP request whose answer is checked.";
    const PROOF: &'static str = "status, length and digest of each answer; the embedded server counts as many requests \
         and connections; with `follow`, as many pages and items; with `take`, the value is there";

    fn read(op: &mut Fields<'_>, step: &mut Fields<'_>) -> Option<Self> {
        let target = op.required("target", "The HTTP target.");
        let method = op.or("method", Verb::Get, "The method.");
        let path = op.required(
            "path",
            "The path and query; `${i}` is the task's index, `${env:NAME}` what the environment says, `${value:NAME}` what a step before has taken.",
        );
        let headers = op.or("headers", BTreeMap::new(), "More headers: name and value.");
        let body = op.optional("body", "The request's body as text.");
        let doc = "Or: a file whose text is the body, in which `${i}` and the like are filled in; its path goes from the scenario's folder.";
        let file: Option<FileText> = op.optional("body_file", doc);
        let doc = "Or: a file that is sent byte for byte.";
        let raw: Option<FileBytes> = op.optional("body_raw", doc);
        let body_size = op.optional("body_size", "Or: a body of this many bytes.");
        let connection = op.optional(
            "connection",
            "`keep`: opened when the slot is first used, and kept by it; `per-call`: opened and closed by every call; \
             `pool`: one of the target's pool; default: `pool` if the target has one, else `keep`.",
        );
        let chunk: Option<Size> = op.optional(
            "chunk",
            "Most bytes of an answer that are read and looked at at once, from 1KiB to 16MiB; default: more and more, up to 408 KiB.",
        );
        let doc = "How the pages of a list are followed; default: there is one answer.";
        let follow: Option<Follow> = op.optional("follow", doc);
        let doc =
            "Values that are taken from the answer, for later steps of this task: `${value:NAME}`.";
        let take: Option<Named<HttpTake>> = op.optional("take", doc);
        let expect = step.or(
            "expect",
            HttpExpect::default(),
            "What the answer must be; otherwise the trial fails.",
        );
        let allow = step.or(
            "allow",
            HttpAllow::default(),
            "What is counted as an error and does not fail the trial.",
        );
        check_bodies(op, chunk);
        let (body, raw) = (body.or(file.map(|file| file.0)), raw);
        check_digest(step, path.as_ref(), &expect);
        headers::check(op, path.as_ref().map(|path| &path.0), &headers);
        secrets::check(op, path.as_ref().map(|path| &path.0), &headers);
        unfit::check(op, step, follow.as_ref(), method, &expect);
        let take = take.map(|named| named.0).unwrap_or_default();
        let places = places(op, path.as_ref(), &headers, body.as_ref());
        let uses = names(&places, |template| template.values().collect());
        let rows = names(&places, |template| template.rows().collect());
        let values = Box::new(HttpValues { take, uses, rows });
        unfit_values::check(op, step, &values, follow.as_ref(), (method, &expect));
        let follow = follow.map(Box::new);
        Some(Self {
            target: target?,
            method,
            path: path?,
            headers,
            body,
            body_size,
            body_raw: raw,
            connection,
            chunk,
            follow,
            values,
            expect,
            allow,
        })
    }

    fn targets(&self) -> Vec<TargetUse<'_>> {
        vec![TargetUse { name: &self.target, kind: "http" }]
    }

    fn takes(&self) -> Vec<&Name> {
        self.values.take.iter().map(|(name, _)| name).collect()
    }

    fn defaults(&self) -> Vec<(&str, &str)> {
        let take = self.values.take.iter();
        take.filter_map(|(name, take)| Some((name.text.as_str(), take.default.as_deref()?)))
            .collect()
    }

    fn uses(&self) -> Vec<&Name> {
        self.values.uses.iter().collect()
    }

    fn rows(&self) -> Vec<&Name> {
        self.values.rows.iter().collect()
    }

    fn may_end_task(&self) -> bool {
        !self.values.all_have_defaults() && self.allow.allows_something()
    }

    fn complaint(&self, target: &TargetSpec) -> Option<(String, String)> {
        let TargetSpec::Http(server) = target else { return None };
        unfit::complaint(self, server)
    }

    fn operations(&self, target: &TargetSpec) -> u64 {
        let TargetSpec::Http(server) = target else { return 1 };
        unfit::pages(self, server)
    }

    fn connects_per_call(&self) -> bool {
        self.connection == Some(HttpLifetime::PerCall)
    }

    fn unready(&self) -> Option<Lack> {
        FilledRequest::new(self).err()
    }

    fn cancellable(&self, _: Lookup<'_, '_>) -> bool {
        true
    }

    fn cost<'a>(&self, target: &dyn Fn(&str) -> Option<&'a TargetSpec>) -> Cost {
        match target(&self.target.text) {
            Some(TargetSpec::Http(server)) if server.url.is_none() => {
                let cpu = NOMINAL + Duration::from_nanos(server.body / NOMINAL_BYTES_PER_NS);
                let pages = u32::try_from(unfit::pages(self, server)).unwrap_or(u32::MAX);
                let one =
                    Cost { least: server.delay.least(), mean: server.delay.mean() + cpu, cpu };
                one.times(pages)
            }
            _ => Cost { mean: NOMINAL, cpu: NOMINAL, ..Cost::default() },
        }
    }

    fn told(&self) -> Result<protocol::BriefOperation, String> {
        told::told(self)
    }

    fn heard(operation: &protocol::BriefOperation) -> Option<Result<Self, String>> {
        let protocol::BriefOperation::Http(call) = operation else { return None };
        Some(told::heard(call))
    }

    fn build<R: Runtime>(&self, site: &Site<R>) -> Result<Box<dyn Step>, BuildError> {
        let endpoint = site.endpoint::<target::HttpEndpoint>(&self.target.text)?;
        let learned =
            site.trial.commons.shared(&format!("body of step {}", site.number), OnceLock::new);
        let mut shared = HttpShared::new(self, endpoint, site.seed(), learned)?;
        let value = cell(site);
        shared.bind(&value);
        shared.bind_rows(&RowTables::of(&site.trial.commons))?;
        let counter = site.value_counter();
        let shared = Arc::new(shared);
        let asked = site.asked.clone();
        let route = self.route(site, &shared.endpoint);
        if let Some(follow) = &self.follow {
            let follow = Arc::new((**follow).clone());
            let make = move || {
                HttpWalk::<R::Native>::new(
                    shared.clone(),
                    follow.clone(),
                    route.clone(),
                    asked.clone(),
                )
            };
            return Ok(site.operation(make));
        }
        let (take, place) = (self.values.take.clone(), site.words(Self::KEY));
        let taking = move || HttpTaking::new(&take, place.clone(), &value);
        // What can go wrong does so here, and not again.
        taking().map_err(BuildError)?;
        let make = move || {
            let taking = taking().ok().flatten().map(|taking| (taking, counter()));
            HttpClient::<R::Native>::new(shared.clone(), route.clone(), asked.clone(), taking)
        };
        Ok(site.operation(make))
    }
}

/// Where the steps of a sequence keep a value.
fn cell<R>(site: &Site<R>) -> impl Fn(&str) -> Arc<TakenValue> + Send + Sync + use<R> {
    let commons = site.commons.clone();
    move |name| TakenValue::of(&commons, name)
}

/// The templates that a request is made of, with the places where they stand.
fn places<'a>(
    op: &Fields<'_>,
    path: Option<&'a EnvTemplate>,
    headers: &'a BTreeMap<String, EnvTemplate>,
    body: Option<&'a EnvTemplate>,
) -> Vec<(&'a Template, Span)> {
    let of = |key: &'static str| {
        let span = op.span(key);
        move |template: &'a EnvTemplate| (&template.0, span.clone())
    };
    let file = if op.has("body_file") { "body_file" } else { "body" };
    let path = path.into_iter().map(of("path"));
    path.chain(headers.values().map(of("headers"))).chain(body.into_iter().map(of(file))).collect()
}

/// What these templates name, each with its place.
fn names(places: &[(&Template, Span)], of: impl Fn(&Template) -> Vec<&str>) -> Vec<Name> {
    let of_place = |(template, span): &(&Template, Span)| {
        let names = of(template).into_iter();
        names.map(|name| Name { text: name.to_owned(), span: span.clone() }).collect::<Vec<_>>()
    };
    places.iter().flat_map(of_place).collect()
}

/// Reports what the keys of bodies say that cannot be.
fn check_bodies(op: &mut Fields<'_>, chunk: Option<Size>) {
    let present = unfit::BODIES.into_iter().filter(|key| op.has(key)).collect::<Vec<_>>();
    if let [first, second, ..] = present[..] {
        let message = format!("`{first}` says what is sent already");
        op.reject(second, message, Some("keep one of the two".into()));
    }
    if chunk.is_some_and(|Size(bytes)| !(LEAST_CHUNK..=MOST_CHUNK).contains(&bytes)) {
        let help = "the head of an answer must fit into it, and each connection takes its memory";
        op.reject("chunk", "expected a size from 1KiB to 16MiB", Some(help.into()));
    }
}

/// Reports a digest of answers that differ.
fn check_digest(step: &mut Fields<'_>, path: Option<&EnvTemplate>, expect: &HttpExpect) {
    if expect.has_sha256() && path.is_some_and(|path| !path.0.is_constant()) {
        step.reject("expect", "`sha256` needs a path that is the same for every call", None);
    }
}

impl Http {
    /// Where the connection of a slot comes from. All steps that act on a target share its
    /// connections of HTTP/2, if it says so.
    fn route<R: Runtime>(
        &self,
        site: &Site<R>,
        endpoint: &Arc<target::HttpEndpoint>,
    ) -> LinkRoute<R::Native> {
        if let Some(spec) = endpoint.pool
            && self.lifetime(true) == HttpLifetime::Pool
        {
            let name = format!("pool of target {}", self.target.text);
            let connections = site.trial.commons.shared(&name, || pooled::connections(&spec));
            let waits = PoolWaits::at(site, &self.target.text);
            return LinkRoute::Pooled(HttpPooled::new(connections, spec, waits));
        }
        let Some(http2) = endpoint.http2 else { return LinkRoute::Lines };
        let Some(number) = http2.shared() else { return LinkRoute::Own(Home::new()) };
        let links = site.trial.commons.shared(
            &format!("HTTP/2 connections of target {}", self.target.text),
            || {
                let runtime = site.trial.runtime.clone();
                SharedLinks::<R::Native>::new(number.get(), endpoint.clone(), runtime)
            },
        );
        LinkRoute::Shared { links, slot: site.slot, lost: None }
    }
}

/// What a request costs the CPU, for estimates: about what hyper's client takes.
const NOMINAL: Duration = Duration::from_micros(30);
/// And its body, in bytes that are received and looked at in a nanosecond.
const NOMINAL_BYTES_PER_NS: u64 = 1;
/// Least and largest `chunk`, in bytes.
const LEAST_CHUNK: u64 = 1 << 10;
const MOST_CHUNK: u64 = 16 << 20;

#[cfg(test)]
mod tests;
