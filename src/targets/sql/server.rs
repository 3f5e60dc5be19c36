//! A database server of the user's own, as the steps know it: where it is, and what they count
//! about it.

use std::{
    collections::{BTreeSet, HashSet},
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use concurrent_queue::ConcurrentQueue;
use xxhash_rust::xxh3::xxh3_64;

use super::{GivenUpSession, SqlTarget, admin::Admin, undertaker::Undertaker};
use crate::{
    client::{Address, Fault, FaultKind, Scheme},
    targets::{
        PoolSpec,
        connections::{Connections, Opened},
    },
};

/// How the sessions of steps find the tables of the schema by their names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Road {
    /// By a parameter that is sent with the login: the usual one.
    Login,
    /// By a statement after the login: something between takes no parameters, and each connection
    /// has its own session of the server.
    Session,
    /// By the beginning of each text: something between gives each transaction whatever session of
    /// the server is free.
    Transaction,
}

/// What steps need to know of a server, and what they count about it.
#[derive(Debug)]
pub struct Server {
    /// Where it is.
    pub address: Address,
    /// The schema (PostgreSQL) or database (MySQL) with the tables.
    pub schema: String,
    /// How many connections the tasks share.
    pub pool: Option<PoolSpec>,
    /// The name under which the sessions of steps are known to the server: they belong to this
    /// trial and to no other.
    pub application: String,
    /// Whose clients the steps use.
    drivers: Mutex<BTreeSet<&'static str>>,
    /// The server's numbers of the steps' sessions, where it knows them by no name.
    sessions: ConcurrentQueue<u64>,
    road: OnceLock<Road>,
    pub(super) connections: Connections,
    pub(super) undertaker: Undertaker,
    /// Opens a connection to administer it.
    admin: OpenAdmin,
}

/// Opens a connection to administer a server.
pub(super) type OpenAdmin = fn(&Arc<Server>) -> Result<Box<dyn Admin>, Fault>;

impl Server {
    /// `pid` is the process of the trial, and `cpus` are those of the harness; none: any.
    pub(super) fn new(
        address: Address,
        spec: &SqlTarget,
        pid: u32,
        cpus: &[usize],
        admin: OpenAdmin,
    ) -> Self {
        // Processes in containers of their own may have the same number; those with the same schema
        // wait for each other.
        let ours = format!("regatta steps {pid} {:08x}", xxh3_64(spec.schema.as_bytes()) as u32);
        let application = with_own(ours, address.options.get("application_name"));
        let (schema, pool) = (spec.schema.clone(), spec.pool);
        let (drivers, road, connections) = Default::default();
        let sessions = ConcurrentQueue::unbounded();
        let undertaker = Undertaker::new(cpus);
        Self {
            address,
            schema,
            pool,
            application,
            drivers,
            sessions,
            road,
            connections,
            undertaker,
            admin,
        }
    }

    /// How sessions find the tables.
    pub fn road(&self) -> Road {
        self.road.get().copied().unwrap_or(Road::Login)
    }

    /// Notes what the target has found out; it does not change while it lives.
    pub(super) fn found_road(&self, road: Road) {
        let _ = self.road.set(road);
    }

    /// The schema's name as a statement has it.
    pub fn quoted(&self) -> String {
        quoted(self.address.scheme, &self.schema)
    }

    /// What stands before each text of a step; empty where sessions find the tables without.
    pub fn preamble(&self) -> String {
        match self.road() {
            Road::Transaction => format!("SET LOCAL search_path TO {}; ", self.quoted()),
            Road::Login | Road::Session => String::new(),
        }
    }

    /// Why a session in which names without a schema mean another one is of no use; none where they
    /// mean this one.
    pub fn complaint(&self, current: Option<&str>) -> Option<Fault> {
        if current == Some(self.schema.as_str()) {
            return None;
        }
        let schema = &self.schema;
        let found = current.map_or("none".to_owned(), |current| format!("`{current}`"));
        Some(Fault::new(
            FaultKind::Database,
            format!(
                "the session is in the schema {found} and not in `{schema}`; does a pooler between drop what \
                 the login asks for? Give the server's own address, or a pooler in session mode"
            ),
        ))
    }

    /// Notes the server's number of a session of a step.
    pub fn note_session(&self, id: u64) {
        // It is never closed, so that there is always room.
        let _ = self.sessions.push(id);
    }

    /// The numbers of all sessions of steps so far. Not while more are being opened.
    pub(super) fn noted_sessions(&self) -> HashSet<u64> {
        let noted: HashSet<u64> = self.sessions.try_iter().collect();
        for id in &noted {
            self.note_session(*id);
        }
        noted
    }

    /// Notes whose client a step uses, for the facts.
    pub fn use_driver(&self, driver: &'static str) {
        self.drivers.lock().unwrap_or_else(PoisonError::into_inner).insert(driver);
    }

    /// Whose clients the steps use, in words.
    pub(super) fn drivers(&self) -> String {
        let drivers = self.drivers.lock().unwrap_or_else(PoisonError::into_inner);
        drivers.iter().copied().collect::<Vec<_>>().join("; ")
    }

    /// Has the server end a session whose call was given up.
    pub fn end(self: &Arc<Self>, given_up: GivenUpSession) {
        // Not the server itself, which has the sender: the thread would never end.
        let (server, admin) = (Arc::downgrade(self), self.admin);
        self.undertaker.take(given_up, || move || admin(&server.upgrade()?).ok());
    }

    /// Counts a connection that is about to be opened.
    pub fn open(&self) -> Opened {
        self.connections.open()
    }

    /// Counts that a call opens a connection in place of one that has ended.
    pub fn reopen(&self) {
        self.connections.reopen();
    }

    /// Counts a fault that the scenario allows.
    pub fn count(&self, fault: &Fault) {
        self.connections.count(fault);
    }
}

/// A session's name with the one that the url gives behind it, as long as PostgreSQL has room for
/// it: sessions are found by their whole name, so none may be cut off by the server.
fn with_own(mut name: String, own: Option<&String>) -> String {
    const ROOM: usize = 63;
    let Some(own) = own else { return name };
    name.push(' ');
    // The server replaces all other letters.
    let own = own.chars().filter(char::is_ascii_graphic);
    name.extend(own.take(ROOM.saturating_sub(name.len())));
    name
}

/// A schema's name as a statement has it. It has no letter that means something there.
pub(super) fn quoted(scheme: Scheme, schema: &str) -> String {
    let quote = if scheme == Scheme::Mysql { '`' } else { '"' };
    format!("{quote}{schema}{quote}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_ones_own_stands_behind_the_trial_s() {
        let named = |own: &str| with_own("regatta steps 7".into(), Some(&own.to_owned()));
        assert_eq!(
            (with_own("a".into(), None), named("shop")),
            ("a".into(), "regatta steps 7 shop".into())
        );
        let long = named(&"ü-".repeat(99));
        assert_eq!((long.len(), long.trim_end_matches('-')), (63, "regatta steps 7 "));
    }
}
