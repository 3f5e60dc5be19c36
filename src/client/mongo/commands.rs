//! What is asked of a server: insert, find, update, add up, drop.

use bson::{
    RawDocument, RawDocumentBuf,
    raw::{RawBsonRef, cstr},
    rawdoc,
};
use hyper::rt::{Read, Write};

use super::{
    connection::{MongoConnection, MongoLimits},
    error::MongoError,
    message::{DocumentSequence, HEADER},
    reply,
};

/// Bytes of an `insert` besides its documents: header, flags, command and the names of both. Names
/// have at most 255 bytes (MongoDB's limit on namespaces).
const INSERT_ROOM: usize = HEADER + 1024;
/// There is no such collection: MongoDB's NamespaceNotFound.
const NO_SUCH_COLLECTION: i32 = 26;

/// A collection of documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collection {
    /// Its database.
    pub database: String,
    /// Its name in the database.
    pub name: String,
}

/// Documents to insert, one behind the other.
#[derive(Debug, Default)]
pub struct Documents {
    bytes: Vec<u8>,
    /// Where each ends.
    ends: Vec<usize>,
}

impl Documents {
    /// Adds one.
    pub fn push(&mut self, document: &RawDocument) {
        self.bytes.extend(document.as_bytes());
        self.ends.push(self.bytes.len());
    }

    /// Forgets all, and keeps the room.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Bytes of all.
    pub fn bytes(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// Where document number `at` begins.
    fn start(&self, at: usize) -> usize {
        at.checked_sub(1).map_or(0, |before| self.ends[before])
    }

    /// The number of the first document from `from` on that the server does not accept in the same
    /// message.
    fn portion(&self, from: usize, limits: &MongoLimits) -> Result<usize, MongoError> {
        let (start, room) = (self.start(from), limits.message.saturating_sub(INSERT_ROOM));
        let mut to = from;
        for at in from..self.len().min(from.saturating_add(limits.writes)) {
            let bytes = self.ends[at] - self.start(at);
            let most = limits.document.min(room);
            if bytes > most {
                return Err(MongoError::Oversized {
                    what: "document",
                    bytes: bytes as u64,
                    most: most as u64,
                });
            }
            if self.ends[at] - start > room {
                break;
            }
            to = at + 1;
        }
        Ok(to)
    }
}

/// What to look for, and how to read it.
#[derive(Debug, Clone, Copy)]
pub struct FindCommand<'a> {
    /// What documents must match.
    pub filter: &'a RawDocument,
    /// Documents of one batch.
    pub batch: u32,
    /// Most documents that the server gives.
    pub limit: Option<u32>,
    /// The client stops after so many and closes the cursor.
    pub take: Option<u64>,
}

/// What was read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FoundDocuments {
    /// Documents.
    pub documents: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Answers in which they came.
    pub batches: u64,
    /// Whether the cursor was closed before its end.
    pub killed: bool,
}

/// A change of documents.
#[derive(Debug, Clone, Copy)]
pub struct UpdateCommand<'a> {
    /// What documents must match.
    pub filter: &'a RawDocument,
    /// What becomes of them: `$set`, `$inc` and so on.
    pub change: &'a RawDocument,
    /// Whether all that match are changed, not only the first.
    pub many: bool,
}

/// What an update did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Updated {
    /// Documents that matched.
    pub matched: u64,
    /// Documents that are different now.
    pub modified: u64,
}

impl<S: Read + Write + Unpin> MongoConnection<S> {
    /// Inserts documents in their order, in as many messages as the server's limits demand; returns
    /// their number.
    pub async fn insert(
        &mut self,
        to: &Collection,
        documents: &Documents,
    ) -> Result<u64, MongoError> {
        let command =
            rawdoc! { "insert": to.name.as_str(), "ordered": true, "$db": to.database.as_str() };
        let (mut done, mut from) = (0, 0);
        while from < documents.len() {
            let end = documents.portion(from, &self.limits())?;
            let bytes = &documents.bytes[documents.start(from)..documents.start(end)];
            let sequence = DocumentSequence { name: "documents", documents: bytes };
            let answer = self.exchange("insert", &command, Some(sequence)).await?;
            done += reply::writes("insert", answer, (end - from) as u64)
                .map_err(|why| why.after(done, documents.len()))?
                .0;
            from = end;
        }
        Ok(done)
    }

    /// Reads what matches, batch by batch, and hands each document to `each`.
    ///
    /// A cursor that is still open when `take` documents were read is closed with `killCursors`.
    /// One of a connection that is closed in the middle is closed by the server.
    pub async fn find(
        &mut self,
        from: &Collection,
        find: &FindCommand<'_>,
        mut each: impl FnMut(&RawDocument) -> Result<(), MongoError>,
    ) -> Result<FoundDocuments, MongoError> {
        let mut found = FoundDocuments::default();
        let answer = self.exchange("find", &find.command(from), None).await?;
        let mut cursor = found.read(answer, "firstBatch", find, &mut each)?;
        while cursor != 0 && !find.has_enough(&found) {
            let more = rawdoc! {
                "getMore": cursor,
                "collection": from.name.as_str(),
                "batchSize": i64::from(find.batch),
                "$db": from.database.as_str(),
            };
            let answer = self.exchange("getMore", &more, None).await?;
            let before =
                std::mem::replace(&mut cursor, found.read(answer, "nextBatch", find, &mut each)?);
            if cursor != 0 && cursor != before {
                return Err(MongoError::Protocol(format!("cursor {cursor} instead of {before}")));
            }
        }
        if cursor != 0 {
            found.killed = true;
            self.kill(from, cursor).await?;
        }
        Ok(found)
    }

    /// Closes a cursor before its end.
    async fn kill(&mut self, of: &Collection, cursor: i64) -> Result<(), MongoError> {
        let kill = rawdoc! { "killCursors": of.name.as_str(), "cursors": [cursor], "$db": of.database.as_str() };
        let answer = self.exchange("killCursors", &kill, None).await?;
        match answer.get("cursorsKilled")?.and_then(RawBsonRef::as_array) {
            Some(killed) if killed.is_empty() => {
                Err(MongoError::protocol("an open cursor that could not be closed"))
            }
            _ => Ok(()),
        }
    }

    /// Changes what matches.
    pub async fn update(
        &mut self,
        of: &Collection,
        update: &UpdateCommand<'_>,
    ) -> Result<Updated, MongoError> {
        let command =
            rawdoc! { "update": of.name.as_str(), "ordered": true, "$db": of.database.as_str() };
        let mut one = RawDocumentBuf::new();
        one.append(cstr!("q"), update.filter);
        one.append(cstr!("u"), update.change);
        one.append(cstr!("multi"), update.many);
        one.append(cstr!("upsert"), false);
        let sequence = DocumentSequence { name: "updates", documents: one.as_bytes() };
        let answer = self.exchange("update", &command, Some(sequence)).await?;
        let (matched, modified) = reply::writes("update", answer, 1)?;
        Ok(Updated { matched, modified })
    }

    /// The number of all documents, and the sum of one of their fields, which is 0 where it is no
    /// number. The server adds up.
    pub async fn totals(&mut self, of: &Collection, field: &str) -> Result<(u64, i64), MongoError> {
        let group = rawdoc! {
            "_id": bson::RawBson::Null,
            "documents": { "$sum": 1 },
            "sum": { "$sum": format!("${field}") },
        };
        let command = rawdoc! {
            "aggregate": of.name.as_str(),
            "pipeline": [{ "$group": group }],
            "cursor": {},
            "$db": of.database.as_str(),
        };
        let answer = self.exchange("aggregate", &command, None).await?;
        let (_, groups) = reply::batch(answer, "firstBatch")?;
        let Some(only) = groups.get(0)?.and_then(RawBsonRef::as_document) else {
            return Ok((0, 0));
        };
        let get = |key| reply::whole(only, key).map(Option::unwrap_or_default);
        Ok((get("documents")?.max(0).cast_unsigned(), get("sum")?))
    }

    /// The server's version; none if it does not say.
    pub async fn version(&mut self) -> Result<Option<String>, MongoError> {
        let answer =
            self.exchange("buildInfo", &rawdoc! { "buildInfo": 1, "$db": "admin" }, None).await?;
        Ok(answer.get("version")?.and_then(RawBsonRef::as_str).map(ToOwned::to_owned))
    }

    /// Whether there is a collection of that name.
    pub async fn has_collection(&mut self, collection: &Collection) -> Result<bool, MongoError> {
        let command = rawdoc! {
            "listCollections": 1,
            "filter": { "name": collection.name.as_str() },
            "cursor": {},
            "nameOnly": true,
            "$db": collection.database.as_str(),
        };
        let answer = self.exchange("listCollections", &command, None).await?;
        let (_, found) = reply::batch(answer, "firstBatch")?;
        Ok(!found.is_empty())
    }

    /// Drops a collection; false if there is none.
    pub async fn drop_collection(&mut self, collection: &Collection) -> Result<bool, MongoError> {
        let command =
            rawdoc! { "drop": collection.name.as_str(), "$db": collection.database.as_str() };
        match self.exchange("drop", &command, None).await {
            Ok(_) => Ok(true),
            Err(MongoError::Command { code: NO_SUCH_COLLECTION, .. }) => Ok(false),
            Err(why) => Err(why),
        }
    }
}

impl FindCommand<'_> {
    fn command(&self, from: &Collection) -> RawDocumentBuf {
        let mut command = rawdoc! { "find": from.name.as_str() };
        command.append(cstr!("filter"), self.filter);
        if let Some(limit) = self.limit {
            command.append(cstr!("limit"), i64::from(limit));
        }
        command.append(cstr!("batchSize"), i64::from(self.batch));
        command.append(cstr!("$db"), from.database.as_str());
        command
    }

    /// Whether the client stops here.
    fn has_enough(&self, found: &FoundDocuments) -> bool {
        self.take.is_some_and(|take| found.documents >= take)
    }
}

impl FoundDocuments {
    /// Reads a batch; returns the cursor's id, 0 once it has ended.
    fn read(
        &mut self,
        answer: &RawDocument,
        key: &str,
        find: &FindCommand<'_>,
        each: &mut impl FnMut(&RawDocument) -> Result<(), MongoError>,
    ) -> Result<i64, MongoError> {
        let (cursor, documents) = reply::batch(answer, key)?;
        self.batches += 1;
        for document in documents {
            if find.has_enough(self) {
                break;
            }
            let document = document?
                .as_document()
                .ok_or_else(|| MongoError::protocol("a cursor of other things than documents"))?;
            each(document)?;
            self.documents += 1;
            self.bytes += document.as_bytes().len() as u64;
        }
        Ok(cursor)
    }
}

impl MongoError {
    /// The same, when so many writes of `all` had been done before.
    fn after(self, before: u64, all: usize) -> Self {
        match self {
            Self::Writes { command, code, message, done, .. } => {
                Self::Writes { command, code, message, done: before + done, of: all as u64 }
            }
            other => other,
        }
    }
}
