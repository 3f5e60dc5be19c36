//! What a scenario asks of a collection: `find`, `insert` or `update`.

use serde::{Deserialize, Serialize};

use super::pattern::Shape;
use crate::config::{Fields, Section};

/// Documents of one batch, unless the scenario says otherwise: as MongoDB's servers do by
/// themselves.
const USUAL_BATCH: u32 = 101;
/// Most documents of one `insert` step.
const MOST_DOCUMENTS: u64 = 1_000_000;

/// One of the three.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum DocumentOperation {
    /// Reads what matches.
    Find(Find),
    /// Adds documents.
    Insert(Insert),
    /// Changes what matches.
    Update(Update),
}

/// `find`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Find {
    pub filter: Shape,
    pub batch: u32,
    pub limit: Option<u32>,
    pub take: Option<u64>,
}

/// `insert`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Insert {
    pub documents: Vec<Shape>,
    pub copies: u64,
}

/// `update`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Update {
    pub filter: Shape,
    pub change: Shape,
    pub many: bool,
}

impl DocumentOperation {
    /// Whether it changes what is in the collection.
    pub fn writes(&self) -> bool {
        !matches!(self, Self::Find(_))
    }

    /// What it does to documents.
    pub fn verb(&self) -> &'static str {
        match self {
            Self::Find(_) => "returned",
            Self::Insert(_) => "inserted",
            Self::Update(_) => "changed",
        }
    }

    /// Its key in the scenario.
    pub fn key(&self) -> &'static str {
        match self {
            Self::Find(_) => "find",
            Self::Insert(_) => "insert",
            Self::Update(_) => "update",
        }
    }
}

impl Insert {
    /// Documents that each call inserts.
    pub fn count(&self) -> u64 {
        (self.documents.len() as u64).saturating_mul(self.copies)
    }
}

/// Zero of something of which there must be one.
fn refuse_none(fields: &mut Fields<'_>, key: &'static str, is_none: bool) {
    if is_none {
        fields.reject(key, "expected at least 1", None);
    }
}

impl Section for Find {
    const DOC: &'static str = "Reads all documents that match, batch by batch.";

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let filter = fields.required(
            "filter",
            "What documents must match, such as `{ category = 7 }`; `{}` is all.",
        );
        let batch = fields.or(
            "batch",
            USUAL_BATCH,
            "Documents of one batch: the first answer, and each `getMore`.",
        );
        let limit = fields.optional("limit", "Most documents that the server gives.");
        let take = fields.optional(
            "take",
            "The client stops after so many documents; a cursor that is still open then is closed with `killCursors`.",
        );
        refuse_none(fields, "batch", batch == 0);
        refuse_none(fields, "limit", limit == Some(0));
        refuse_none(fields, "take", take == Some(0));
        Some(Self { filter: filter?, batch, limit, take })
    }
}

impl Section for Insert {
    const DOC: &'static str = "Inserts documents in their order.";

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let documents: Option<Vec<Shape>> = fields.required(
            "documents",
            "The documents, such as `[{ task = \"${i}\", value = \"${uniform(1,9)}\" }]`. Without `_id` the server gives one.",
        );
        let copies = fields.or(
            "copies",
            1,
            "How often the documents are inserted by one call, each with draws of its own.",
        );
        refuse_none(fields, "copies", copies == 0);
        let insert = Self { documents: documents?, copies };
        if insert.documents.is_empty() {
            fields.reject("documents", "an insert needs at least one document", None);
        }
        if insert.count() > MOST_DOCUMENTS {
            fields.reject(
                "copies",
                format!("at most {MOST_DOCUMENTS} documents in one call"),
                None,
            );
        }
        Some(insert)
    }
}

impl Section for Update {
    const DOC: &'static str = "Changes documents in place.";

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let filter = fields.required(
            "filter",
            "What documents must match, such as `{ _id = \"${uniform(1,1000)}\" }`.",
        );
        let change = fields.required(
            "change",
            "What becomes of them, such as `{ \"$inc\" = { price = 1 } }` or `{ \"$set\" = { … } }`.",
        );
        let many =
            fields.or("many", false, "Whether all that match are changed, not only the first.");
        Some(Self { filter: filter?, change: change?, many })
    }
}
