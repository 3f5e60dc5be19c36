//! The client against bytes that pymongo made, and against a peer with a script.
//!
//! The messages were made by pymongo 3.13.0's own encoder (`pymongo.message._op_msg_no_header`
//! behind a header of four numbers), from the commands that stand beside them in each test.
//! [`CHECKED`] is an answer of pymongo's `bson` with a CRC-32C that was computed bit by bit.

use bson::{RawDocumentBuf, raw::RawBsonRef, rawdoc};
use futures_lite::future::block_on;
use proptest::prelude::*;

use super::*;
use crate::{client::testing::Scripted, secret::Secret};

/// `insert`, `ordered: true`, with `documents = [{_id: 1, name: "item 1", price: 2.5, tags: ["a",
/// True, None]}, {_id: 2, deep: {x: -7}}]` as a section of kind 1.
const INSERT: &str = "c90000000200000000000000dd07000000000000003000000002696e7365727400060000006974656d7300086f726465\
    7265640001022464620006\
    00000062656e636800000183000000646f63756d656e7473004d000000125f6964000100000000000000026e616d65000700000069\
    74656d20310001707269636500000000000000044004746167730015000000023000020000006100083100010a3200000028000000125f69\
    6400020000000000000003646565700010000000127800f9ffffffffffffff0000";
/// `find`, `filter: {category: 7}`, `limit: 250`, `batchSize: 100`.
const FIND: &str = "7a0000000200000000000000dd0700000000000000650000000266696e6400060000006974656d73000366696c74657200\
    17000000126361\
    7465676f727900070000000000000000126c696d697400fa0000000000000012626174636853697a65006400000000000000022464620006\
    00000062656e63680000";
/// `getMore` of the cursor, `batchSize: 100`.
const MORE: &str = "630000000300000000000000dd07000000000000004e000000126765744d6f726500efcdab896745230102636f6c6c6563\
    74696f6e000600\
    00006974656d730012626174636853697a6500640000000000000002246462000600000062656e63680000";
/// `killCursors` of the cursor.
const KILL: &str = "590000000400000000000000dd070000000000000044000000026b696c6c437572736f727300060000006974656d730004\
    637572736f7273\
    0010000000123000efcdab89674523010002246462000600000062656e63680000";
/// `update` of `{_id: 3}` by `{$inc: {price: 1}}`, `multi`, as a section of kind 1.
const UPDATE: &str = "9f0000000200000000000000dd0700000000000000300000000275706461746500060000006974656d7300086f726465\
    7265640001022464\
    62000600000062656e63680000015900000075706461746573004d00000003710012000000125f6964000300000000000000000375001f00\
    00000324696e6300140000001270726963650001000000000000000000086d756c7469000108757073657274000000";
/// `drop`.
const DROP: &str = "390000000200000000000000dd0700000000000000240000000264726f7000060000006974656d73000224646200060000\
    0062656e636800\
    00";
/// An answer `{n: 2, ok: 1.0}` to request 2, with a checksum.
const CHECKED: &str = "310000000900000002000000dd070000010000000018000000106e0002000000016f6b00000000000000f03f000c6bb951";
const CURSOR: i64 = 0x0123_4567_89ab_cdef;

/// The bytes of hexadecimal text.
fn bytes(hex: &str) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).unwrap() as u8;
    hex.as_bytes().chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

/// An answer to request `id`.
pub(super) fn answer(id: i32, document: &RawDocumentBuf) -> Vec<u8> {
    let mut out = Vec::new();
    message::write(&mut out, 0, document, None);
    out[8..12].copy_from_slice(&id.to_le_bytes());
    out
}

fn greeting() -> RawDocumentBuf {
    rawdoc! { "ok": 1, "maxWireVersion": 21 }
}

/// A connection to a server that says these documents, one after the other, behind its greeting.
fn connected(answers: impl IntoIterator<Item = RawDocumentBuf>) -> MongoConnection<Scripted> {
    connected_to(greeting(), answers)
}

fn connected_to(
    greeting: RawDocumentBuf,
    answers: impl IntoIterator<Item = RawDocumentBuf>,
) -> MongoConnection<Scripted> {
    let says =
        [greeting].into_iter().chain(answers).zip(1..).map(|(document, id)| answer(id, &document));
    block_on(MongoConnection::open(Scripted::new(says))).unwrap()
}

fn items() -> Collection {
    Collection { database: "bench".into(), name: "items".into() }
}

fn two_documents() -> Documents {
    let mut documents = Documents::default();
    let tags = bson::rawbson!(["a", true, null]);
    documents.push(&rawdoc! { "_id": 1_i64, "name": "item 1", "price": 2.5, "tags": tags });
    documents.push(&rawdoc! { "_id": 2_i64, "deep": { "x": -7_i64 } });
    documents
}

fn batch(key: &str, id: i64, numbers: std::ops::Range<i32>) -> RawDocumentBuf {
    let mut documents = bson::raw::RawArrayBuf::new();
    numbers.for_each(|number| documents.push(rawdoc! { "x": number }));
    let mut cursor = RawDocumentBuf::new();
    cursor.append(bson::raw::cstr!("id"), id);
    cursor.append(<&bson::raw::CStr>::try_from(key).unwrap(), documents);
    rawdoc! { "cursor": cursor, "ok": 1 }
}

/// The messages after the greeting that a connection sent.
fn sent(connection: MongoConnection<Scripted>) -> Vec<Vec<u8>> {
    connection.into_stream().writes.split_off(1)
}

#[test]
fn an_insert_is_pymongos_and_its_answer_may_have_a_checksum() {
    let says = [answer(1, &greeting()), bytes(CHECKED)];
    let mut connection = block_on(MongoConnection::open(Scripted::new(says))).unwrap();
    assert_eq!(block_on(connection.insert(&items(), &two_documents())).unwrap(), 2);
    assert_eq!(sent(connection), [bytes(INSERT)]);
}

#[test]
fn a_checksum_that_is_wrong_is_seen() {
    let mut wrong = bytes(CHECKED);
    wrong[30] ^= 1;
    let mut connection =
        block_on(MongoConnection::open(Scripted::new([answer(1, &greeting()), wrong]))).unwrap();
    let why = block_on(connection.insert(&items(), &two_documents())).unwrap_err().to_string();
    assert!(why.contains("checksum") && !connection.is_usable(), "{why}");
}

#[test]
fn a_cursor_is_read_batch_by_batch_and_closed_early_as_pymongo_does() {
    let killed = rawdoc! { "cursorsKilled": [CURSOR], "ok": 1 };
    let mut connection = connected([
        batch("firstBatch", CURSOR, 0..100),
        batch("nextBatch", CURSOR, 100..200),
        killed,
    ]);
    let find = FindCommand {
        filter: &rawdoc! { "category": 7_i64 },
        batch: 100,
        limit: Some(250),
        take: Some(150),
    };
    let mut numbers = Vec::new();
    let each = |document: &bson::RawDocument| {
        numbers.push(document.get("x")?.and_then(RawBsonRef::as_i32).unwrap());
        Ok(())
    };
    let found = block_on(connection.find(&items(), &find, each)).unwrap();
    let one = rawdoc! { "x": 1 }.as_bytes().len() as u64;
    assert_eq!(
        found,
        FoundDocuments { documents: 150, bytes: 150 * one, batches: 2, killed: true }
    );
    assert_eq!(numbers, (0..150).collect::<Vec<_>>());
    assert_eq!(sent(connection), [bytes(FIND), bytes(MORE), bytes(KILL)]);
}

#[test]
fn a_cursor_that_ends_is_not_closed_again() {
    let mut connection = connected([
        batch("firstBatch", 5, 0..3),
        batch("nextBatch", 5, 3..3),
        batch("nextBatch", 0, 3..4),
    ]);
    let find = FindCommand { filter: &rawdoc! {}, batch: 3, limit: None, take: None };
    let found = block_on(connection.find(&items(), &find, |_| Ok(()))).unwrap();
    assert_eq!((found.documents, found.batches, found.killed), (4, 3, false));
    assert_eq!(sent(connection).len(), 3);
}

#[test]
fn a_cursor_must_stay_the_same() {
    let mut connection = connected([batch("firstBatch", 5, 0..3), batch("nextBatch", 6, 3..4)]);
    let find = FindCommand { filter: &rawdoc! {}, batch: 3, limit: None, take: None };
    let why = block_on(connection.find(&items(), &find, |_| Ok(()))).unwrap_err().to_string();
    assert!(why.contains("cursor 6 instead of 5"), "{why}");
}

#[test]
fn an_update_is_pymongos() {
    let mut connection = connected([rawdoc! { "n": 3, "nModified": 2, "ok": 1.0 }]);
    let update = UpdateCommand {
        filter: &rawdoc! { "_id": 3_i64 },
        change: &rawdoc! { "$inc": { "price": 1_i64 } },
        many: true,
    };
    let updated = block_on(connection.update(&items(), &update)).unwrap();
    assert_eq!(updated, Updated { matched: 3, modified: 2 });
    assert_eq!(sent(connection), [bytes(UPDATE)]);
}

#[test]
fn a_drop_is_pymongos_and_may_find_nothing() {
    let gone = rawdoc! { "ok": 0, "code": 26, "errmsg": "ns not found" };
    let mut connection = connected([rawdoc! { "ok": 1 }, gone]);
    assert!(block_on(connection.drop_collection(&items())).unwrap());
    assert!(!block_on(connection.drop_collection(&items())).unwrap());
    assert_eq!(sent(connection)[0], bytes(DROP));
}

#[test]
fn the_server_adds_up() {
    let group = rawdoc! { "_id": bson::RawBson::Null, "documents": 3, "sum": 12_i64 };
    let groups =
        |first: bson::RawBson| rawdoc! { "cursor": { "id": 0_i64, "firstBatch": first }, "ok": 1 };
    let mut connection = connected([groups(bson::rawbson!([group])), groups(bson::rawbson!([]))]);
    assert_eq!(block_on(connection.totals(&items(), "price")).unwrap(), (3, 12));
    assert_eq!(block_on(connection.totals(&items(), "price")).unwrap(), (0, 0));
}

#[test]
fn more_documents_than_a_message_holds_are_sent_in_several() {
    let greeting = rawdoc! { "ok": 1, "maxWireVersion": 21, "maxWriteBatchSize": 3, "maxMessageSizeBytes": 1500 };
    let mut documents = Documents::default();
    for bytes in [1, 1, 1, 200, 200, 200, 1] {
        documents.push(&rawdoc! { "x": "y".repeat(bytes) });
    }
    let done = |n| rawdoc! { "n": n, "ok": 1 };
    // At most three, and 460 bytes: the small ones, two large ones, a large one and the last.
    let mut connection = connected_to(greeting, [3, 2, 2].map(done));
    assert_eq!(block_on(connection.insert(&items(), &documents)).unwrap(), 7);
    let lengths: Vec<usize> = sent(connection).iter().map(Vec::len).collect();
    let small = rawdoc! { "x": "y" }.as_bytes().len();
    let without = lengths[0] - 3 * small;
    assert_eq!(
        lengths,
        [3 * small, 2 * (small + 199), 2 * small + 199].map(|documents| without + documents)
    );
    assert!(lengths[1] <= 1500);
}

proptest! {
    /// A server's answer may be broken in any way: it is an error, or a lucky change.
    #[test]
    fn no_answer_is_too_broken_to_be_understood_or_refused(
        changes in prop::collection::vec((0_usize..1000, any::<u8>()), 0..8),
        cut in 0_usize..200,
    ) {
        let whole = answer(2, &batch("firstBatch", 0, 0..3));
        let mut broken = whole.clone();
        for (place, byte) in changes {
            let place = place % broken.len();
            broken[place] = byte;
        }
        broken.truncate(whole.len().saturating_sub(cut / 4).max(1));
        let is_whole = broken == whole;
        let says = [answer(1, &greeting()), broken];
        let mut connection = block_on(MongoConnection::open(Scripted::new(says))).unwrap();
        let find = FindCommand { filter: &rawdoc! {}, batch: 3, limit: None, take: None };
        let each = |document: &bson::RawDocument| document.iter().try_for_each(|field| field.map(drop)).map_err(MongoError::from);
        let found = block_on(connection.find(&items(), &find, each));
        prop_assert!(!is_whole || found.is_ok_and(|found| found.documents == 3));
    }
}

#[test]
fn a_failed_write_counts_with_those_before_it() {
    let greeting = rawdoc! { "ok": 1, "maxWireVersion": 21, "maxWriteBatchSize": 1 };
    let duplicate = rawdoc! { "n": 0, "ok": 1, "writeErrors": [{ "index": 0, "code": 11000, "errmsg": "duplicate" }] };
    let mut connection = connected_to(greeting, [rawdoc! { "n": 1, "ok": 1 }, duplicate]);
    let why = block_on(connection.insert(&items(), &two_documents())).unwrap_err();
    assert!(matches!(why, MongoError::Writes { code: 11_000, done: 1, of: 2, .. }), "{why}");
    assert!(connection.is_usable());
}

#[test]
fn a_document_that_is_too_large_is_not_sent() {
    let greeting = rawdoc! { "ok": 1, "maxWireVersion": 21, "maxBsonObjectSize": 60 };
    let mut connection = connected_to(greeting, [rawdoc! { "ok": 1 }]);
    let why = block_on(connection.insert(&items(), &two_documents())).unwrap_err();
    assert!(
        matches!(why, MongoError::Oversized { what: "document", bytes: 77, most: 60 }),
        "{why}"
    );
    assert!(connection.is_usable() && sent(connection).is_empty());
}

#[test]
fn a_server_that_cannot_prove_itself_is_not_logged_in_to() {
    // The nonce is random, so a script cannot know it: it can only be wrong.
    let payload = bson::Binary {
        subtype: bson::spec::BinarySubtype::Generic,
        bytes: b"r=abc,s=c2FsdA==,i=15000".to_vec(),
    };
    let challenge = rawdoc! { "conversationId": 1, "done": false, "payload": payload, "ok": 1 };
    let says =
        [greeting(), challenge].into_iter().zip(1..).map(|(document, id)| answer(id, &document));
    let login = Login::new("me", Secret::new("pencil"), "admin");
    let why = block_on(login::open(Scripted::new(says), Some(&login))).unwrap_err();
    assert!(matches!(&why, MongoError::Login(words) if words.contains("nonce")), "{why}");
    assert!(!format!("{login:?}").contains("pencil"));
}
