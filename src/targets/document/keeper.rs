//! The collection of a trial: made, filled, counted and dropped again, over connections of the
//! target's own that block.
//!
//! Nothing but that collection and the one beside it that marks it as ours is touched.

use std::sync::{Arc, Mutex, PoisonError};

use bson::rawdoc;

use super::{
    DocumentTarget, WriteAccount,
    account::WriteSum,
    contents::{PRICE, document, sum_of_prices},
    mark,
};
use crate::{
    client::{
        CONNECT_LIMIT, Fault, FaultKind, Transport,
        mongo::{Collection, Documents, FindCommand, MongoConnection, MongoError, MongoSite},
    },
    measure::{ProofLine, TargetReport, Watched},
    runtime::{Blocking, Io, NativeTimers as _, block_on},
    targets::{
        self, Connections, Opened, Start, Started, TargetError,
        own_server::{self, OwnServer},
    },
};

/// The database where MongoDB's clients put what nobody gave a place.
const USUAL_DATABASE: &str = "test";
/// What is appended to a collection's name for the collection that marks it as ours.
const MARK: &str = ".made_by_regatta";
/// Documents that are sent at once while the collection is filled.
const CHUNK: u64 = 1_000;

/// What steps know of a document target: its endpoint.
#[derive(Debug)]
pub struct Store {
    /// The server.
    pub site: MongoSite,
    /// The collection.
    pub collection: Collection,
    connections: Connections,
    /// One for each instance of each step that writes.
    accounts: Mutex<Vec<Arc<WriteAccount>>>,
}

impl Store {
    /// A collection of a server. Nothing is connected yet.
    pub(super) fn new(site: MongoSite, name: &str) -> Self {
        let database = site.address.database.clone().unwrap_or_else(|| USUAL_DATABASE.to_owned());
        let (connections, accounts) = Default::default();
        Self { site, collection: Collection { database, name: name.into() }, connections, accounts }
    }

    /// Counts a connection that was opened.
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

    /// An account for a new instance of a step.
    pub fn account(&self) -> Arc<WriteAccount> {
        let account = Arc::new(WriteAccount::default());
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner).push(account.clone());
        account
    }

    fn sum(&self) -> WriteSum {
        let accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        WriteAccount::sum(accounts.iter().map(AsRef::as_ref))
    }

    /// The collection that says that the other one is ours.
    fn mark(&self) -> Collection {
        Collection { name: format!("{}{MARK}", self.collection.name), ..self.collection.clone() }
    }
}

type Blocked = MongoConnection<Transport<<Blocking as Io>::Conn>>;

/// A collection that is ready for a trial.
pub(super) struct KeptCollection {
    name: String,
    store: Arc<Store>,
    documents: u64,
    seed: u64,
    /// Whether the collection is ours to drop.
    ours: bool,
    /// What the server says that it is.
    version: Option<String>,
    own: OwnServer,
}

/// Connects, and makes and fills the collection.
pub(super) fn start(
    spec: &DocumentTarget,
    start: &Start<'_>,
) -> Result<KeptCollection, TargetError> {
    let error = |reason| TargetError { name: start.name.into(), reason };
    let site = spec.site().map_err(error)?;
    let store = Arc::new(Store::new(site, &spec.collection));
    let own = OwnServer::named(&store.site.address);
    let (name, seed) = (start.name.into(), start.seed);
    let mut kept = KeptCollection {
        name,
        store,
        documents: spec.documents,
        seed,
        ours: false,
        version: None,
        own,
    };
    match block_on(kept.make()) {
        Ok(()) => Ok(kept),
        Err(why) => Err(why.and(kept.remove())),
    }
}

/// What the server says that it is, if it answers.
pub(super) fn version(site: &MongoSite) -> Option<String> {
    let version = block_on(async {
        Some(site.open::<Blocking>().await.ok()?.version().await.ok().flatten())
    });
    version.map(version_words)
}

fn version_words(version: Option<String>) -> String {
    format!("MongoDB's protocol, {}", version.unwrap_or_else(|| "unknown".into()))
}

impl KeptCollection {
    /// Makes and fills the collection.
    async fn make(&mut self) -> Result<(), TargetError> {
        let mut connection = self.connect().await?;
        // A server need not know this command.
        self.version = connection.version().await.ok().flatten();
        self.clear(&mut connection).await?;
        self.mark(&mut connection).await.map_err(|why| self.told(why))?;
        self.fill(&mut connection).await.map_err(|why| self.told(why))?;
        self.check(&mut connection).await
    }

    fn error(&self, reason: String) -> TargetError {
        TargetError { name: self.name.clone(), reason }
    }

    fn told(&self, why: impl Into<Fault>) -> TargetError {
        let fault = why.into();
        self.error(format!("{}: {}: {fault}", self.store.site.address, fault.kind.name()))
    }

    /// What is to be said of a collection that could not be dropped.
    fn left_behind(&self, fault: &Fault) -> TargetError {
        let Collection { database, name } = &self.store.collection;
        self.error(format!(
            "{}: the collection `{name}` of the database `{database}`, and the `{name}{MARK}` beside it, could not be \
             dropped and are left behind: {}: {fault}; the next trial tries again, or drop both",
            self.store.site.address,
            fault.kind.name()
        ))
    }

    async fn connect(&self) -> Result<Blocked, TargetError> {
        let opened = self.store.site.open::<Blocking>().await;
        opened.map_err(|fault| self.error(format!("{}: {fault}", fault.kind.name())))
    }

    /// Makes room: what a killed trial left is dropped, what is somebody else's is refused.
    async fn clear(&self, connection: &mut Blocked) -> Result<(), TargetError> {
        let Collection { database, name } = &self.store.collection;
        let mark = self.store.mark();
        if connection.has_collection(&mark).await.map_err(|why| self.told(why))? {
            if let Some(holder) = self.holder(connection).await.map_err(|why| self.told(why))? {
                return Err(self.error(format!(
                    "another run uses the collection `{name}` of the database `{database}`: {holder}; wait for its end, \
                     name another one: `collection = \"…\"`, or drop it and `{name}{MARK}`"
                )));
            }
            return self.drop_both(connection).await.map_err(|why| self.left_behind(&why.into()));
        }
        if connection.has_collection(&self.store.collection).await.map_err(|why| self.told(why))? {
            return Err(self.error(format!(
                "the collection `{name}` of the database `{database}` exists, and Regatta has not made it; name \
                 another one: `collection = \"…\"`"
            )));
        }
        Ok(())
    }

    /// Which other trial has the collection, by its mark.
    async fn holder(&self, connection: &mut Blocked) -> Result<Option<String>, MongoError> {
        let mut holder = None;
        let every = FindCommand { filter: &rawdoc! {}, batch: 1, limit: Some(1), take: None };
        connection
            .find(&self.store.mark(), &every, |mark| {
                holder = mark::holder(mark);
                Ok(())
            })
            .await?;
        Ok(holder)
    }

    /// Marks the collection as ours before it is there, so that whoever is killed in between leaves
    /// no riddle. Of two that do so at once the server refuses one.
    async fn mark(&mut self, connection: &mut Blocked) -> Result<(), MongoError> {
        let mut mark = Documents::default();
        mark.push(&mark::document());
        connection.insert(&self.store.mark(), &mark).await?;
        self.ours = true;
        Ok(())
    }

    async fn fill(&self, connection: &mut Blocked) -> Result<(), MongoError> {
        let mut chunk = Documents::default();
        for first in (1..=self.documents).step_by(CHUNK as usize) {
            chunk.clear();
            let last = self.documents.min(first + CHUNK - 1);
            (first..=last).for_each(|id| chunk.push(&document(self.seed, id)));
            connection.insert(&self.store.collection, &chunk).await?;
        }
        Ok(())
    }

    async fn drop_both(&self, connection: &mut Blocked) -> Result<(), MongoError> {
        connection.drop_collection(&self.store.collection).await?;
        // Last, so that what is left by a fault in between is still known to be ours.
        connection.drop_collection(&self.store.mark()).await.map(|_| ())
    }

    /// Sees that the collection holds what it must.
    async fn check(&self, connection: &mut Blocked) -> Result<(), TargetError> {
        let found =
            connection.totals(&self.store.collection, PRICE).await.map_err(|why| self.told(why))?;
        let expected = (self.documents, sum_of_prices(self.documents, self.seed));
        if found == expected {
            return Ok(());
        }
        Err(self.error(format!(
            "filled wrongly: expected {expected:?} (documents, sum of prices), found {found:?}"
        )))
    }

    /// What must be there, beside what is there.
    fn proof(&self, documents: u64, sum: i64) -> Vec<ProofLine> {
        let wrote = self.store.sum();
        let least = self.documents + wrote.inserted;
        let what = format!("documents in target {} after all inserts", self.name);
        let what = match wrote.doubtful {
            0 => what,
            some => format!("{what}, {some} of which were cut short and may be there or not"),
        };
        let expected = documents.clamp(least, least + wrote.doubtful);
        let mut proof =
            vec![ProofLine { what, expected: expected.to_string(), found: documents.to_string() }];
        if !wrote.wrote {
            let expected = sum_of_prices(self.documents, self.seed).to_string();
            let what =
                format!("sum of prices in target {}, to which nothing was written", self.name);
            proof.push(ProofLine { what, expected, found: sum.to_string() });
        }
        proof
    }
}

impl Started for KeptCollection {
    fn endpoint(&self) -> targets::Endpoint {
        self.store.clone()
    }

    fn watched(&self) -> Option<Watched> {
        self.own.watched()
    }

    fn connections(&self) -> Option<Connections> {
        Some(self.store.connections.clone())
    }

    fn facts(&self) -> Vec<(String, String)> {
        let version = version_words(self.version.clone());
        let mut facts = own_server::known_by(&self.name, &self.store.site.address, version);
        facts.extend(self.own.facts(&self.name));
        facts
    }

    fn report(&mut self) -> Result<TargetReport, TargetError> {
        let (documents, sum) = block_on(async {
            let mut connection = self.connect().await?;
            connection.totals(&self.store.collection, PRICE).await.map_err(|why| self.told(why))
        })?;
        let mut counts = self.store.connections.counts();
        counts.insert("documents".into(), documents);
        counts.extend(u64::try_from(sum).ok().map(|sum| ("sum price".to_owned(), sum)));
        let proof = self.proof(documents, sum);
        Ok(TargetReport { name: self.name.clone(), counts, proof, ..TargetReport::default() })
    }

    fn remove(&mut self) -> Result<(), TargetError> {
        if !std::mem::take(&mut self.ours) {
            return Ok(());
        }
        let removed = block_on(Blocking::timeout(CONNECT_LIMIT, async {
            let mut connection = self.store.site.open::<Blocking>().await?;
            self.drop_both(&mut connection).await.map_err(Fault::from)
        }));
        let late = |_| Err(Fault::new(FaultKind::Timeout, "the server does not answer"));
        removed.unwrap_or_else(late).map_err(|fault| self.left_behind(&fault))
    }
}

impl Drop for KeptCollection {
    fn drop(&mut self) {
        // It is still there only after a panic; the next trial finds its mark and drops it.
        let _ = Started::remove(self);
    }
}
