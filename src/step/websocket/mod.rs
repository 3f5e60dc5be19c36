//! `websocket`: messages over a connection that is kept, to the embedded server or one of the user's
//! own.
//!
//! [`spec`] is what a scenario says, [`client`] an instance of the step, [`connection`] the stream of
//! the executor under the library of frames, [`echo`] and [`member`] the two forms, [`message`] what
//! is sent and how it is known again, [`lost`] why a call came to no end.
//!
//! What is proven: each message comes back as it was, once and in its order; or each member of a room
//! gets every message of every member once and in one order. Of the embedded server its own counts of
//! connections, upgrades, messages and members agree with ours.

mod client;
mod connection;
mod echo;
mod lost;
mod member;
mod message;
mod spec;
mod stream;
mod talk;

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use self::{
    client::{WebSocketClient, WebSocketShared},
    echo::EchoTalk,
    member::MemberTalk,
    spec::{BroadcastSpec, EchoSpec},
    talk::Talk,
};
use super::{
    BuildError, Cost, Done, Lookup, Meeting, SharedUse, Site, Step, StepKind, TargetUse, Touch,
};
use crate::{
    config::{Fields, Name, Section},
    runtime::Runtime,
    targets::{
        TargetSpec,
        websocket::{WebSocketEndpoint, words::Registration},
    },
    units::format_size,
};

/// What a message and its answer cost the CPU, for estimates.
const NOMINAL: Duration = Duration::from_micros(20);

/// Messages to a server.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WebSocketStep {
    target: Name,
    form: WebSocketForm,
    allow: WebSocketAllow,
}

/// What is done with messages.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum WebSocketForm {
    Echo(EchoSpec),
    Broadcast(BroadcastSpec),
}

/// `allow`: what is counted as an error and goes on.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct WebSocketAllow {
    errors: bool,
}

impl Section for WebSocketAllow {
    const DOC: &'static str = "What is counted as an error and does not fail the trial.";

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let doc = "Whether refused and lost connections are counted, each by its name.";
        Some(Self { errors: fields.or("errors", false, doc) })
    }
}

impl StepKind for WebSocketStep {
    const KEY: &'static str = "websocket";
    const DOC: &'static str =
        "WebSocket messages that come back, or that go to all members of a room; each is checked.";
    const PROOF: &'static str = "each message comes back once, in order and unchanged, or is delivered once to each \
         member, in the hub's order; the embedded server counts as many";

    fn read(op: &mut Fields<'_>, step: &mut Fields<'_>) -> Option<Self> {
        let target = op.required("target", "The WebSocket target.");
        let doc = "Messages that come back: `{ messages = 10, size = \"128B\" }`.";
        let echo: Option<EchoSpec> = op.optional("echo", doc);
        let doc = "Messages that go to all members of a room: `{ members = 16, messages = 8 }`; only at the embedded server.";
        let broadcast: Option<BroadcastSpec> = op.optional("broadcast", doc);
        let doc = "What is counted as an error and does not fail the trial; only of `echo`.";
        let allow = step.or("allow", WebSocketAllow::default(), doc);
        let given = ["echo", "broadcast"].into_iter().filter(|key| op.has(key)).count();
        if given != 1 && !op.is_describing() {
            let found = if given == 0 { "neither" } else { "both" };
            let message = format!("expected one of `echo` and `broadcast`, found {found}");
            op.reject("echo", message, Some("write echo = { messages = 10 }".into()));
        }
        if allow.errors && op.has("broadcast") {
            let message = "members wait for each other, and would wait for one that has failed";
            step.reject("allow", message, Some("leave `allow` out".into()));
        }
        let form = echo.map(WebSocketForm::Echo);
        let form = form.or_else(|| broadcast.map(WebSocketForm::Broadcast));
        Some(Self { target: target?, form: form?, allow })
    }

    fn targets(&self) -> Vec<TargetUse<'_>> {
        vec![TargetUse { name: &self.target, kind: Self::KEY }]
    }

    /// Members of a room meet at the target.
    fn shared(&self) -> Option<SharedUse<'_>> {
        let WebSocketForm::Broadcast(_) = self.form else { return None };
        Some(SharedUse { name: &self.target, kind: Self::KEY, touch: Touch::Meets })
    }

    fn meeting(&self) -> Option<Meeting> {
        let WebSocketForm::Broadcast(BroadcastSpec { terms, size }) = &self.form else {
            return None;
        };
        let Registration { members, messages } = terms;
        let size = format_size(size.0);
        let terms = format!("members = {members}, messages = {messages}, size = {size}");
        Some(Meeting { parties: (*members).into(), terms })
    }

    fn complaint(&self, target: &TargetSpec) -> Option<(String, String)> {
        let TargetSpec::Websocket(server) = target else { return None };
        let WebSocketForm::Broadcast(_) = self.form else { return None };
        server.url.as_ref()?;
        let message = "only the embedded server has a hub: there is no common way to register with other ones";
        Some((message.into(), "use `echo`, or remove the target's `url`".into()))
    }

    fn operations(&self, _target: &TargetSpec) -> u64 {
        match &self.form {
            WebSocketForm::Echo(echo) => echo.messages,
            WebSocketForm::Broadcast(broadcast) => broadcast.terms.messages.into(),
        }
    }

    /// Others wait for a member.
    fn cancellable(&self, _: Lookup<'_, '_>) -> bool {
        matches!(self.form, WebSocketForm::Echo(_))
    }

    fn cost<'a>(&self, _: &dyn Fn(&str) -> Option<&'a TargetSpec>) -> Cost {
        let messages = match &self.form {
            WebSocketForm::Echo(echo) => echo.messages,
            WebSocketForm::Broadcast(broadcast) => broadcast.terms.deliveries(),
        };
        let one = Cost { mean: NOMINAL, cpu: NOMINAL, ..Cost::default() };
        one.times(u32::try_from(messages).unwrap_or(u32::MAX))
    }

    fn build<R: Runtime>(&self, site: &Site<R>) -> Result<Box<dyn Step>, BuildError> {
        let endpoint = site.endpoint::<WebSocketEndpoint>(&self.target.text)?;
        let shared = Arc::new(WebSocketShared {
            at_hub: matches!(self.form, WebSocketForm::Broadcast(_)),
            allow_errors: self.allow.errors,
            words: site.words(Self::KEY),
            done: self.done(),
            endpoint,
        });
        let form = self.form.clone();
        let make = move || {
            let account = shared.endpoint.account();
            let talk = match &form {
                WebSocketForm::Echo(echo) => Talk::Echo(EchoTalk::new(echo.clone(), account)),
                WebSocketForm::Broadcast(room) => Talk::Member(MemberTalk::new(room, account)),
            };
            WebSocketClient::<R::Native>::new(shared.clone(), talk)
        };
        Ok(site.operation(make))
    }
}

impl WebSocketStep {
    /// What a call that ends well has sent and received.
    fn done(&self) -> Done {
        let (sent, received) = match &self.form {
            WebSocketForm::Echo(EchoSpec { messages, size, .. }) => {
                (messages * size.0, messages * size.0)
            }
            WebSocketForm::Broadcast(BroadcastSpec { terms, size }) => {
                (u64::from(terms.messages) * size.0, terms.deliveries() * size.0)
            }
        };
        Done { received, sent, ..Done::default() }
    }
}

#[cfg(test)]
mod tests;
