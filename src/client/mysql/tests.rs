//! The client against peers that speak from scripts: byte vectors, both logins, and bytes that make
//! no sense.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures_lite::future::block_on;
use mysql_common::{io::ParseBuf, packets::HandshakeResponse};
use proptest::prelude::*;

use super::*;
use crate::client::{FaultKind, testing::Scripted};

/// What MariaDB 10.11 said first, to nobody in particular.
const GREETING: &[u8] =
    b"\n5.5.5-10.11.19-MariaDB-0+deb12u1\0\x04\0\0\0u$QMlYW-\0\xfe\xf7\x08\x02\0\xff\x81\x15\
    \0\0\0\0\0\0\x1d\0\0\0t%Wh(+?:E.T=\0mysql_native_password\0";
/// The twenty random bytes in it.
const NONCE: &[u8; 20] = b"u$QMlYW-t%Wh(+?:E.T=";
const OK: &[u8] = b"\0\0\0\x02\0\0\0";
const WHO: Credentials<'_> = Credentials { user: "regatta", password: "secret", database: None };

/// A greeting of MySQL 8, with TLS and caching_sha2_password.
fn greeting_of_mysql() -> Vec<u8> {
    [
        &b"\x0a8.0.36\0\x0a\0\0\0"[..],
        &NONCE[..8],
        b"\0\xff\xff\xff\x02\0\xff\xdf\x15\0\0\0\0\0\0\0\0\0\0",
        &NONCE[8..],
        b"\0caching_sha2_password\0",
    ]
    .concat()
}

/// The greeting of a server without CLIENT_DEPRECATE_EOF (bit 24).
fn greeting_with_eof() -> Vec<u8> {
    let mut greeting = GREETING.to_vec();
    let upper = 1 + 33 + 4 + 8 + 1 + 2 + 1 + 2;
    assert_eq!(greeting[upper..upper + 2], [0xff, 0x81]);
    greeting[upper + 1] = 0x80;
    greeting
}

fn packet(number: u8, payload: &[u8]) -> Vec<u8> {
    let [low, middle, high, _] = (payload.len() as u32).to_le_bytes();
    [&[low, middle, high, number][..], payload].concat()
}

/// An answer of several packets in one piece.
fn answer(payloads: &[&[u8]]) -> Vec<u8> {
    payloads.iter().enumerate().flat_map(|(at, payload)| packet(at as u8 + 1, payload)).collect()
}

async fn log_in(
    says: Vec<Vec<u8>>,
    who: &Credentials<'_>,
) -> Result<MysqlClient<Scripted>, MysqlError> {
    MysqlOpening::read(Scripted::new(says)).await?.log_in(who).await
}

/// A client whose server greets so and then gives these answers.
fn client(greeting: &[u8], answers: &[Vec<u8>]) -> MysqlClient<Scripted> {
    let login = [packet(0, greeting), packet(2, OK)];
    block_on(log_in([&login[..], answers].concat(), &WHO)).unwrap()
}

/// What the peer heard, without the headers of packets.
fn heard(client: MysqlClient<Scripted>) -> Vec<Vec<u8>> {
    let stream = client.into_stream().unwrap();
    stream.writes.iter().map(|write| write[4..].to_vec()).collect()
}

/// A column's definition, of a type and with flags.
fn column(kind: u8, flags: u16) -> Vec<u8> {
    let [low, high] = flags.to_le_bytes();
    let names = b"\x03def\x04test\x01t\x01t\x01n\x01n\x0c\x3f\0\x14\0\0\0";
    [&names[..], &[kind, low, high, 0, 0, 0]].concat()
}

#[test]
fn a_native_password_is_scrambled_with_what_the_server_drew() {
    let says = vec![packet(0, GREETING), packet(2, OK)];
    let who = Credentials { database: Some("bench"), ..WHO };
    let client = block_on(log_in(says, &who)).unwrap();
    assert_eq!((client.version(), client.connection_id()), ("5.5.5-10.11.19-MariaDB-0+deb12u1", 4));
    let heard = heard(client);
    let response: HandshakeResponse<'_> = ParseBuf(&heard[0]).parse(()).unwrap();
    // SHA1(password) XOR SHA1(nonce + SHA1(SHA1(password))), computed with Python's hashlib.
    let expected = "d5a009658e98db6f1f86d3f010895b054ba5ca89";
    let found = format!("{:x}", bytes::Bytes::copy_from_slice(response.scramble_buf()));
    assert_eq!(found, expected);
    assert_eq!((response.user(), response.db_name()), (&b"regatta"[..], Some(&b"bench"[..])));
    assert_eq!(response.connect_attributes().unwrap()["program_name"], "regatta");
    assert!(!heard.concat().windows(6).any(|part| part == b"secret"));
}

#[test]
fn a_password_that_the_server_remembers_takes_the_fast_path() {
    let says =
        vec![packet(0, &greeting_of_mysql()), [packet(2, b"\x01\x03"), packet(3, OK)].concat()];
    let heard = heard(block_on(log_in(says, &WHO)).unwrap());
    let response: HandshakeResponse<'_> = ParseBuf(&heard[0]).parse(()).unwrap();
    assert_eq!(response.auth_plugin().unwrap().as_bytes(), b"caching_sha2_password");
    // SHA256(password) XOR SHA256(SHA256(SHA256(password)) + nonce), computed with Python's
    // hashlib.
    let found = format!("{:x}", bytes::Bytes::copy_from_slice(response.scramble_buf()));
    assert_eq!(found, "449efa41efbebc8187700ad90361c59478dd6c16cacd284fe8f5ed9bd31c86b3");
    assert_eq!(heard.len(), 1);
}

#[test]
fn a_password_that_the_server_does_not_remember_is_not_sent_in_the_open() {
    let says = vec![packet(0, &greeting_of_mysql()), packet(2, b"\x01\x04"), packet(4, OK)];
    let error = block_on(log_in(says, &WHO)).err().unwrap();
    assert_eq!(error.kind(), FaultKind::Login);
    assert!(error.to_string().contains("ask for TLS in the URL"), "{error}");
}

#[test]
fn over_tls_the_password_itself_is_sent() {
    let says = vec![packet(0, &greeting_of_mysql()), packet(3, b"\x01\x04"), packet(5, OK)];
    let client = block_on(async {
        let opening = MysqlOpening::read(Scripted::new(says)).await.unwrap();
        // As if it were encrypted from here on: the script goes on in the same stream.
        let (stream, before) = opening.ask_for_tls(&WHO).await.unwrap();
        before.resume(stream).log_in(&WHO).await.unwrap()
    });
    let stream = client.into_stream().unwrap();
    assert_eq!(stream.writes.iter().map(|write| write[3]).collect::<Vec<_>>(), [1, 2, 4]);
    // The request for TLS is the beginning of what follows over it, up to the user.
    assert_eq!((stream.writes[0].len(), &stream.writes[0][4..]), (36, &stream.writes[1][4..36]));
    assert_eq!(stream.writes[0][5] & 0x08, 0x08, "CLIENT_SSL");
    assert_eq!(stream.writes[2], packet(4, b"secret\0"));
}

#[test]
fn tls_is_never_given_up_and_never_begun_with_early_bytes() {
    let ask = |says: Vec<Vec<u8>>| {
        block_on(async {
            let opening = MysqlOpening::read(Scripted::new(says)).await.unwrap();
            opening.ask_for_tls(&WHO).await.err().unwrap().to_string()
        })
    };
    assert_eq!(ask(vec![packet(0, GREETING)]), "the server offers no TLS");
    let early = [packet(0, &greeting_of_mysql()), packet(2, OK)].concat();
    assert!(ask(vec![early]).contains("in the open"));
}

#[test]
fn a_server_may_ask_for_the_other_method() {
    let switch = [&b"\xfemysql_native_password\0"[..], NONCE, b"\0"].concat();
    let says = vec![packet(0, &greeting_of_mysql()), packet(2, &switch), packet(4, OK)];
    let answered = heard(block_on(log_in(says, &WHO)).unwrap());
    let native = heard(client(GREETING, &[]));
    let response: HandshakeResponse<'_> = ParseBuf(&native[0]).parse(()).unwrap();
    assert_eq!(answered[1], response.scramble_buf());
}

#[test]
fn logins_that_cannot_be_are_refused_with_the_reason() {
    let refuse = |greeting: &[u8], says: &[u8]| {
        block_on(log_in(vec![packet(0, greeting), packet(2, says)], &WHO)).err().unwrap()
    };
    let error = refuse(GREETING, b"\xff\x15\x04#28000Access denied for user 'regatta'@'localhost'");
    assert_eq!((error.kind(), error.to_string().contains("1045")), (FaultKind::Login, true));
    let error = refuse(GREETING, b"\xfeclient_ed25519\0nonce");
    assert!(error.to_string().contains("\"client_ed25519\""), "{error}");
    assert_eq!(refuse(GREETING, b"\xfe").kind(), FaultKind::Login);
    assert_eq!(refuse(GREETING, b"\x01\x03").kind(), FaultKind::Protocol);
    assert_eq!(
        refuse(b"\xff\x10\x04Too many connections", OK).kind(),
        FaultKind::TooManyConnections
    );
    assert_eq!(refuse(b"\x09old", OK).kind(), FaultKind::Protocol);
    let old = GREETING
        .iter()
        .enumerate()
        .map(|(at, byte)| if at == 1 + 33 + 4 + 8 + 1 + 1 { 0x05 } else { *byte });
    assert!(refuse(&old.collect::<Vec<_>>(), OK).to_string().contains("too old"));
}

#[test]
fn a_query_reads_its_rows_with_and_without_the_old_end() {
    let (number, text) = (column(8, 0), column(253, 0));
    let eof: &[u8] = b"\xfe\0\0\x02\0";
    let new =
        answer(&[b"\x02", &number, &text, b"\x011\x02ab", b"\x012\xfb", b"\xfe\0\0\x02\0\0\0"]);
    let old = answer(&[b"\x02", &number, &text, eof, b"\x011\x02ab", b"\x012\xfb", eof]);
    for (greeting, says) in [(GREETING.to_vec(), new), (greeting_with_eof(), old)] {
        let mut client = client(&greeting, &[says]);
        let mut cells = Vec::new();
        let summary =
            block_on(client.query("SELECT n, t", |at, cell| cells.push(format!("{at} {cell:?}"))))
                .unwrap();
        assert_eq!(
            summary,
            Summary { rows: 2, affected: 0, received: 4, statements: 1, result_sets: 1 }
        );
        assert_eq!(cells, ["0 Bytes([49])", "1 Bytes([97, 98])", "0 Bytes([50])", "1 Null"]);
        let stream = client.into_stream().unwrap();
        // The login and the query: one write and one read for each, besides the greeting.
        assert_eq!((stream.writes.len(), stream.reads), (2, 3));
        assert_eq!(stream.writes[1], packet(0, b"\x03SELECT n, t"));
    }
}

#[test]
fn answers_of_several_statements_are_read_to_the_last() {
    let says = answer(&[
        b"\0\x03\0\x0a\0\0\0",
        b"\x01",
        &column(8, 0),
        b"\x017",
        b"\xfe\0\0\x0a\0\0\0",
        b"\0\x02\0\x02\0\0\0",
    ]);
    let mut client = client(GREETING, &[says, answer(&[OK])]);
    let summary = block_on(client.run("DELETE …; SELECT …; DELETE …")).unwrap();
    assert_eq!(
        summary,
        Summary { rows: 1, affected: 5, received: 1, statements: 3, result_sets: 1 }
    );
    block_on(client.ping()).unwrap();
    assert_eq!(heard(client)[2], b"\x0e");
}

#[test]
fn a_prepared_statement_is_executed_with_arguments_and_closed() {
    for (greeting, eof) in
        [(GREETING.to_vec(), None), (greeting_with_eof(), Some(&b"\xfe\0\0\x02\0"[..]))]
    {
        let (param, number) = (column(253, 0), column(8, 0));
        let prepared = [&b"\0\x07\0\0\0\x01\0\x01\0\0\0\0"[..], &param];
        let prepared =
            prepared.into_iter().chain(eof).chain([&number[..]]).chain(eof).collect::<Vec<_>>();
        let row: &[u8] = b"\0\0\x2a\0\0\0\0\0\0\0";
        let end = eof.unwrap_or(b"\xfe\0\0\x02\0\0\0");
        let rows =
            [&b"\x01"[..], &number].into_iter().chain(eof).chain([row, end]).collect::<Vec<_>>();
        let mut client = client(&greeting, &[answer(&prepared), answer(&rows)]);
        block_on(async {
            let statement = client.prepare("SELECT ?").await.unwrap();
            assert_eq!((statement.params(), statement.columns()), (1, 1));
            let mut cells = Vec::new();
            let params = [MysqlParam::Integer(42)];
            let summary = client
                .execute(statement, params.into_iter(), |_, cell| cells.push(cell.number()))
                .await
                .unwrap();
            assert_eq!((summary.rows, summary.received, cells), (1, 8, vec![Some(42)]));
            client.close(statement).await.unwrap();
        });
        let heard = heard(client);
        assert_eq!(heard[1], b"\x16SELECT ?");
        assert_eq!(heard[2], b"\x17\x07\0\0\0\0\x01\0\0\0\0\x01\x08\0\x2a\0\0\0\0\0\0\0");
        assert_eq!(heard[3], b"\x19\x07\0\0\0");
    }
}

#[test]
fn an_error_of_a_statement_leaves_the_connection_open_and_others_do_not() {
    let deadlock = answer(&[b"\xff\xbd\x04#40001Deadlock found"]);
    let late = answer(&[
        b"\x01",
        &column(8, 0),
        b"\x011",
        b"\xff\xb1\x07#70100Query execution was interrupted",
    ]);
    let mut client =
        client(GREETING, &[deadlock, late, answer(&[OK]), answer(&[b"\xff\x87\x07#70100Killed"])]);
    let mut run = || {
        let kind = block_on(client.run("UPDATE …")).map_err(|error| error.kind());
        (kind.err(), client.is_open())
    };
    assert_eq!(run(), (Some(FaultKind::Deadlock), true));
    assert_eq!(run(), (Some(FaultKind::Timeout), true));
    assert_eq!(run(), (None, true));
    assert_eq!(run(), (Some(FaultKind::Lost), false));
    assert_eq!(run(), (Some(FaultKind::Lost), false), "the end of the stream");
}

#[test]
fn a_connection_whose_call_was_dropped_is_not_open() {
    let mut client = client(GREETING, &[answer(&[OK])]);
    drop(block_on(futures_lite::future::poll_once(client.ping())));
    assert!(!client.is_open());
}

#[test]
fn whether_a_backslash_is_a_letter_is_said_at_the_login() {
    let says = |status: u8| vec![packet(0, GREETING), packet(2, &[0, 0, 0, 2, status, 0, 0])];
    assert!(block_on(log_in(says(0), &WHO)).unwrap().escapes_with_backslash());
    assert!(!block_on(log_in(says(2), &WHO)).unwrap().escapes_with_backslash());
}

#[test]
fn a_file_is_never_sent() {
    let mut client = client(GREETING, &[answer(&[b"\xfb/etc/passwd"])]);
    assert_eq!(block_on(client.run("LOAD DATA …")).unwrap_err().kind(), FaultKind::Protocol);
}

proptest! {
    /// Whatever a server says first, it is an answer or an error, and costs no more than what came.
    #[test]
    fn no_login_panics(greeting in packets(0), rest in prop::collection::vec(packets(2), 0..3)) {
        let _ = block_on(log_in([vec![greeting], rest].concat(), &WHO));
    }

    /// The same with a greeting that makes sense but for one byte.
    #[test]
    fn no_greeting_panics(at in 0..GREETING.len(), byte: u8, rest in prop::collection::vec(packets(2), 0..3)) {
        let mut greeting = GREETING.to_vec();
        greeting[at] = byte;
        let _ = block_on(log_in([vec![packet(0, &greeting)], rest].concat(), &WHO));
    }

    /// The same with an answer to a statement.
    #[test]
    fn no_answer_panics(answers in prop::collection::vec(packets(1), 1..4), prepared: bool) {
        let mut client = client(GREETING, &[answers.concat()]);
        let _ = block_on(async {
            if prepared {
                let statement = client.prepare("SELECT ?").await?;
                client.execute(statement, vec![MysqlParam::Null; statement.params()].into_iter(), |_, _| {}).await
            } else {
                client.run("SELECT 1").await
            }
        });
    }

    /// The same with rows of every type.
    #[test]
    fn no_row_panics(kinds in prop::collection::vec((any::<u8>(), any::<u16>()), 1..6), row: Vec<u8>, binary: bool) {
        let columns: Vec<Vec<u8>> = kinds.iter().map(|(kind, flags)| column(*kind, *flags)).collect();
        let count = [columns.len() as u8];
        let row = [&[0][..], &row].concat();
        let end: &[u8] = b"\xfe\0\0\x02\0\0\0";
        let parts: Vec<&[u8]> = [&count[..]].into_iter().chain(columns.iter().map(Vec::as_slice)).chain([&row[..], end]).collect();
        let prepared = answer(&[b"\0\x07\0\0\0\0\0\0\0\0\0\0"]);
        let says = if binary { vec![prepared, answer(&parts)] } else { vec![answer(&parts)] };
        let mut client = client(GREETING, &says);
        let _ = block_on(async {
            if binary {
                let statement = client.prepare("SELECT 1").await?;
                client.execute(statement, [].into_iter(), |_, _| {}).await
            } else {
                client.run("SELECT 1").await
            }
        });
    }
}

/// Packets of short payloads that often begin as a server's do, numbered from `first` on.
fn packets(first: u8) -> impl Strategy<Value = Vec<u8>> {
    let head =
        prop_oneof![Just(0_u8), Just(1), Just(2), Just(0xfe), Just(0xff), Just(0xfb), any::<u8>()];
    let payload = (head, prop::collection::vec(any::<u8>(), 0..40))
        .prop_map(|(head, rest)| [&[head][..], &rest].concat());
    prop::collection::vec(payload, 1..6).prop_map(move |payloads| {
        payloads
            .iter()
            .enumerate()
            .flat_map(|(at, payload)| packet(first + at as u8, payload))
            .collect()
    })
}

/// A number of columns or arguments that is merely claimed must not be paid for.
#[test]
fn claims_cost_nothing() {
    let shown = AtomicUsize::new(0);
    for says in [&b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff"[..], b"\xfc\xff\x0f", b"\xfd\xff\xff\xff"]
    {
        let mut client = client(GREETING, &[answer(&[says])]);
        let asked = client.query("SELECT 1", |_, _| {
            shown.fetch_add(1, Ordering::Relaxed);
        });
        assert!(block_on(asked).is_err());
        assert!(client.columns_held() < 16);
    }
    assert_eq!(shown.into_inner(), 0);
    let mut client = client(GREETING, &[answer(&[b"\0\x07\0\0\0\xff\xff\xff\xff\0\0\0"])]);
    assert_eq!(block_on(client.prepare("SELECT 1")).unwrap_err().kind(), FaultKind::Lost);
}
