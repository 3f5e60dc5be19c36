//! The step against the embedded server, and against servers that do not do what they should, under
//! every kind of executor.

use std::{
    collections::BTreeMap,
    io::{self, Write as _},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use bytes::Bytes;
use proptest::prelude::{ProptestConfig, any, proptest};
use tungstenite::{Message, WebSocket, accept, protocol::CloseFrame};

use super::WebSocketStep;
use crate::{
    step::{
        OnTimeout, StepKind as _, StepSpec,
        testing::{EXECUTORS, Ran, Rig, errors_of, read_step, read_target, start_target},
    },
    targets::websocket::{testing::TestServer, words::Seat},
};

fn echo(keys: &str) -> String {
    format!("{{ websocket = {{ target = 'ws', echo = {{ {keys} }} }} }}")
}

fn broadcast(keys: &str) -> String {
    format!("{{ websocket = {{ target = 'ws', broadcast = {{ {keys} }} }} }}")
}

/// Runs a step against the embedded server, and compares what both have counted.
fn proven(executor: &str, server: &mut TestServer, rig: &Rig, times: u64) -> Ran {
    let ran = rig.run(executor, times);
    assert_eq!((ran.wrong(), server.unproven()), (None, vec![]), "{executor}");
    ran
}

#[test]
fn messages_come_back_under_every_executor() {
    for executor in EXECUTORS {
        for (keys, is_encrypted) in [
            ("", false),
            ("messages = 10, size = '125B'", false),
            ("messages = 10, size = '4KiB', in_flight = 4, text = true", false),
            ("messages = 3, size = '200KiB', text = true", true),
        ] {
            let mut server = TestServer::start(is_encrypted);
            let rig = Rig::new(&[&echo(keys)]).endpoint("ws", server.endpoint.clone()).slots(3);
            proven(executor, &mut server, &rig, 20);
            let counts = server.counts();
            assert_eq!((counts["upgrades"], counts["connections"]), (3, 3), "{executor}: {keys}");
            let each = counts["messages received"] / 60;
            assert_eq!(counts["messages sent"], each * 60);
            assert!(keys.is_empty() == (each == 1), "{each}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn whatever_is_sent_comes_back(
        executor in 0..EXECUTORS.len(),
        messages in 1_u64..40,
        size in 32_u64..2000,
        in_flight in 1_u64..16,
        text in any::<bool>(),
    ) {
        let mut server = TestServer::start(false);
        let in_flight = in_flight.min(messages);
        let keys = format!("messages = {messages}, size = {size}, in_flight = {in_flight}, text = {text}");
        let rig = Rig::new(&[&echo(&keys)]).endpoint("ws", server.endpoint.clone()).slots(2);
        let ran = proven(EXECUTORS[executor], &mut server, &rig, 5);
        let done = ran.tallies[0].done;
        assert_eq!((done.sent, done.received), (messages * size * 10, messages * size * 10));
    }

    #[test]
    fn whatever_is_published_comes_to_all(
        executor in 1..EXECUTORS.len(),
        members in 1_u64..4,
        rooms in 1_u64..3,
        messages in 1_u64..9,
        size in 32_u64..500,
    ) {
        let mut server = TestServer::start(false);
        // The pool of the rig has four threads, and one of them waits for the children.
        let count = if EXECUTORS[executor] == "tokio" { members * rooms } else { members };
        let keys = format!("members = {members}, messages = {messages}, size = {size}");
        let rig = Rig::new(&[&format!("{{ parallel = {{ task = 'member', count = {count} }} }}")])
            .task("member", &[&broadcast(&keys)])
            .endpoint("ws", server.endpoint.clone());
        proven(EXECUTORS[executor], &mut server, &rig, 6);
        let counts = server.counts();
        assert_eq!(counts["members registered"], count * 6);
        assert_eq!(counts["members unregistered"], count * 6);
        assert_eq!(counts["rooms filled"], count / members * 6);
        assert_eq!(counts["messages sent"], count * messages * members * 6);
    }
}

/// What a server does with the messages of a connection, of which this is the first.
type Serving = fn(&mut WebSocket<TcpStream>, usize) -> tungstenite::Result<()>;

/// A server of somebody's own, which does this with each connection; its url.
fn own(serving: Serving) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/chat", listener.local_addr().unwrap());
    let count = Arc::new(AtomicUsize::new(0));
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let count = count.clone();
            thread::spawn(move || {
                // A connection without a request is only a look whether somebody is there.
                if let Ok(mut socket) = accept(stream) {
                    let _ = serving(&mut socket, count.fetch_add(1, Relaxed));
                }
            });
        }
    });
    url
}

/// Three calls against such a server, and what the target counted.
fn ran(serving: Serving, step: &str, executor: &str) -> (Ran, BTreeMap<String, u64>) {
    let scratch = tempfile::tempdir().unwrap();
    let target = format!("{{ websocket = {{ url = '{}' }} }}", own(serving));
    let mut target = start_target(&target, scratch.path()).unwrap();
    let ran = Rig::new(&[step]).endpoint("ws", target.endpoint()).run(executor, 3);
    (ran, target.report().unwrap().counts)
}

/// The next message with data.
fn data(socket: &mut WebSocket<TcpStream>) -> tungstenite::Result<Message> {
    loop {
        let message = socket.read()?;
        if message.is_text() || message.is_binary() {
            return Ok(message);
        }
    }
}

/// Two messages of one, both as bytes.
fn two(socket: &mut WebSocket<TcpStream>) -> tungstenite::Result<[Message; 2]> {
    Ok([data(socket)?, data(socket)?])
}

#[test]
fn a_server_that_breaks_an_echo_is_found_out() {
    let cases: [(Serving, &str); 7] = [
        (
            |socket, _| {
                let mut bytes = data(socket)?.into_data().to_vec();
                bytes[40] ^= 1;
                socket.send(Message::Binary(bytes.into()))
            },
            "message 1 of 4 came back changed: byte 41 is not as it was sent",
        ),
        (
            |socket, _| {
                let bytes = data(socket)?.into_data();
                socket.send(Message::Binary(bytes.slice(1..)))
            },
            "came back changed: 99 bytes came where 100 were sent",
        ),
        (
            |socket, _| {
                let text = data(socket)?.into_data();
                socket.send(Message::text(String::from_utf8_lossy(&text).into_owned()))
            },
            "came back changed: it is a text message now",
        ),
        (
            |socket, _| {
                let [one, two] = two(socket)?;
                socket.send(two)?;
                socket.send(one)
            },
            "message 2 of 4 came in the place of message 1 of 4, which was lost or is out of order",
        ),
        (
            |socket, _| {
                let [one, _] = two(socket)?;
                socket.send(one)?;
                loop {
                    let more = data(socket)?;
                    socket.send(more)?;
                }
            },
            "message 3 of 4 came in the place of message 2 of 4, which was lost",
        ),
        (
            |socket, _| {
                let one = data(socket)?;
                socket.send(one.clone())?;
                socket.send(one)
            },
            "a message came twice",
        ),
        (
            |socket, _| {
                data(socket)?;
                let bytes = Bytes::from(b"f".repeat(100));
                socket.send(Message::Binary(bytes))
            },
            "came back changed: byte 33 is not",
        ),
    ];
    for (serving, said) in cases {
        for executor in EXECUTORS {
            let step = echo("messages = 4, size = 100, in_flight = 2");
            let (ran, _) = ran(serving, &step, executor);
            let wrong = ran.wrong().unwrap_or_default();
            assert!(wrong.starts_with("Wrong") && wrong.contains(said), "{executor}: {wrong}");
            assert!(wrong.contains("task main, step websocket: ws://127.0.0.1:"), "{wrong}");
        }
    }
}

/// Sends everything back, in a frame or in several, with pings between.
fn polite(socket: &mut WebSocket<TcpStream>, _: usize) -> tungstenite::Result<()> {
    loop {
        let message = data(socket)?;
        socket.send(Message::Ping(Bytes::from_static(b"there?")))?;
        socket.send(message)?;
        // A client that does not answer is waited for in vain.
        while !matches!(socket.read()?, Message::Pong(_)) {}
    }
}

#[test]
fn pings_are_answered_and_own_servers_do_without_counts() {
    for executor in EXECUTORS {
        let (ran, counts) = ran(polite, &echo("messages = 3"), executor);
        assert_eq!(ran.wrong(), None, "{executor}");
        assert_eq!((counts["connections opened"], counts["connections reopened"]), (1, 0));
    }
}

#[test]
fn what_was_closed_between_calls_is_opened_again() {
    /// Each connection serves one call; then it is closed with words or without.
    fn once(socket: &mut WebSocket<TcpStream>, at: usize) -> tungstenite::Result<()> {
        for _ in 0..2 {
            let message = data(socket)?;
            socket.send(message)?;
        }
        if at.is_multiple_of(2) { socket.close(None) } else { Ok(()) }
    }
    for executor in EXECUTORS {
        let (ran, counts) = ran(once, &echo("messages = 2"), executor);
        assert_eq!(ran.wrong(), None, "{executor}");
        let opened = (counts["connections opened"], counts["connections reopened"]);
        assert_eq!(opened, (3, 2), "{executor}");
    }
}

#[test]
fn an_exchange_that_is_cut_has_its_name_and_may_be_allowed() {
    let cases: [(Serving, &str, &str); 3] = [
        (
            |socket, _| {
                let message = data(socket)?;
                socket.send(message)?;
                data(socket).map(drop)
            },
            "cut off",
            "the server ended the connection in the middle of an exchange; if that may happen",
        ),
        (
            |socket, _| {
                let message = data(socket)?;
                socket.send(message)?;
                let code = tungstenite::protocol::frame::coding::CloseCode::Restart;
                socket.close(Some(CloseFrame { code, reason: "later".into() }))?;
                data(socket).map(drop)
            },
            "cut off",
            "in the middle of an exchange and said 1012 `later`",
        ),
        (
            |socket, _| {
                data(socket)?;
                Ok(socket.get_mut().write_all(b"\xff\x05hello")?)
            },
            "protocol",
            "what came is no frame",
        ),
    ];
    for (serving, name, said) in cases {
        for executor in EXECUTORS {
            let step = echo("messages = 2");
            let wrong = ran(serving, &step, executor).0.wrong().unwrap_or_default();
            assert!(wrong.contains(said), "{executor}: {wrong}");
            let allowed = step.replace("} } }", "} }, allow = { errors = true } }");
            let (ran, counts) = ran(serving, &allowed, executor);
            assert_eq!(ran.wrong(), None, "{executor}");
            let errors: u64 = ran.outcomes.iter().flatten().map(|done| done.errors).sum();
            assert_eq!((errors, counts[&format!("errors: {name}")]), (3, 3), "{executor}");
        }
    }
}

/// A call that is given up leaves an answer on its way, which nobody may take for that of the next
/// call.
#[test]
fn a_call_that_was_given_up_closes_its_connection() {
    /// The first connection is not answered in time; others are.
    fn late(socket: &mut WebSocket<TcpStream>, at: usize) -> tungstenite::Result<()> {
        if at == 0 {
            return data(socket).and_then(|_| data(socket)).map(drop);
        }
        polite(socket, at)
    }
    let scratch = tempfile::tempdir().unwrap();
    for executor in EXECUTORS {
        let target = format!("{{ websocket = {{ url = '{}' }} }}", own(late));
        let mut target = start_target(&target, scratch.path()).unwrap();
        let rig = Rig::new(&[&echo("")])
            .limited(Duration::from_millis(300), OnTimeout::Ignore)
            .endpoint("ws", target.endpoint());
        let ran = rig.run(executor, 3);
        assert_eq!((ran.wrong(), ran.timeouts()), (None, 1), "{executor}");
        assert_eq!((ran.tallies[0].cancelled, ran.tallies[0].ended), (1, 2), "{executor}");
        let counts = target.report().unwrap().counts;
        assert_eq!((counts["connections opened"], counts["connections closed"]), (2, 2));
    }
}

#[test]
fn what_speaks_no_websocket_is_said() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let head = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n";
            let _ = io::Read::read(&mut stream, &mut [0; 1024]);
            let _ = stream.write_all(head);
        }
    });
    let scratch = tempfile::tempdir().unwrap();
    let target = format!("{{ websocket = {{ url = '{url}' }} }}");
    let target = start_target(&target, scratch.path()).unwrap();
    for executor in EXECUTORS {
        let ran = Rig::new(&[&echo("")]).endpoint("ws", target.endpoint()).run(executor, 1);
        let wrong = ran.wrong().unwrap_or_default();
        assert!(
            wrong.contains("no WebSocket connection: it is answered with status 404"),
            "{wrong}"
        );
    }
    let server = TestServer::start(false);
    let mut lost = (*server.endpoint).clone();
    lost.path = "/elsewhere".into();
    let ran = Rig::new(&[&echo("")]).endpoint("ws", Arc::new(lost)).run("tokio", 1);
    assert!(ran.wrong().unwrap_or_default().contains("status 404"));
}

/// A hub with a room of two, of whom this one is the second; it gets these messages of the first
/// one, by their numbers in the room and by that one's numbers, and one of them with a changed byte.
fn hub(
    socket: &mut WebSocket<TcpStream>,
    deliveries: &[(u64, u64)],
    changed: Option<usize>,
) -> tungstenite::Result<()> {
    data(socket)?;
    socket.send(Message::text(Seat { room: 0, number: 1 }.to_string()))?;
    let own = data(socket)?.into_data();
    for (at, (number, of_first)) in deliveries.iter().enumerate() {
        // Its own message with the numbers of the other member in it.
        let mut message = number.to_be_bytes().to_vec();
        message.extend_from_slice(format!("{:016x}{of_first:016x}", 0).as_bytes());
        message.extend_from_slice(&own[32..]);
        if changed == Some(at) {
            message[45] ^= 1;
        }
        socket.send(Message::binary(message))?;
    }
    data(socket).map(drop)
}

#[test]
fn a_hub_that_breaks_a_broadcast_is_found_out() {
    let cases: [(Serving, &str); 6] = [
        (
            |socket, _| hub(socket, &[(0, 0), (2, 1)], None),
            "message 3 came in its place, so that it is lost",
        ),
        (
            |socket, _| hub(socket, &[(0, 0), (0, 0)], None),
            "message 2 of 6 in room 0: message 1 came twice",
        ),
        (
            |socket, _| hub(socket, &[(0, 1), (1, 0)], None),
            "it is message 2 of member 0, of whom message 1 is next",
        ),
        (
            |socket, _| hub(socket, &[(0, 0), (1, 0)], None),
            "it is message 1 of member 0, of whom message 2 is next",
        ),
        (
            |socket, _| hub(socket, &[(0, 0)], Some(0)),
            "message 1 of 6 in room 0 came changed: byte 38",
        ),
        (
            |socket, _| {
                data(socket)?;
                socket.send(Message::text("welcome"))?;
                data(socket).map(drop)
            },
            "the hub did not say that the room is full",
        ),
    ];
    for (serving, said) in cases {
        for executor in EXECUTORS {
            let step = broadcast("members = 2, messages = 3");
            let wrong = ran(serving, &step, executor).0.wrong().unwrap_or_default();
            assert!(wrong.starts_with("Wrong") && wrong.contains(said), "{executor}: {wrong}");
        }
    }
}

/// One of two members fails in its first message; the other one is told instead of waiting.
#[test]
fn who_loses_a_member_of_its_room_is_told() {
    let server = TestServer::start(false);
    let address = server.endpoint.address;
    let register = move || {
        let stream = TcpStream::connect(address).unwrap();
        let url = format!("ws://{address}/hub");
        let (mut socket, _) = tungstenite::client(url, stream).unwrap();
        socket.send(Message::text("register 2 5")).unwrap();
        socket
    };
    let (mut one, mut two) = (register(), register());
    assert!(Seat::parse(data(&mut one).unwrap().to_text().unwrap()).is_some());
    assert!(Seat::parse(data(&mut two).unwrap().to_text().unwrap()).is_some());
    drop(one);
    let Message::Close(Some(frame)) = two.read().unwrap() else { panic!("no end") };
    assert_eq!(frame.reason.as_str(), "a member of the room has gone");
}

#[test]
fn keys_are_read_and_nonsense_is_refused() {
    for (keys, said) in [
        ("", "expected one of `echo` and `broadcast`, found neither"),
        ("echo = {}, broadcast = { members = 2 }", "found both"),
        ("echo = { size = 31 }", "from 32B"),
        ("echo = { messages = 0 }", "expected 1 to"),
        ("echo = { messages = 2, in_flight = 3 }", "write `in_flight` from 1 to 2"),
        ("echo = { messages = 9, in_flight = 9, size = '16KiB' }", "keep in_flight × size within"),
        ("broadcast = {}", "members"),
        ("broadcast = { members = 0 }", "expected 1 to"),
        ("broadcast = { members = 1000, messages = 1000 }", "keep members × messages × size"),
    ] {
        let errors = errors_of(&format!("{{ websocket = {{ target = 'ws', {keys} }} }}"));
        assert!(errors.iter().any(|error| error.contains(said)), "{keys}: {errors:?}");
    }
    let allowed = broadcast("members = 2").replace("} } }", "} }, allow = { errors = true } }");
    assert!(errors_of(&allowed)[0].contains("would wait for one that has failed"));
}

#[test]
fn a_hub_is_only_embedded_and_members_cannot_be_given_up() {
    let target = read_target("{ websocket = { url = 'ws://h' } }").unwrap();
    for (text, is_fine) in [(echo(""), true), (broadcast("members = 2"), false)] {
        let StepSpec::Websocket(step) = read_step(&text).unwrap() else { panic!("{text}") };
        assert_eq!(step.complaint(&target).is_none(), is_fine, "{text}");
        assert_eq!(step.cancellable(&|_| None), is_fine, "{text}");
        assert_eq!(WebSocketStep::meeting(&step).is_none(), is_fine, "{text}");
    }
}
