//! Whether a pooler is between this process and PostgreSQL, and what it gives to a connection: a
//! session of the server, or another one for each transaction.
//!
//! A pooler gives a connection a number of its own, and the server the number of its process: they
//! differ. Whether the process changes from one transaction to the next is seen beside a second
//! connection, which takes what is free.

use super::{Road, Server};
use crate::{
    client::{
        Fault, FaultKind,
        postgres::{Postgres, refuses_settings},
        within_limit,
    },
    runtime::{Blocking, block_on},
};

/// So often two connections are looked at: others may use the pooler, too, and take what would have
/// been seen.
const LOOKS: usize = 3;

/// A connection, and what is between it and the server.
pub(super) struct FoundPooler {
    pub connection: Postgres<Blocking>,
    /// How sessions find the tables.
    pub road: Road,
    /// Whether the sessions of the server are a pooler's.
    pub pooled: bool,
}

/// Connects, and looks at what answers.
pub(super) fn look(
    server: &Server,
    application: &str,
    settings: &[(&str, &str)],
) -> Result<FoundPooler, Fault> {
    let (mut connection, takes_settings) = open(server, application, settings)?;
    let pooled = process(&mut connection)? != connection.key().process();
    let seen = block_on(connection.text("SHOW search_path"))?;
    if takes_settings && seen.as_deref() == Some(server.schema.as_str()) {
        return Ok(FoundPooler { connection, road: Road::Login, pooled });
    }
    let shares = pooled && is_shared(&mut connection, server, application)?;
    let road = if shares { Road::Transaction } else { Road::Session };
    Ok(FoundPooler { connection, road, pooled })
}

/// Opens a connection with the settings, or without if a pooler refuses them.
fn open(
    server: &Server,
    application: &str,
    settings: &[(&str, &str)],
) -> Result<(Postgres<Blocking>, bool), Fault> {
    match block_on(Postgres::open(&server.address, application, settings)) {
        Err(fault) if refuses_settings(&fault) => {
            if server.address.options.contains_key("options") {
                let words =
                    "a pooler answers here, which takes no `options`; remove them from the url";
                return Err(Fault::new(FaultKind::Refused, words).at(&server.address));
            }
            block_on(Postgres::open(&server.address, application, &[]))
                .map(|connection| (connection, false))
        }
        opened => opened.map(|connection| (connection, true)),
    }
}

/// The process of the server that does what this connection asks for now.
fn process(connection: &mut Postgres<Blocking>) -> Result<i32, Fault> {
    let text = block_on(connection.text("SELECT pg_backend_pid()"))?;
    Ok(text.and_then(|text| text.parse().ok()).unwrap_or(0))
}

/// Whether two connections get the same process, one after the other.
fn is_shared(
    connection: &mut Postgres<Blocking>,
    server: &Server,
    application: &str,
) -> Result<bool, Fault> {
    let mut other = block_on(Postgres::open(&server.address, application, &[]))?;
    for _ in 0..LOOKS {
        let before = process(connection)?;
        begin(&mut other, server)?;
        let is_taken = process(&mut other)? == before;
        // With a single session for all, this one would wait for the other's.
        let has_changed = !is_taken && process(connection)? != before;
        block_on(other.run("COMMIT"))?;
        if is_taken || has_changed {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Begins a transaction, which a pooler that gives each statement another session does not do.
fn begin(connection: &mut Postgres<Blocking>, server: &Server) -> Result<(), Fault> {
    let words = "a pooler answers here, and has no transactions (`pool_mode = statement`), in which a trial holds its schema; \
                 give the address of the server, or of a pooler with `pool_mode = transaction` or `session`";
    block_on(connection.run("BEGIN"))
        .map_err(|why| Fault::new(why.kind, format!("{words}: {why}")).at(&server.address))
}

/// A connection in which a transaction stays open: what it locks is locked until it ends, whichever
/// session it has.
pub(super) struct Holder(Postgres<Blocking>);

impl Holder {
    /// Begins the transaction.
    pub fn new(server: &Server, application: &str) -> Result<Self, Fault> {
        let mut connection = block_on(Postgres::open(&server.address, application, &[]))?;
        begin(&mut connection, server)?;
        block_on(connection.run("SET LOCAL idle_in_transaction_session_timeout = 0"))?;
        Ok(Self(connection))
    }

    /// Tries to lock a name until the transaction ends.
    pub fn locks(&mut self, name: &str) -> Result<bool, Fault> {
        let query = format!("SELECT pg_try_advisory_xact_lock(hashtext('{name}'))");
        Ok(block_on(self.0.text(&query))?.as_deref() == Some("t"))
    }
}

/// Sees that a pooler has another session beside the one that holds the schema.
pub(super) fn has_room(connection: &mut Postgres<Blocking>, server: &Server) -> Result<(), Fault> {
    let asked = within_limit::<Blocking, _>(&server.address, connection.run("SELECT 1"));
    block_on(asked).map_err(|why| {
        let words = "a trial holds one session of the pooler beside those that work; raise its `default_pool_size`";
        Fault::new(why.kind, format!("{words}: {why}"))
    })
}
