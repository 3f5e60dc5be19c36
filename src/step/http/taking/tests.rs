//! Taking values, each by itself, and whole tasks that use them in later calls, under every kind of
//! executor.

use std::{
    io::{BufRead, BufReader, Read as _, Write},
    net::{TcpListener, TcpStream},
    sync::Mutex,
    thread,
    time::Duration,
};

use super::{
    super::tests::{Does, answer, sends, server},
    *,
};
use crate::step::{
    Failure, NamedRows, Pick, StepOutcome, ValueTally,
    testing::{EXECUTORS, Ran, Rig, errors_of, read_step, start_target},
};

/// What is taken from an answer that has these headers and this body in pieces.
fn taken(
    from: TakeFrom,
    headers: &[(&'static str, &'static [u8])],
    body: &[&[u8]],
) -> Result<String, String> {
    taken_or((from, None), headers, body).map(|(value, _)| value)
}

/// The same, or this default; and whether it stood in the answer.
fn taken_or(
    (from, default): (TakeFrom, Option<&str>),
    headers: &[(&'static str, &'static [u8])],
    body: &[&[u8]],
) -> Result<(String, bool), String> {
    let cell = Arc::new(TakenValue::default());
    let take =
        [(Name::from("v".to_owned()), HttpTake { from, default: default.map(str::to_owned) })];
    let mut taking = HttpTaking::new(&take, "here".into(), |_| cell.clone())?.expect("takes one");
    let headers = headers.iter().map(|(name, value)| {
        (HeaderName::from_static(name), HeaderValue::from_bytes(value).unwrap())
    });
    taking.begin(&headers.collect());
    for piece in body {
        taking.add(piece);
    }
    let all = taking.end()?;
    let mut out = String::new();
    cell.append_to(&mut out);
    Ok((out, all))
}

fn header(name: &str) -> TakeFrom {
    TakeFrom::Header(name.into())
}

fn json(pointer: &str) -> TakeFrom {
    TakeFrom::Json(pointer.into())
}

fn regex(text: &str) -> TakeFrom {
    TakeFrom::Regex(text.into())
}

#[test]
fn values_are_found_where_they_stand() {
    let headers: &[(&str, &[u8])] = &[("x-token", b"abc"), ("x-token", b"def"), ("x-empty", b"")];
    assert_eq!(taken(header("X-Token"), headers, &[]).as_deref(), Ok("abc"));
    assert_eq!(taken(header("x-empty"), headers, &[]).as_deref(), Ok(""));
    let body: &[&[u8]] =
        &[br#"{"a":[{"b":"x\"y"},17,-2.5],"#, br#""yes":true,"c/d":9007199254740993,"n":null}"#];
    for (pointer, found) in [
        ("/a/0/b", "x\"y"),
        ("/a/1", "17"),
        ("/a/2", "-2.5"),
        ("/yes", "true"),
        ("/c~1d", "9007199254740993"),
    ] {
        assert_eq!(taken(json(pointer), &[], body).as_deref(), Ok(found), "{pointer}");
    }
    assert_eq!(taken(json(""), &[], &[b"\"all\""]).as_deref(), Ok("all"));
    let body: &[&[u8]] = &[b"\xff id=1", b"7&id=18"];
    assert_eq!(taken(regex(r"id=(\d+)"), &[], body).as_deref(), Ok("17"));
    assert_eq!(taken(regex(r"id=\d+"), &[], body).as_deref(), Ok("id=17"));
}

#[test]
fn what_is_not_there_is_told_with_a_remedy() {
    let body: &[&[u8]] = &[br#"{"a":[1],"n":null,"e":1e20,"id":123456789012345678901234567890}"#];
    let bad: &[(&str, &[u8])] = &[("x-token", b"\xff")];
    for (from, said) in [
        (header("x-other"), "no header `x-other`; correct `header`"),
        (header("x-token"), "`\\u{fffd}` is no text in UTF-8"),
        (json("/b"), "nothing at `/b`; correct `json`"),
        (json("/a"), "no text and no number at `/a` but `[1]`; correct"),
        (json("/n"), "but `null`; correct"),
        (json("/id"), "too large to be read to its last digit; take it by `regex`"),
        (regex("z+"), "does not match `z+`; correct `regex`"),
        (regex("a|(z)"), "the first group of `a|(z)` matches nothing"),
    ] {
        let why = taken(from, bad, body).unwrap_err();
        assert!(why.starts_with("`v` cannot be taken: ") && why.contains(said), "{why}");
    }
    assert!(taken(json("/a"), &[], &[b"<html>"]).unwrap_err().contains("is no JSON: expected"));
}

#[test]
fn a_default_is_used_where_the_answer_has_no_value_and_nowhere_else() {
    let body: &[&[u8]] = &[br#"{"a":[1],"n":null,"id":7}"#];
    let found = |from, headers: &[_]| taken_or((from, Some("none")), headers, body);
    let default = || Ok(("none".to_owned(), false));
    for from in [header("x-other"), json("/b"), json("/n"), regex("z+"), regex("a|(z)")] {
        assert_eq!(found(from.clone(), &[]), default(), "{from:?}");
    }
    assert_eq!(found(json("/id"), &[]), Ok(("7".to_owned(), true)));
    // What stands there and is no value is wrong all the same.
    let bad: &[(&str, &[u8])] = &[("x-token", b"\xff")];
    assert!(found(header("x-token"), bad).unwrap_err().contains("no text in UTF-8"));
    assert!(found(json("/a"), &[]).unwrap_err().contains("no text and no number"));
    let html = taken_or((json("/a"), Some("none")), &[], &[b"<html>"]);
    assert!(html.unwrap_err().contains("is no JSON"));
}

#[test]
fn what_an_earlier_call_took_is_gone_when_the_next_one_begins() {
    let cell = Arc::new(TakenValue::default());
    let take = [(Name::from("v".to_owned()), HttpTake { from: regex("."), default: None })];
    let taking = HttpTaking::new(&take, "here".into(), |_| cell.clone()).unwrap();
    let mut taking = taking.expect("takes one");
    taking.begin(&HeaderMap::new());
    taking.add(b"a");
    assert_eq!((taking.end(), cell.is_there()), (Ok(true), true));
    taking.clear();
    assert!(!cell.is_there());
    // Nor is anything left of the body.
    taking.begin(&HeaderMap::new());
    assert!(taking.end().is_err() && !cell.is_there());
}

#[test]
fn a_body_is_held_up_to_a_mebibyte() {
    let (piece, start) = (vec![b' '; MOST_BODY / 2 - 1], b"17");
    let whole: &[&[u8]] = &[start, &piece, &piece];
    assert_eq!(taken(regex(r"\d+"), &[], whole).as_deref(), Ok("17"));
    let more: &[&[u8]] = &[start, &piece, &piece, b"x"];
    let why = taken(regex(r"\d+"), &[], more).unwrap_err();
    assert!(why.contains("1048577 bytes") && why.contains("a smaller one"), "{why}");
    // Where the body is not looked at, it may be as long as it likes.
    let headers: &[(&str, &[u8])] = &[("x-token", b"abc")];
    assert_eq!(taken(header("x-token"), headers, more).as_deref(), Ok("abc"));
}

/// A server that gives another token to each who logs in, and notes who comes with which.
#[derive(Default)]
struct Door {
    given: Vec<String>,
    shown: Vec<String>,
    /// The bodies that it was sent.
    bodies: Vec<Vec<u8>>,
}

impl Door {
    /// What it answers to a request with these lines.
    fn answer(&mut self, lines: &[String]) -> String {
        let said =
            |name: &str| lines.iter().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        let path = lines[0].split(' ').nth(1).unwrap_or_default().to_owned();
        let mut head = String::new();
        let mut body = "{}".to_owned();
        if path == "/login" {
            let token = format!("t{}", self.given.len());
            head = format!("x-token: {token}\r\n");
            body = format!("{{\"user\":{{\"id\":{}}},\"next\":\"/me/{token}\"}}", self.given.len());
            self.given.push(token);
        } else {
            self.shown.push(format!("{path} {} {}", said("authorization: "), said("x-id: ")));
        }
        let length = body.len();
        format!(
            "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {length}\r\n{head}\r\n{body}"
        )
    }

    fn serve(door: &Mutex<Self>, stream: &TcpStream) {
        let mut reader = BufReader::new(stream);
        let lines = reader.by_ref().lines().map_while(Result::ok);
        let lines: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
        let length = lines.iter().find_map(|line| line.strip_prefix("content-length: "));
        if let Some(length) = length {
            let mut body = vec![0; length.parse().unwrap()];
            reader.read_exact(&mut body).unwrap();
            door.lock().unwrap().bodies.push(body);
        }
        // A connection without a request is only a look whether somebody is there.
        if !lines.is_empty() {
            let answer = door.lock().unwrap().answer(&lines);
            let mut stream = stream;
            stream.write_all(answer.as_bytes()).unwrap();
        }
    }

    /// Opens one; its url.
    fn open() -> (Arc<Mutex<Self>>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let door = Arc::new(Mutex::new(Self::default()));
        let doors = door.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let door = doors.clone();
                thread::spawn(move || Self::serve(&door, &stream));
            }
        });
        (door, url)
    }
}

/// Three runs of these steps in each of two slots.
fn run(url: &str, steps: &[&str], executor: &str) -> Ran {
    let scratch = tempfile::tempdir().unwrap();
    let target = start_target(&format!("{{ http = {{ url = \"{url}\" }} }}"), scratch.path());
    Rig::new(steps).endpoint("api", target.unwrap().endpoint()).slots(2).run(executor, 3)
}

fn http(path: &str, more: &str) -> String {
    format!("{{ http = {{ target = 'api', path = '{path}', connection = 'per-call', {more}")
}

#[test]
fn each_run_uses_the_values_that_it_has_taken() {
    let login = http(
        "/login",
        "take = { token = { header = 'x-token' }, id = { json = '/user/id' }, next = { regex = '\"next\":\"(.*)\"' } } } }",
    );
    let header = "headers = { authorization = 'Bearer ${value:token}', x-id = 'u${value:id}' } } }";
    let me = [http("/me/${value:token}", header), http("${value:next}", header)];
    for executor in EXECUTORS {
        let (door, url) = Door::open();
        let ran = run(&url, &[&login, &me[0], &me[1]], executor);
        assert_eq!((ran.outcomes.len(), ran.wrong()), (6, None), "{executor}");
        let door = door.lock().unwrap();
        let wanted = (0..6).flat_map(|at| vec![format!("/me/t{at} Bearer t{at} u{at}"); 2]);
        let mut shown = door.shown.clone();
        shown.sort_unstable();
        assert_eq!((door.given.len(), shown), (6, wanted.collect()), "{executor}");
    }
}

#[test]
fn an_answer_without_the_value_fails_the_trial() {
    let (_door, url) = Door::open();
    for (take, said) in [
        ("header = 'x-other'", "the answer has no header `x-other`; correct `header` of `take`"),
        ("json = '/user/name'", "the body has nothing at `/user/name`; correct `json`"),
        ("json = '/user'", "the body has no text and no number at `/user` but `{\"id\":"),
        ("regex = 'name=(.*)'", "the body does not match `name=(.*)`; correct `regex`"),
    ] {
        let login = http("/login", &format!("take = {{ a = {{ {take} }} }} }} }}"));
        let next = http("/${value:a}", "} }");
        let ran = run(&url, &[&login, &next], "tokio");
        let Err(Failure::Wrong(why)) = &ran.outcomes[0] else { panic!("{:?}", ran.outcomes) };
        assert!(why.starts_with("task main, step http: GET http://127.0.0.1:"), "{why}");
        assert!(why.contains(&format!("/login: `a` cannot be taken: {said}")), "{why}");
        let shown = "; the answer has status 200, and a body that begins with `{\"user\":{\"id\":";
        assert!(why.contains(shown), "{why}");
        assert_eq!((ran.tallies[0].failed, ran.tallies[1].started), (6, 0));
    }
}

#[test]
fn after_an_allowed_error_the_steps_that_need_the_value_are_left_out() {
    let unavailable =
        sends("HTTP/1.1 503 Busy\r\nx-token: t\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
    for (does, allow) in [(unavailable, "status = 503"), (Does::Resets, "errors = true")] {
        for executor in EXECUTORS {
            let url = server(does.clone());
            let more = "take = { token = { header = 'x-token' } } }";
            let login = format!("{} , allow = {{ {allow} }} }}", http("/login", more));
            let me = http("/${value:token}", "} }");
            let ran = run(&url, &[&login, &me], executor);
            let skipped = |outcome: &StepOutcome| matches!(outcome, Err(Failure::Skipped(done)) if done.errors == 1);
            assert!(ran.outcomes.iter().all(skipped), "{executor}: {:?}", ran.outcomes);
            let [first, second] = &ran.tallies[..] else { panic!() };
            assert_eq!((first.ended, first.stopped, second.started), (6, 6, 0), "{executor}");
        }
    }
}

#[test]
fn a_value_that_cannot_stand_where_it_is_used_is_told() {
    for (token, path, said) in [
        ("a b", "/${value:token}", "`/a b` is no path: a value and a row are sent as they are"),
        ("a#b", "/${value:token}", "`/a#b` is no path: a value and a row are sent as they are"),
        ("a", "${value:token}", "`a` is no path: a value and a row are sent as they are"),
    ] {
        let url = server(answer(
            &format!("content-length: 0\r\nx-token: {token}\r\nconnection: close\r\n"),
            "",
        ));
        let login = http("/login", "take = { token = { header = 'x-token' } } } }");
        let ran = run(&url, &[&login, &http(path, "} }")], "smol");
        let wrong = ran.wrong().unwrap_or_default();
        assert!(wrong.contains(said), "{wrong}");
    }
    let url = server(answer("content-length: 5\r\nconnection: close\r\n", "\"\\n\"\n"));
    let login = http("/login", "take = { token = { json = '' } } } }");
    let ran = run(&url, &[&login, &http("/", "headers = { a = '${value:token}' } } }")], "smol");
    let wrong = ran.wrong().unwrap_or_default();
    assert!(wrong.contains("is no header"), "{wrong}");
}

#[test]
fn a_value_that_nobody_has_taken_is_told() {
    let (door, url) = Door::open();
    let ran = run(&url, &[&http("/${value:token}", "} }")], "tokio");
    let wrong = ran.wrong().unwrap_or_default();
    assert!(wrong.contains("no step has taken `${value:token}` in this run"), "{wrong}");
    assert!(door.lock().unwrap().shown.is_empty());
}

/// A server that answers to `/login` only after a while, and notes what else it is asked for.
fn slow_login() -> (Arc<Mutex<Vec<String>>>, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let noted = asked.clone();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let noted = noted.clone();
            thread::spawn(move || {
                let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
                let Some(first) = lines.next() else { return };
                let rest: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
                let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
                if path == "/login" {
                    // Until the client has gone.
                    let _ = (&stream).read(&mut [0]);
                    return;
                }
                noted.lock().unwrap().push(format!("{path} {}", rest.len()));
                let answer = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
                let mut out = &stream;
                let _ = out.write_all(answer.as_bytes());
            });
        }
    });
    (asked, url)
}

#[test]
fn after_a_time_out_that_is_ignored_the_values_are_their_defaults() {
    let login = http("/login", "take = { token = { header = 'x-token', default = 'none' } } } }");
    let me = http("/me/${value:token}", "} }");
    for executor in EXECUTORS {
        let (asked, url) = slow_login();
        let scratch = tempfile::tempdir().unwrap();
        let target = start_target(&format!("{{ http = {{ url = \"{url}\" }} }}"), scratch.path());
        let rig = Rig::new(&[&login])
            .limited(Duration::from_millis(20), crate::step::OnTimeout::Ignore)
            .step(crate::step::testing::read_step(&me).unwrap())
            .endpoint("api", target.unwrap().endpoint());
        let ran = rig.run(executor, 3);
        assert_eq!((ran.wrong(), ran.timeouts()), (None, 3), "{executor}");
        let counted = ValueTally { timed_out: 3, ..ValueTally::default() };
        assert_eq!((ran.values[0], ran.tallies[0].cancelled), (counted, 3), "{executor}");
        let asked = asked.lock().unwrap();
        assert!(
            asked.len() == 3 && asked.iter().all(|path| path.starts_with("/me/none ")),
            "{asked:?}"
        );
    }
}

#[test]
fn after_an_allowed_error_the_steps_use_the_defaults() {
    let (door, url) = Door::open();
    let more = "take = { token = { header = 'x-token', default = 'none' } } }, expect = { status = 201 }, allow = { status = 200 } }";
    let ran = run(&url, &[&http("/login", more), &http("/me/${value:token}", "} }")], "smol");
    assert_eq!((ran.wrong(), ran.tallies[0].done.errors), (None, 6));
    let counted = ValueTally { defaulted: 6, ..ValueTally::default() };
    assert_eq!((ran.values[0], ran.tallies[1].ended), (counted, 6));
    let door = door.lock().unwrap();
    assert!(door.shown.iter().all(|shown| shown.starts_with("/me/none ")), "{:?}", door.shown);
}

#[test]
fn values_that_are_there_are_counted_beside_those_that_are_not() {
    let (_door, url) = Door::open();
    let take = "take = { id = { json = '/user/id' }, name = { json = '/user/name', default = 'nobody' } } } }";
    let me = http("/${value:id}/${value:name}", "} }");
    let ran = run(&url, &[&http("/login", take), &me], "tokio");
    assert_eq!(
        (ran.wrong(), ran.values[0]),
        (None, ValueTally { defaulted: 6, ..ValueTally::default() })
    );
    let take = "take = { id = { json = '/user/id', default = '0' } } } }";
    let ran = run(&url, &[&http("/login", take), &http("/${value:id}", "} }")], "tokio");
    assert_eq!(
        (ran.wrong(), ran.values[0]),
        (None, ValueTally { taken: 6, ..ValueTally::default() })
    );
}

/// Three users, of whom each call is one.
fn users(pick: Pick) -> NamedRows {
    let columns = vec!["id".to_owned(), "name".to_owned()];
    let row = |id: &str, name: &str| vec![id.to_owned(), name.to_owned()];
    let rows = vec![row("7", "ann"), row("8", "bob"), row("9", "eve")];
    NamedRows { name: "users".into(), pick, columns, rows }
}

/// What a server is shown by six tasks that each use a row, in order.
fn shown_rows(pick: Pick, executor: &str) -> Vec<String> {
    let (door, url) = Door::open();
    let scratch = tempfile::tempdir().unwrap();
    let target = start_target(&format!("{{ http = {{ url = \"{url}\" }} }}"), scratch.path());
    let more =
        "headers = { authorization = 'Bearer ${row:users.id}' }, body = '${row:users.id}' } }";
    let step = http("/${i}/${row:users.name}", &format!("method = 'POST', {more}"));
    let rig = Rig::new(&[&step]).endpoint("api", target.unwrap().endpoint());
    let ran = rig.rows(users(pick)).slots(2).run(executor, 3);
    assert_eq!(ran.wrong(), None, "{executor}");
    let mut door = door.lock().unwrap();
    door.shown.sort_unstable();
    assert_eq!(door.bodies.len(), 6);
    std::mem::take(&mut door.shown)
}

#[test]
fn the_same_tasks_use_the_same_rows_under_every_executor() {
    let drawn = shown_rows(Pick::Random, EXECUTORS[0]);
    for executor in EXECUTORS {
        let in_turn = shown_rows(Pick::InTurn, executor);
        let wanted = (0..6).map(|task| {
            let (id, name) = [(7, "ann"), (8, "bob"), (9, "eve")][task % 3];
            format!("/{task}/{name} Bearer {id} ")
        });
        assert_eq!(in_turn, wanted.collect::<Vec<_>>(), "{executor}");
        assert_eq!(shown_rows(Pick::Random, executor), drawn, "{executor}");
    }
    assert_ne!(drawn, shown_rows(Pick::InTurn, "smol"));
}

#[test]
fn a_body_comes_from_a_file_with_its_keys_filled_in_or_byte_for_byte() {
    let folder = tempfile::tempdir().unwrap();
    let (order, raw) = (folder.path().join("order.json"), folder.path().join("raw.bin"));
    std::fs::write(&order, "{\n \"id\": \"${i}\",\n \"for\": \"${row:users.name}\"\n}\n").unwrap();
    std::fs::write(&raw, b"\xff\x00${i}\r\n").unwrap();
    let sent = |key: &str, path: &std::path::Path| {
        let (door, url) = Door::open();
        let scratch = tempfile::tempdir().unwrap();
        let target = start_target(&format!("{{ http = {{ url = \"{url}\" }} }}"), scratch.path());
        let step = http("/", &format!("method = 'POST', {key} = '{}' }} }}", path.display()));
        let rig = Rig::new(&[&step]).endpoint("api", target.unwrap().endpoint());
        let ran = rig.rows(users(Pick::InTurn)).run("tokio", 2);
        assert_eq!(ran.wrong(), None);
        let door = door.lock().unwrap();
        let length: usize = door.bodies.iter().map(Vec::len).sum();
        assert_eq!(ran.tallies[0].done.sent, length as u64);
        door.bodies.clone()
    };
    let filled = |id: u32, name: &str| {
        format!("{{\n \"id\": \"{id}\",\n \"for\": \"{name}\"\n}}\n").into_bytes()
    };
    assert_eq!(sent("body_file", &order), [filled(0, "ann"), filled(1, "bob")]);
    assert_eq!(sent("body_raw", &raw), vec![b"\xff\x00${i}\r\n".to_vec(); 2]);
    let both = format!("body = 'x', body_file = '{}' }} }}", order.display());
    let wrong = errors_of(&http("/", &both));
    assert!(wrong.len() == 1 && wrong[0].contains("`body` says what is sent already"), "{wrong:?}");
    let none = errors_of(&http("/", "body_raw = 'no/such.bin' } }"));
    assert!(none.len() == 1 && none[0].contains("cannot read `no/such.bin`"), "{none:?}");
    let told =
        read_step(&http("/", &format!("body_raw = '{}' }} }}", raw.display()))).unwrap().told();
    assert!(told.unwrap_err().contains("`body_raw`"));
}

#[test]
fn values_and_rows_are_arguments_of_statements() {
    let login =
        http("/login", "take = { token = { header = 'x-token' }, id = { json = '/user/id' } } } }");
    let args = "['${value:id}', 'u${value:id}', '${value:id}', '${value:token}', '${row:users.id}', '${row:users.name}']";
    let query = "SELECT 1 WHERE typeof(?) = 'integer' AND ? = 'u' || ? AND typeof(?) = 'text' \
                 AND typeof(?) = 'integer' AND ? IN ('ann', 'bob', 'eve')";
    let sql = format!(
        "{{ sql = {{ target = 'db', query = \"{query}\", args = {args} }}, expect = {{ rows = 1 }} }}"
    );
    for executor in EXECUTORS {
        let (door, url) = Door::open();
        let scratch = tempfile::tempdir().unwrap();
        let api = start_target(&format!("{{ http = {{ url = \"{url}\" }} }}"), scratch.path());
        let db = start_target("{ sql = { rows = 1 } }", scratch.path()).unwrap();
        let rig = Rig::new(&[&login, &sql]).rows(users(Pick::InTurn));
        let rig = rig.endpoint("api", api.unwrap().endpoint()).endpoint("db", db.endpoint());
        let ran = rig.slots(2).run(executor, 3);
        assert_eq!((ran.wrong(), ran.tallies[1].ended), (None, 6), "{executor}");
        assert_eq!(door.lock().unwrap().given.len(), 6);
        // One that nobody has taken is told.
        let rig = Rig::new(&[&sql]).rows(users(Pick::InTurn)).endpoint("db", db.endpoint());
        let wrong = rig.run(executor, 1).wrong().unwrap_or_default();
        assert!(wrong.contains("no step has taken `${value:id}` in this run"), "{wrong}");
    }
}
