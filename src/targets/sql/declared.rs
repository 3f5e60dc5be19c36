//! A database server of the user's own: a schema is created in it, filled, counted and dropped
//! again.
//!
//! Nothing but that schema is touched, and a schema that Regatta has not made is refused.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Database, Road, Server, SqlTarget,
    admin::{Admin, GLANCE_NS, Owner, RESTART_NS, locked},
    database::{MOST_PATIENCE_NS, counting, error},
    engines::{self, engine},
    server::quoted,
};
use crate::{
    client::{self, Address, Fault, FaultKind, Reference, Scheme, mysql, postgres::OPTIONS},
    clock,
    measure::{ProofLine, TargetReport, Watched},
    runtime::{Blocking, block_on},
    targets::{
        self, Connections, Start, Started, TargetError,
        own_server::{self, OwnServer},
    },
};

/// The protocols of SQL servers.
pub(super) const SCHEMES: &[Scheme] = &[Scheme::Postgres, Scheme::Mysql];

/// The address that a url means, if steps can use it.
pub(super) fn address(url: &Reference) -> Result<Address, String> {
    let address = url.resolve(SCHEMES)?;
    let options = if address.scheme == Scheme::Postgres { OPTIONS } else { mysql::OPTIONS };
    address.knows_options(options)?;
    address.tls()?;
    Ok(address)
}

/// The same, as all connections use it: a url can leave it to the server whether to encrypt.
fn settled(url: &Reference) -> Result<Address, String> {
    block_on(client::settled::<Blocking>(address(url)?))
        .map_err(|fault| format!("{}: {fault}", fault.kind.name()))
}

/// A server that was asked to hold a schema.
pub(super) struct DeclaredServer {
    name: String,
    admin: Box<dyn Admin>,
    server: Arc<Server>,
    database: Arc<Database>,
    /// Whether the schema is ours to drop.
    made: bool,
    version: Option<String>,
    own: OwnServer,
}

/// Connects, and creates and fills the schema.
pub(super) fn start(
    spec: &SqlTarget,
    url: &Reference,
    start: &Start<'_>,
) -> Result<DeclaredServer, TargetError> {
    let address = settled(url).map_err(|why| error(start.name, &why))?;
    let server =
        Arc::new(Server::new(address, spec, std::process::id(), start.cpus, engines::admin));
    let told = |fault: Fault| error(start.name, &format!("{}: {fault}", fault.kind.name()));
    let (engine, mut admin) = engine(&server).map_err(told)?;
    let (version, own) = (admin.version(), OwnServer::named(&server.address));
    let database = Arc::new(Database::new(engine, spec, start.seed));
    let mut declared = DeclaredServer {
        name: start.name.into(),
        admin,
        server,
        database,
        made: false,
        version,
        own,
    };
    if declared.server.road() == Road::Transaction && start.prepares {
        return Err(error(start.name, &keeps_nothing(&declared.server)));
    }
    declared.hold()?;
    declared.clear()?;
    declared.admin.create().map_err(|fault| declared.not_made(&fault))?;
    // Not before: what could not be made may be somebody else's, and is not dropped.
    declared.made = true;
    match declared.fill(spec.rows, start.seed) {
        Ok(()) => Ok(declared),
        Err(why) => Err(why.and(declared.remove())),
    }
}

/// Why steps that prepare statements cannot use a pooler.
fn keeps_nothing(server: &Server) -> String {
    format!(
        "{}: a pooler answers here, and gives each transaction another session of the server: neither prepared statements nor \
         `search_path` last from one to the next. Send each statement as one text: `protocol = \"simple\"` in each `sql` \
         step (COPY cannot be sent like that); or give the address of the server, or of a pooler with `pool_mode = session`. \
         Nothing was written",
        server.address
    )
}

/// What the server says that it is, if it answers.
pub(super) fn version(spec: &SqlTarget, url: &Reference) -> Option<String> {
    let server =
        Arc::new(Server::new(settled(url).ok()?, spec, std::process::id(), &[], engines::admin));
    engine(&server).ok().map(|(_, mut admin)| version_words(admin.version()))
}

fn version_words(version: Option<String>) -> String {
    version.unwrap_or_else(|| "unknown".into())
}

/// Drops the schema of a trial that was killed, and ends its sessions; `name` is the target's.
pub(super) fn sweep(
    spec: &SqlTarget,
    url: &Reference,
    name: &str,
    pid: u32,
) -> Result<(), TargetError> {
    let address = settled(url).map_err(|why| error(name, &why))?;
    let server = Arc::new(Server::new(address, spec, pid, &[], engines::admin));
    let removed = engine(&server).and_then(|(_, mut admin)| {
        // Who has the name by now is another run, and has seen to it.
        let is_left = locked(admin.as_mut())? && admin.owner()? == Owner::Regatta;
        if is_left { admin.remove() } else { Ok(()) }
    });
    removed.map_err(|fault| error(name, &left_behind(&server, &fault)))
}

/// What is to be said of a schema that could not be dropped.
fn left_behind(server: &Server, fault: &Fault) -> String {
    let Server { address, schema, .. } = server;
    let name = quoted(address.scheme, schema);
    let remedy = match address.scheme {
        Scheme::Mysql => format!("DROP DATABASE {name}"),
        _ => format!("DROP SCHEMA {name} CASCADE"),
    };
    format!(
        "{address}: the schema `{schema}` could not be dropped and is left behind: {}: {fault}; the next trial tries \
         again, or remove it: {remedy}",
        fault.kind.name()
    )
}

impl DeclaredServer {
    /// Takes the schema's name as long as the trial lives, so that no other run takes the schema
    /// for left behind.
    fn hold(&mut self) -> Result<(), TargetError> {
        if locked(self.admin.as_mut()).map_err(|fault| self.told(&fault))? {
            return Ok(());
        }
        let schema = &self.server.schema;
        let reason = format!(
            "another run uses the schema `{schema}`; wait for its end, or name another one: `schema = \"…\"`"
        );
        Err(error(&self.name, &reason))
    }

    /// Why the schema could not be made, with the remedy where a right is missing.
    fn not_made(&self, fault: &Fault) -> TargetError {
        let Server { address, schema, .. } = &*self.server;
        let denied =
            ["SQLSTATE 42501", "error 1044"].iter().any(|code| fault.message.contains(code));
        if !denied {
            return self.told(fault);
        }
        let user = &address.user;
        let grant = match address.scheme {
            Scheme::Mysql => format!("GRANT ALL ON `{schema}`.* TO {user}@'…'"),
            _ => format!(
                "GRANT CREATE ON DATABASE {} TO {user}",
                address.database.as_deref().unwrap_or(user)
            ),
        };
        let reason = format!(
            "{address}: `{user}` may not make the schema `{schema}`: {}; {grant}",
            fault.message
        );
        error(&self.name, &reason)
    }

    fn told(&self, fault: &Fault) -> TargetError {
        error(&self.name, &format!("{}: {}: {fault}", self.server.address, fault.kind.name()))
    }

    /// Makes room for the schema: what a killed trial left is dropped, what is somebody else's is
    /// refused.
    fn clear(&mut self) -> Result<(), TargetError> {
        let schema = self.server.schema.clone();
        match self.admin.owner().map_err(|fault| self.told(&fault))? {
            Owner::Nobody => Ok(()),
            Owner::Regatta => self
                .admin
                .remove()
                .map_err(|fault| error(&self.name, &left_behind(&self.server, &fault))),
            Owner::Somebody => Err(error(
                &self.name,
                &format!(
                    "the schema `{schema}` exists, and Regatta has not made it; name another one: `schema = \"…\"`"
                ),
            )),
        }
    }

    /// Fills the table, and looks at what is in it.
    fn fill(&mut self, rows: u64, seed: u64) -> Result<(), TargetError> {
        self.admin.fill(rows, seed).map_err(|fault| self.told(&fault))?;
        self.check()
    }

    /// Sees that the table holds what every engine must hold.
    fn check(&mut self) -> Result<(), TargetError> {
        for ((what, query), expected) in counting(&self.server.quoted()).zip(self.database.filled())
        {
            let found = self.admin.number(&query).map_err(|fault| self.told(&fault))?;
            if found != Some(expected) {
                let found = found.map_or("none".into(), |found| found.to_string());
                return Err(error(
                    &self.name,
                    &format!("filled wrongly: {what}: expected {expected}, found {found}"),
                ));
            }
        }
        Ok(())
    }

    /// Waits until the server has as many sessions as connections are open here: it notices late
    /// that one has gone, and a statement that was given up may still run.
    fn settle(&mut self) -> Result<(u64, u64), Fault> {
        let until_ns = clock::now_ns() + MOST_PATIENCE_NS;
        loop {
            let (open, found) = (self.server.connections.still_open(), self.admin.sessions()?);
            if open == found || clock::now_ns() > until_ns {
                return Ok((open, found));
            }
            clock::sleep_until(clock::now_ns() + GLANCE_NS);
        }
    }

    /// Asks something, once more if the server was away and has come back.
    fn ask<T>(&mut self, question: impl Fn(&mut Self) -> Result<T, Fault>) -> Result<T, Fault> {
        match question(self) {
            Err(fault) if !fault.leaves_nothing() => {
                self.reconnect()?;
                question(self)
            }
            answered => answered,
        }
    }

    /// Waits a while for a server that starts again.
    fn reconnect(&mut self) -> Result<(), Fault> {
        let until_ns = clock::now_ns() + RESTART_NS;
        loop {
            match engine(&self.server) {
                Ok((_, mut admin)) => {
                    // The name went with the session. Whoever has taken it since has dropped the
                    // schema.
                    self.made = locked(admin.as_mut())?;
                    self.admin = admin;
                    let taken =
                        "the server was away, and another run has taken the schema meanwhile";
                    return if self.made {
                        Ok(())
                    } else {
                        Err(Fault::new(FaultKind::Lost, taken))
                    };
                }
                Err(fault) if clock::now_ns() > until_ns => return Err(fault),
                Err(_) => clock::sleep_until(clock::now_ns() + 10 * GLANCE_NS),
            }
        }
    }

    fn counts(&mut self) -> Result<BTreeMap<String, u64>, Fault> {
        let mut counts = self.server.connections.counts();
        counts.extend(self.server.undertaker.counts());
        for (name, query) in counting(&self.server.quoted()) {
            let value = self.admin.number(&query)?.and_then(|value| u64::try_from(value).ok());
            counts.extend(value.map(|value| (name.to_owned(), value)));
        }
        Ok(counts)
    }
}

impl Started for DeclaredServer {
    fn endpoint(&self) -> targets::Endpoint {
        self.database.clone()
    }

    fn watched(&self) -> Option<Watched> {
        self.own.watched()
    }

    fn connections(&self) -> Option<Connections> {
        Some(self.server.connections.clone())
    }

    fn facts(&self) -> Vec<(String, String)> {
        let version = version_words(self.version.clone());
        let mut facts = own_server::known_by(&self.name, &self.server.address, version);
        facts.extend(self.own.facts(&self.name));
        let drivers = self.server.drivers();
        if !drivers.is_empty() {
            facts.push((format!("{}: driver", self.name), drivers));
        }
        if let Some(pooler) = self.admin.pooler() {
            facts.push((format!("{}: between", self.name), pooler.to_owned()));
        }
        facts
    }

    fn answers(&mut self) -> Result<(), TargetError> {
        self.ask(|declared| declared.admin.sessions()).map(drop).map_err(|fault| self.told(&fault))
    }

    fn report(&mut self) -> Result<TargetReport, TargetError> {
        if !self.database.settle() {
            return Err(error(&self.name, "a statement still runs long after the load has ended"));
        }
        self.server.undertaker.settle().map_err(|why| error(&self.name, &why))?;
        let (open, found) = self.ask(Self::settle).map_err(|fault| self.told(&fault))?;
        let counts = self.counts().map_err(|fault| self.told(&fault))?;
        let mut proof = self.database.proof(&self.name, &counts);
        let counted = if self.admin.pooler().is_some() {
            "in which a statement runs"
        } else {
            "that are open"
        };
        let what = format!("connections to target {} {counted}, by its own count", self.name);
        proof.push(ProofLine { what, expected: open.to_string(), found: found.to_string() });
        Ok(TargetReport { name: self.name.clone(), counts, proof, ..TargetReport::default() })
    }

    fn remove(&mut self) -> Result<(), TargetError> {
        if !std::mem::take(&mut self.made) {
            return Ok(());
        }
        self.admin.remove().map_err(|fault| error(&self.name, &left_behind(&self.server, &fault)))
    }
}

impl Drop for DeclaredServer {
    fn drop(&mut self) {
        // It is still there only after a panic, and then the parent looks for it, too, and tells
        // what it finds.
        let _ = self.remove();
    }
}
