//! A step's calls: the connection, the documents of one call, what must come of it, and faults.

use std::{
    marker::PhantomData,
    sync::{Arc, OnceLock},
};

use bson::RawDocument;
use crossbeam_utils::atomic::AtomicCell;
use hyper::rt::{Read, Write};

use super::{
    operation::{self, DocumentOperation},
    pattern::{FilledPattern, Shape},
};
use crate::{
    client::{
        Fault, FaultKind, Transport,
        mongo::{Collection, Documents, FindCommand, MongoConnection, MongoError, UpdateCommand},
    },
    draw,
    runtime::Native,
    step::{self, Call, Done, Failure, Opening, StepOutcome},
    targets::document::{Opened, Store, WriteAccount},
};

/// A connection of a step.
struct DocumentConnection<N: Native> {
    connection: MongoConnection<Transport<N::Conn>>,
    _counted: Opened,
}

/// Where the steps of one sequence find the connection that they share: they run one after another.
pub(super) struct DocumentConnectionSlot<N: Native>(AtomicCell<Option<Box<DocumentConnection<N>>>>);

impl<N: Native> Default for DocumentConnectionSlot<N> {
    fn default() -> Self {
        Self(AtomicCell::new(None))
    }
}

/// What the instances of a step share.
pub(super) struct DocumentWork {
    pub(super) words: String,
    pub(super) store: Arc<Store>,
    pub(super) keeps: bool,
    pub(super) allow_errors: bool,
    /// What asks for fewer connections.
    pub(super) at_once: &'static str,
    /// Documents that must come of each call, as soon as that is known; none if it never is.
    pub(super) expected: Option<Arc<OnceLock<u64>>>,
    pub(super) verb: &'static str,
    pub(super) writes: bool,
    pub(super) deed: Deed,
}

/// A command whose documents are filled in for each call.
pub(super) enum Deed {
    FindCommand { filter: FilledPattern, rest: operation::Find },
    Insert { documents: Vec<Shape>, copies: u64, seed: u64 },
    Update { filter: FilledPattern, change: FilledPattern, many: bool },
}

/// What a command came to.
#[derive(Default)]
struct Came {
    /// Documents returned, inserted or changed.
    documents: u64,
    done: Done,
}

impl DocumentWork {
    /// Whether the number of documents is to be learned in preparation.
    fn is_open(&self) -> bool {
        self.expected.as_ref().is_some_and(|expected| expected.get().is_none())
    }

    /// Compares what a command came to with what it must, or learns it.
    fn compare(&self, found: u64) -> Result<(), String> {
        let Some(expected) = &self.expected else { return Ok(()) };
        let expected = *expected.get_or_init(|| found);
        if expected == found {
            return Ok(());
        }
        Err(format!("{}: documents {}: expected {expected}, found {found}", self.words, self.verb))
    }

    /// Whether a fault is counted and does not fail the trial: a command that the server does not
    /// understand is a mistake in the scenario.
    fn allows(&self, fault: &Fault) -> bool {
        self.allow_errors && fault.kind != FaultKind::Statement
    }

    /// A fault with its name, where it happened, and the remedy.
    fn told(&self, fault: &Fault) -> String {
        let told =
            format!("{}: {}: {fault}{}", self.words, fault.kind.name(), fault.lower(self.at_once));
        match fault.kind {
            FaultKind::Statement => told,
            _ => format!("{told}; if that may happen: `allow = {{ errors = true }}`"),
        }
    }
}

impl Deed {
    pub(super) fn new(operation: &DocumentOperation, seed: u64) -> Self {
        match operation {
            DocumentOperation::Find(find) => Self::FindCommand {
                filter: FilledPattern::new(&find.filter, seed),
                rest: find.clone(),
            },
            DocumentOperation::Insert(operation::Insert { documents, copies }) => {
                Self::Insert { documents: documents.clone(), copies: *copies, seed }
            }
            DocumentOperation::Update(update) => Self::Update {
                filter: FilledPattern::new(&update.filter, seed),
                // Apart from the filter, or both would draw the same.
                change: FilledPattern::new(&update.change, draw::mix(seed, 1)),
                many: update.many,
            },
        }
    }

    /// The documents to insert in one call; none for other commands.
    fn fill(&self, call: &Call, room: &mut Documents) {
        room.clear();
        if let Self::Insert { documents, copies, seed } = self {
            let places = (0..*copies).flat_map(|_| documents).zip(1..);
            places.for_each(|(shape, place)| room.push(&shape.fill(call, draw::mix(*seed, place))));
        }
    }

    /// Does it on a connection.
    async fn run<S: Read + Write + Unpin>(
        &self,
        connection: &mut MongoConnection<S>,
        collection: &Collection,
        call: &Call,
        room: &Documents,
    ) -> Result<Came, MongoError> {
        match self {
            Self::FindCommand { filter, rest } => {
                let filter = filter.of(call);
                let find = FindCommand {
                    filter: &filter,
                    batch: rest.batch,
                    limit: rest.limit,
                    take: rest.take,
                };
                let found = connection.find(collection, &find, read_fields).await?;
                let done = Done {
                    received: found.bytes,
                    sent: filter.as_bytes().len() as u64,
                    ..Done::default()
                };
                Ok(Came { documents: found.documents, done })
            }
            Self::Insert { .. } => {
                let documents = connection.insert(collection, room).await?;
                Ok(Came { documents, done: Done { sent: room.bytes(), ..Done::default() } })
            }
            Self::Update { filter, change, many } => {
                let (filter, change) = (filter.of(call), change.of(call));
                let update = UpdateCommand { filter: &filter, change: &change, many: *many };
                let updated = connection.update(collection, &update).await?;
                let sent = (filter.as_bytes().len() + change.as_bytes().len()) as u64;
                Ok(Came { documents: updated.modified, done: Done { sent, ..Done::default() } })
            }
        }
    }
}

/// Reads every field of a document, as a program would.
fn read_fields(document: &RawDocument) -> Result<(), MongoError> {
    for field in document {
        std::hint::black_box(field?);
    }
    Ok(())
}

/// How many of so many documents the server has inserted; none if it is not known.
fn settled(came: &Result<Came, MongoError>, documents: u64) -> Option<u64> {
    match came {
        Ok(_) => Some(documents),
        Err(MongoError::Writes { done, .. }) => Some(*done.min(&documents)),
        // More than one message may have been sent, and one of the first may have been done.
        Err(_) => None,
    }
}

/// A step in one slot.
pub(super) struct DocumentCalls<N: Native> {
    work: Arc<DocumentWork>,
    slot: Arc<DocumentConnectionSlot<N>>,
    account: Arc<WriteAccount>,
    room: Documents,
    native: PhantomData<fn() -> N>,
}

/// Why a call did not do what it should.
enum DocumentTrouble {
    /// A fault of the server, or on the way to it.
    Fault(Fault),
    /// Other documents than expected.
    Wrong(String),
}

impl From<Fault> for DocumentTrouble {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl<N: Native> DocumentCalls<N> {
    /// Calls without a connection as yet.
    pub fn new(work: Arc<DocumentWork>, slot: Arc<DocumentConnectionSlot<N>>) -> Self {
        let account = work.store.account();
        Self { work, slot, account, room: Documents::default(), native: PhantomData }
    }

    /// The connection of this sequence, or a new one. A call should find the one that is kept.
    async fn take(&self, in_call: bool) -> Result<Box<DocumentConnection<N>>, Fault> {
        let kept = if self.work.keeps { self.slot.0.take() } else { None };
        if let Some(opened) = kept {
            return Ok(opened);
        }
        if in_call && self.work.keeps {
            self.work.store.reopen();
        }
        let connection = self.work.store.site.open::<N>().await?;
        Ok(Box::new(DocumentConnection { connection, _counted: self.work.store.open() }))
    }

    /// Keeps a connection that can be used again; closes another one.
    fn put_back(&self, opened: Box<DocumentConnection<N>>) {
        if self.work.keeps && opened.connection.is_usable() {
            self.slot.0.store(Some(opened));
        }
    }

    /// One call, whose documents were filled in.
    async fn once(&self, call: &Call, in_call: bool) -> Result<Done, DocumentTrouble> {
        let mut opened = self.take(in_call).await?;
        let documents = self.room.len() as u64;
        if self.work.writes {
            // If this future is dropped in the middle, the documents stay in doubt.
            self.account.begin(documents);
        }
        let DocumentWork { deed, store, .. } = &*self.work;
        let came = deed.run(&mut opened.connection, &store.collection, call, &self.room).await;
        if let Some(inserted) = settled(&came, documents).filter(|_| self.work.writes) {
            self.account.end(documents, inserted);
        }
        self.put_back(opened);
        let came = came.map_err(Fault::from)?;
        self.work.compare(came.documents).map_err(DocumentTrouble::Wrong)?;
        Ok(came.done)
    }

    fn outcome(&self, done: Result<Done, DocumentTrouble>) -> StepOutcome {
        match done {
            Ok(done) => Ok(done),
            Err(DocumentTrouble::Wrong(why)) => Err(Failure::Wrong(why)),
            Err(DocumentTrouble::Fault(fault)) if self.work.allows(&fault) => {
                self.work.store.count(&fault);
                Ok(Done { errors: 1, ..Done::default() })
            }
            Err(DocumentTrouble::Fault(fault)) => {
                Err(Failure::of_fault(&fault, self.work.told(&fault)))
            }
        }
    }
}

impl<N: Native> step::Operation for DocumentCalls<N> {
    /// Connects, and learns what is to be learned. In preparation no faults are allowed: nothing is
    /// measured yet.
    async fn open(&mut self, when: Opening) -> StepOutcome {
        let prepared = async {
            if self.work.is_open() {
                self.once(&Call::default(), false).await?;
            } else if self.work.keeps {
                let opened = self.take(false).await?;
                self.put_back(opened);
            }
            Ok(Done::default())
        };
        match prepared.await {
            // The call tries again, and counts it.
            Err(DocumentTrouble::Fault(fault))
                if when == Opening::FirstUse && self.work.allows(&fault) =>
            {
                Ok(Done::default())
            }
            Err(DocumentTrouble::Fault(fault)) => {
                Err(Failure::of_fault(&fault, self.work.told(&fault)))
            }
            Err(DocumentTrouble::Wrong(why)) => Err(Failure::Wrong(why)),
            Ok(done) => Ok(done),
        }
    }

    async fn call(&mut self, call: Call) -> StepOutcome {
        self.work.deed.fill(&call, &mut self.room);
        let done = self.once(&call, true).await;
        self.outcome(done)
    }
}
