//! The life of connections, under every executor: when they are opened, what becomes of one that
//! the server has closed, and what is said of both.

use std::sync::atomic::Ordering::SeqCst;

use regatta::{
    measure::Measurements,
    runtime::EXECUTORS,
    store::{Outcome, Run},
};

use crate::{
    bench_dir::wait_for,
    odd_server::{OddServer, Talk},
    race::{measured, race},
};

const ONCE: &str = "[run]\nrounds = 1\nwarmup = \"0s\"\ntimeout = \"60s\"\n";
const BRIEF: &str = "[run]\nrounds = 1\nwarmup = \"0s\"\nduration = \"300ms\"\ntimeout = \"60s\"\n";

/// A race of tasks against the server at `url`.
fn against(url: &str, run: &str, tasks: &str) -> Run {
    race(&format!("{run}[targets.own]\nhttp = {{ url = \"{url}\" }}\n{tasks}"), &[])
}

/// A step that asks the server.
fn get(more: &str) -> String {
    format!(
        "{{ http = {{ target = \"own\", path = \"/\" }}, expect = {{ status = 200, bytes = 5 }}{more} }}"
    )
}

/// A task of one request, and a load of it.
fn one_request(more: &str, load: &str) -> String {
    format!("[tasks.call]\nsteps = [{}]\n[load.l]\ntask = \"call\"\n{load}\n", get(more))
}

/// One request, and then the connection is closed, as HTTP/1.0 has it.
fn as_of_old(mut talk: Talk) {
    if talk.next() {
        talk.send("HTTP/1.0 200 OK\r\ncontent-length: 5\r\n\r\nhello");
    }
}

/// As many requests as there are.
fn keeps_open(mut talk: Talk) {
    while talk.next() {
        talk.answer("");
    }
}

/// All cells are measured, one for each executor.
fn all_measured(run: &Run) {
    assert_eq!(measured(run).len(), EXECUTORS.len());
}

#[test]
fn a_server_that_serves_one_connection_at_a_time_is_never_kept_waiting() {
    let own = OddServer::one_at_a_time(as_of_old);
    let loads = [
        "open = { rate = \"50/s\" }",
        "batch = { tasks = 10, repeat = 2 }",
        "closed = { concurrency = 4, tasks = 20 }",
    ];
    for load in loads {
        all_measured(&against(own.url(), ONCE, &one_request("", load)));
    }
    // Connections that nobody needs yet: of children of a fan-out, and of branches that are not
    // drawn.
    let nested = format!(
        "[tasks.root]\nsteps = [{{ parallel = {{ task = \"pick\", count = 3 }} }}]\n\
         [tasks.pick]\nsteps = [{{ choice = {{ of = [{{ task = \"one\" }}, {{ task = \"other\" }}] }} }}]\n\
         [tasks.one]\nsteps = [{0}]\n[tasks.other]\nsteps = [{0}]\n\
         [load.l]\ntask = \"root\"\nclosed = {{ concurrency = 2, tasks = 10 }}\n",
        get("")
    );
    all_measured(&against(own.url(), ONCE, &nested));
}

#[test]
fn an_open_load_opens_as_many_connections_as_it_uses() {
    let own = OddServer::start(keeps_open);
    let run = against(own.url(), BRIEF, &one_request("", "open = { rate = \"40/s\" }"));
    for (cell, measured) in measured(&run) {
        assert_eq!(measured.arrivals.as_ref().unwrap().scheduled, 12, "{cell}");
    }
    // Twelve arrivals need twelve connections at most, and 1024 may be in flight.
    let (used, trials) = (own.seen().used.load(SeqCst), run.trials.len() as u64);
    assert!(used <= 12 * trials, "{used} in {trials} trials");
}

#[test]
fn what_cannot_be_opened_is_an_error_of_the_call_that_needs_it() {
    // After the target's look and the connection of preparation nobody listens any more.
    let few = "closed = { concurrency = 2, tasks = 10 }";
    for executor in ["threads", "tokio", "async-std"] {
        let only = format!("{ONCE}[executors]\nuse = [\"{executor}\"]\n");
        let own = OddServer::of_few(2, keeps_open);
        let run = against(own.url(), &only, &one_request(", allow = { errors = true }", few));
        for (cell, measured) in measured(&run) {
            assert_eq!(measured.completed, 10, "{cell}");
        }
        let own = OddServer::of_few(2, keeps_open);
        let run = against(own.url(), &only, &one_request("", few));
        let Outcome::Failed(failure) = &run.trials[0].outcome else {
            panic!("{executor}: it was measured")
        };
        assert!(failure.reason.contains(own.url()), "{executor}: {}", failure.reason);
    }
}

/// A task of one request of this method; so many tasks by so many clients.
fn requests(method: &str, more: &str, load: &str) -> String {
    format!(
        "[tasks.call]\nsteps = [{{ http = {{ target = \"own\", path = \"/\", method = \"{method}\" }}, name = \"it\", \
         expect = {{ status = 200 }}{more} }}]\n[load.l]\ntask = \"call\"\nclosed = {{ {load} }}\n"
    )
}

/// One executor, once.
fn only(executor: &str) -> String {
    format!("{ONCE}[executors]\nuse = [\"{executor}\"]\n")
}

/// What a target counted.
fn count(measured: &Measurements, name: &str) -> u64 {
    measured.trial.targets[0].counts.get(name).copied().unwrap_or(0)
}

/// Answers as `answer` says, so many times, and closes the connection.
fn closing_after(requests: u64, answer: impl Fn(&mut Talk) + Send + Sync + 'static) -> OddServer {
    OddServer::start(move |mut talk| {
        while talk.requests < requests && talk.next() {
            answer(&mut talk);
        }
    })
}

#[test]
fn a_connection_that_the_server_has_closed_is_replaced() {
    let without_a_word = |requests| closing_after(requests, |talk: &mut Talk| talk.answer(""));
    let servers = [
        ("closed after each answer", 1, without_a_word(1)),
        ("closed after three answers", 3, without_a_word(3)),
        (
            "closed after each answer, and said so",
            1,
            closing_after(1, |talk| talk.answer("connection: close\r\n")),
        ),
        (
            "the body ends with the connection",
            1,
            closing_after(1, |talk| talk.send("HTTP/1.1 200 OK\r\n\r\nhello")),
        ),
        (
            "reset after each answer",
            1,
            OddServer::start(|mut talk| {
                if talk.next() {
                    talk.answer("");
                    talk.reset();
                }
            }),
        ),
    ];
    for (what, each, own) in &servers {
        let run = against(own.url(), ONCE, &requests("GET", "", "concurrency = 2, tasks = 24"));
        let all = measured(&run);
        assert_eq!(all.len(), EXECUTORS.len(), "{what}");
        for (cell, measured) in all {
            assert_eq!(
                (measured.completed, measured.steps[0].stream.errors),
                (24, 0),
                "{what}: {cell}"
            );
            let (opened, reopened) =
                (count(measured, "connections opened"), count(measured, "connections reopened"));
            assert!(opened >= 24 / each, "{what}: {cell}: {opened}");
            // The first of each slot is no other one's successor.
            assert!((1..=2).contains(&(opened - reopened)), "{what}: {cell}: {opened}, {reopened}");
            assert_eq!(count(measured, "connections closed"), opened, "{what}: {cell}");
            let said = &measured.trial.facts["own: connections"];
            assert!(said.starts_with(&format!("{opened} opened")), "{what}: {cell}: {said}");
        }
    }
}

/// The task asks for a change on a connection that the server closes after each answer, and then
/// for something that is answered only when that has been done.
fn changes_with_closed_connections(method: &str) -> (OddServer, String) {
    let own = OddServer::start(|mut talk| {
        while talk.next() {
            if talk.path != "/closed" {
                return talk.answer("");
            }
            let seen = talk.seen.clone();
            wait_for("closed connections", || {
                (seen.closed.load(SeqCst) == seen.changes.load(SeqCst)).then_some(())
            });
            talk.answer("");
        }
    });
    let tasks = format!(
        "[tasks.call]\nsteps = [{{ http = {{ target = \"own\", path = \"/\", method = \"{method}\", body = \"x\" }} }}, \
         {{ http = {{ target = \"own\", path = \"/closed\", connection = \"per-call\" }} }}]\n\
         [load.l]\ntask = \"call\"\nclosed = {{ concurrency = 1, tasks = 6, think = \"20ms\" }}\n"
    );
    (own, tasks)
}

#[test]
fn a_change_is_not_sent_on_a_connection_that_is_known_to_be_closed() {
    for method in ["POST", "PATCH"] {
        let (own, tasks) = changes_with_closed_connections(method);
        let run = against(own.url(), ONCE, &tasks);
        all_measured(&run);
        assert_eq!(
            own.seen().changes.load(SeqCst),
            6 * run.trials.len() as u64,
            "{method}: each was made once"
        );
    }
}

/// Answers the first request of all, and then reads one after another and closes the connection
/// upon it.
fn deserts_after_the_first() -> OddServer {
    OddServer::start(|mut talk| {
        while talk.next() && talk.seen.requests.load(SeqCst) == 1 {
            talk.answer("");
        }
    })
}

#[test]
fn what_may_have_been_done_is_sent_once_more_only_where_that_is_the_same() {
    let two = "concurrency = 1, tasks = 2";
    for executor in EXECUTORS.iter().map(|info| info.name) {
        for (method, requests_made) in
            [("GET", 3), ("HEAD", 3), ("PUT", 3), ("DELETE", 3), ("POST", 2), ("PATCH", 2)]
        {
            let own = deserts_after_the_first();
            let run = against(own.url(), &only(executor), &requests(method, "", two));
            let Outcome::Failed(failure) = &run.trials[0].outcome else {
                panic!("{executor}, {method}: measured")
            };
            // The first, the second, and the second once more.
            assert_eq!(
                own.seen().requests.load(SeqCst),
                requests_made,
                "{executor}, {method}: {}",
                failure.reason
            );
            let says_why = failure.reason.contains("it was not sent again");
            assert_eq!(says_why, requests_made == 2, "{executor}, {method}: {}", failure.reason);
        }
        let own = deserts_after_the_first();
        let run = against(
            own.url(),
            &only(executor),
            &requests("POST", ", allow = { errors = true }", two),
        );
        for (cell, measured) in measured(&run) {
            assert_eq!((measured.completed, measured.steps[0].stream.errors), (2, 1), "{cell}");
        }
    }
}

#[test]
fn an_answer_that_has_begun_is_never_asked_for_again() {
    for part in ["HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhe", "HTTP/1.1 200 OK\r\ncont"] {
        for executor in EXECUTORS.iter().map(|info| info.name) {
            let own = OddServer::start(move |mut talk| {
                while talk.next() {
                    if talk.requests == 2 {
                        return talk.send(part);
                    }
                    talk.answer("");
                }
            });
            let run = against(
                own.url(),
                &only(executor),
                &requests("GET", "", "concurrency = 1, tasks = 2"),
            );
            let Outcome::Failed(failure) = &run.trials[0].outcome else {
                panic!("{executor}: it was measured")
            };
            assert_eq!(own.seen().requests.load(SeqCst), 2, "{executor}: {}", failure.reason);
        }
    }
}

#[test]
fn the_embedded_server_has_accepted_what_was_opened() {
    let run = race(
        &format!(
            "{ONCE}[targets.api]\nhttp = {{}}\n[tasks.call]\nsteps = [{{ http = {{ target = \"api\", path = \"/\" }} }}, \
             {{ http = {{ target = \"api\", path = \"/\", connection = \"per-call\" }} }}]\n\
             [load.l]\ntask = \"call\"\nclosed = {{ concurrency = 3, tasks = 12 }}\n"
        ),
        &[],
    );
    for (cell, measured) in measured(&run) {
        let opened = count(measured, "connections opened");
        assert!((13..=15).contains(&opened), "{cell}: {opened}");
        let line =
            |what: &str| measured.trial.proof.iter().find(|line| line.what.contains(what)).unwrap();
        assert_eq!(line("connections opened to target api").found, opened.to_string(), "{cell}");
        assert_eq!(line("connections still open to target api").found, "0", "{cell}");
    }
}
