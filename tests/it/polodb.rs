//! The longer check of the MongoDB client: against PoloDB, a server that is not ours and that
//! stores what it is told.
//!
//! CONTRIBUTING.md says how to make it. PoloDB 5.3.0 knows MongoDB's commands, but not all of its
//! messages: an answer has no word of flags, one to `find` does not say which request it answers,
//! and the changes of an `update` are looked for in the command only, not in a section of their
//! own. The client refuses such answers, as the protocol demands, which is tested here as well; so
//! a [`Mender`] stands between the two, writes an `update` the other way, and puts the frame of
//! each answer right. The client's streams are the product's own, under each executor.

use std::{
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use bson::{
    RawDocument, RawDocumentBuf,
    raw::{RawBsonRef, cstr},
    rawbson, rawdoc,
};
use regatta::{
    client::{
        Address, Fault,
        mongo::{
            Collection, Documents, FindCommand, FoundDocuments, MongoConnection, MongoSite,
            UpdateCommand, Updated,
        },
    },
    runtime::{self, EXECUTORS, Runtime, Setup, Visitor},
};

/// Where `polodb serve` listens, such as `mongodb://127.0.0.1:27018`.
const VARIABLE: &str = "REGATTA_TEST_POLODB_URL";
/// Bytes of a message's header, and of its flags.
const HEADER: usize = 16;
const FLAGS: usize = 4;
/// Documents that are inserted.
const DOCUMENTS: u64 = 1000;
/// PoloDB's own size of a batch: it heeds only `batchSize` of 32 bits, and the client sends 64,
/// which MongoDB takes, too.
const BATCH: u64 = 101;

/// What every call of the client gave, in the order of the calls.
#[derive(Debug, PartialEq, Eq)]
struct Account {
    inserted: u64,
    /// The number of documents, as the server adds up.
    totals: u64,
    all: FoundDocuments,
    /// The sum of a field over what a cursor gave.
    sum: i64,
    some: FoundDocuments,
    left: FoundDocuments,
    updated: Updated,
    /// The number and the sum after the update.
    afterwards: (u64, i64),
}

/// A listener that passes requests on, an `update` in one section, and answers with their frames
/// put right.
struct Mender {
    url: String,
    /// The first name of each command: which it is.
    asked: Arc<Mutex<Vec<String>>>,
}

impl Mender {
    fn before(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("mongodb://{}/bench", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let heard = asked.clone();
        thread::spawn(move || {
            for client in listener.incoming() {
                // It ends when the client goes.
                let _ = pass_on(
                    &mut client.unwrap(),
                    &mut TcpStream::connect(&server).unwrap(),
                    &heard,
                );
            }
        });
        Self { url, asked }
    }
}

fn pass_on(
    client: &mut TcpStream,
    server: &mut TcpStream,
    asked: &Mutex<Vec<String>>,
) -> io::Result<()> {
    loop {
        let request = message(client)?;
        let command = document(&request[HEADER + FLAGS + 1..]);
        let name = command.iter().next().unwrap().unwrap().0.as_str().to_owned();
        server.write_all(&if name == "update" {
            in_one_section(&request, command)
        } else {
            request.clone()
        })?;
        asked.lock().unwrap().push(name);
        let mut answer = message(server)?;
        // PoloDB sends a zero, the document's length and the document: no flags and no kind of
        // section.
        assert_eq!(answer[HEADER], 0);
        assert_eq!(
            answer[HEADER + 1..HEADER + 5],
            answer[HEADER + 5..HEADER + 9],
            "another frame than was to be mended"
        );
        answer[HEADER..HEADER + FLAGS].fill(0);
        answer[8..12].copy_from_slice(&request[4..8]);
        client.write_all(&answer)?;
    }
}

/// The document with which these bytes begin.
fn document(bytes: &[u8]) -> &RawDocument {
    let length = u32::from_le_bytes(bytes[..4].try_into().unwrap());
    RawDocument::from_bytes(&bytes[..length as usize]).unwrap()
}

/// The same `update`, its one change within the command: MongoDB takes either.
fn in_one_section(request: &[u8], command: &RawDocument) -> Vec<u8> {
    const NAME: &[u8] = b"updates\0";
    let second = &request[HEADER + FLAGS + 1 + command.as_bytes().len()..];
    assert!(second[0] == 1 && second[5..].starts_with(NAME));
    let mut whole = command.to_owned();
    whole.append(cstr!("updates"), rawbson!([document(&second[5 + NAME.len()..]).to_owned()]));
    let mut message = request[..=HEADER + FLAGS].to_vec();
    message.extend(whole.as_bytes());
    let length = message.len() as u32;
    message[..4].copy_from_slice(&length.to_le_bytes());
    message
}

fn message(from: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut message = vec![0; HEADER];
    from.read_exact(&mut message)?;
    let length = u32::from_le_bytes(message[..4].try_into().unwrap());
    message.resize(length as usize, 0);
    from.read_exact(&mut message[HEADER..])?;
    Ok(message)
}

/// Does everything once with an executor's streams.
struct Check<'a> {
    url: &'a str,
    collection: Collection,
}

impl Visitor for Check<'_> {
    type Output = Result<Account, Fault>;

    fn visit<R: Runtime>(self) -> Self::Output {
        let runtime = R::start(&Setup { workers: 1, pool_size: 2, stack_size: None }).unwrap();
        let site = MongoSite::new(Address::parse(self.url).unwrap()).unwrap();
        let collection = self.collection;
        let whole = async move {
            let mut connection = site.open::<R::Native>().await?;
            Ok(account(&mut connection, &collection).await?)
        };
        let account = runtime.block_on(runtime.spawn(whole).unwrap());
        runtime.stop();
        account
    }
}

async fn account<S>(
    to: &mut MongoConnection<S>,
    items: &Collection,
) -> Result<Account, regatta::client::mongo::MongoError>
where
    S: hyper::rt::Read + hyper::rt::Write + Unpin,
{
    let mut documents = Documents::default();
    for id in 0..DOCUMENTS.cast_signed() {
        documents.push(&rawdoc! { "_id": id, "category": id % 10, "price": id % 7, "name": format!("item {id}") });
    }
    let inserted = to.insert(items, &documents).await?;
    // The number only: PoloDB's `$sum` counts documents, whatever it is to add up.
    let (totals, _) = to.totals(items, "price").await?;
    let (all, sum) = prices(to, items, &rawdoc! {}, None).await?;
    let (some, _) = prices(to, items, &rawdoc! { "category": 7_i64 }, None).await?;
    let (left, _) = prices(to, items, &rawdoc! {}, Some(BATCH + 50)).await?;
    let change = rawdoc! { "$inc": { "price": 1000_i64 } };
    let update =
        UpdateCommand { filter: &rawdoc! { "category": 7_i64 }, change: &change, many: true };
    let updated = to.update(items, &update).await?;
    let (again, sum_again) = prices(to, items, &rawdoc! {}, None).await?;
    let afterwards = (again.documents, sum_again);
    Ok(Account { inserted, totals, all, sum, some, left, updated, afterwards })
}

/// Reads what matches, and adds up their prices.
async fn prices<S>(
    from: &mut MongoConnection<S>,
    items: &Collection,
    filter: &RawDocumentBuf,
    take: Option<u64>,
) -> Result<(FoundDocuments, i64), regatta::client::mongo::MongoError>
where
    S: hyper::rt::Read + hyper::rt::Write + Unpin,
{
    let mut sum = 0;
    let each = |document: &RawDocument| {
        sum += document.get("price")?.and_then(RawBsonRef::as_i64).unwrap_or_default();
        Ok(())
    };
    let found =
        from.find(items, &FindCommand { filter, batch: 7, limit: None, take }, each).await?;
    Ok((found, sum))
}

fn items(of: &str) -> Collection {
    // PoloDB cannot drop a collection, so that each run of the test has its own.
    let name = format!("items_{of}_{}", std::process::id()).replace('-', "_");
    Collection { database: "bench".into(), name }
}

/// Where PoloDB listens.
fn server() -> String {
    let url = std::env::var(VARIABLE)
        .unwrap_or_else(|_| panic!("no PoloDB at {VARIABLE}: see CONTRIBUTING.md"));
    url.trim_start_matches("mongodb://").trim_end_matches('/').to_owned()
}

#[test]
#[ignore = "a longer check: it needs `polodb serve`, which takes a quarter of an hour to build; see CONTRIBUTING.md"]
fn what_is_told_is_stored_and_found_under_every_executor() {
    let mender = Mender::before(server());
    for executor in EXECUTORS {
        mender.asked.lock().unwrap().clear();
        let check = Check { url: &mender.url, collection: items(executor.name) };
        let account = runtime::dispatch(executor.name, check).unwrap().unwrap();
        let price: i64 = (0..DOCUMENTS.cast_signed()).map(|id| id % 7).sum();
        let raised = price + 1000 * 100;
        let bytes = account.all.bytes;
        let found = |documents: u64, killed| FoundDocuments {
            documents,
            bytes: 0,
            batches: documents / BATCH + 1,
            killed,
        };
        let without_bytes = |found: FoundDocuments| FoundDocuments { bytes: 0, ..found };
        assert_eq!(account.inserted, DOCUMENTS);
        assert_eq!((account.totals, account.sum), (DOCUMENTS, price), "{}", executor.name);
        assert_eq!(without_bytes(account.all), found(DOCUMENTS, false));
        assert!(bytes > DOCUMENTS * 50, "{bytes}");
        assert_eq!(account.some.documents, 100);
        assert_eq!(without_bytes(account.left), found(BATCH + 50, true));
        // PoloDB counts what it changed, and never what matched.
        assert_eq!(account.updated, Updated { matched: 0, modified: 100 });
        assert_eq!(account.afterwards, (DOCUMENTS, raised));
        let asked = mender.asked.lock().unwrap();
        let times = |command: &str| asked.iter().filter(|name| *name == command).count();
        let names = ["hello", "insert", "find", "getMore", "killCursors", "update", "aggregate"];
        assert_eq!(names.map(times), [1, 1, 4, 20, 1, 1, 1], "{}: {asked:?}", executor.name);
    }
}

#[test]
#[ignore = "a longer check: it needs `polodb serve`; see CONTRIBUTING.md"]
fn an_answer_in_another_frame_is_refused() {
    for executor in EXECUTORS {
        let url = format!("mongodb://{}/bench", server());
        let check = Check { url: &url, collection: items("unmended") };
        let why = runtime::dispatch(executor.name, check).unwrap().unwrap_err();
        assert!(why.message.contains("unknown flags") && why.kind.name() == "protocol", "{why}");
    }
}
