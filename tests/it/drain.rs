//! Tasks that never end, under every executor: the trial ends, says what it waits for, and its
//! account is exact.

use std::{
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    thread,
};

use regatta::{
    measure::Measurements,
    report::load_words,
    runtime::EXECUTORS,
    store::{FailureKind, Outcome, Run},
};

use crate::race::{measured, race};

/// A server on a free port that answers every request but those for `/9`: their connections stay
/// open, and nothing comes.
fn server() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || answer(stream));
        }
    });
    port
}

fn answer(stream: TcpStream) {
    let Ok(mut writer) = stream.try_clone() else { return };
    let mut path = String::new();
    for line in BufReader::new(stream).lines().map_while(Result::ok) {
        if let Some(rest) = line.strip_prefix("GET ") {
            rest.split(' ').next().unwrap_or_default().clone_into(&mut path);
        }
        let is_answered = line.is_empty() && path != "/9";
        if is_answered
            && writer.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").is_err()
        {
            return;
        }
    }
}

/// Races GETs of `/0`, `/1`, … under a load, in a pool of two threads.
fn gets(run: &str, load: &str, executors: &str) -> Run {
    let port = server();
    race(
        &format!(
            "[run]\nrounds = 1\n{run}\n[executors]\n{executors}\n[executors.thread-pool]\nsize = 2\n\
             [targets.api]\nhttp = {{ url = \"http://127.0.0.1:{port}\" }}\n\
             [tasks.request]\nsteps = [{{ http = {{ target = \"api\", path = \"/${{i}}\" }}, name = \"get\" }}]\n\
             [load.clients]\ntask = \"request\"\n{load}\n"
        ),
        &[],
    )
}

/// What was proven of one thing: expected and found.
fn proven<'a>(measured: &'a Measurements, what: &str) -> (&'a str, &'a str) {
    let line = measured
        .trial
        .proof
        .iter()
        .find(|line| line.what == what)
        .unwrap_or_else(|| panic!("nothing of {what}"));
    (&line.expected, &line.found)
}

#[test]
fn a_closed_load_gives_up_what_hangs_at_its_end_and_says_where() {
    let load = "closed = { concurrency = 2, drain = \"150ms\" }";
    let run = gets("warmup = 0\nduration = \"300ms\"\ntimeout = \"60s\"", load, "");
    let all = measured(&run);
    assert_eq!(all.len(), EXECUTORS.len());
    for (cell, measured) in all {
        // One slot serves both clients under `sequential`, so that the other one waits for the
        // slot.
        let alone = cell.contains("::sequential");
        let task = &measured.task;
        assert_eq!(task.censored, if alone { 2 } else { 1 }, "{cell}");
        assert_eq!(task.count, task.latency.count(), "{cell}");
        assert!(task.count > task.censored && measured.completed > 0, "{cell}: {}", task.count);
        // It began before the end of the window, and was given up no earlier than the drain's
        // limit.
        assert!(task.latency.0.max() >= 149_000_000, "{cell}: {}", task.latency.0.max());
        assert_eq!(proven(measured, "clients that ended and were given up"), ("2", "2"), "{cell}");
        assert_eq!(
            proven(measured, "tasks recorded as censored").1,
            task.censored.to_string(),
            "{cell}"
        );
        let said = measured.unfinished.as_deref().unwrap_or_default();
        assert!(
            said.starts_with("1 of 2 clients still waits in `get` (task request) "),
            "{cell}: {said}"
        );
        assert!(said.contains(" after the end; its call is counted as censored"), "{cell}: {said}");
        assert_eq!(said.contains("; 1 more has not begun the next task"), alone, "{cell}: {said}");
    }
}

/// Clients that join, pause all together and come back: with two threads of a pool, one slot, or a
/// slot for each.
#[test]
fn clients_come_and_go_in_stages_under_every_executor() {
    let stages = "[{ clients = 1, for = \"100ms\" }, { to = 5, for = \"100ms\" }, { clients = 0, for = \"50ms\" }, \
                  { clients = 3, for = \"100ms\" }]";
    let load = format!("closed = {{ concurrency = 2, think = \"1ms\", stages = {stages} }}");
    let run = gets("warmup = \"50ms\"\ntimeout = \"60s\"", &load, "");
    let cell = &run.header.cells[0];
    let kind = &cell.loads[0].kind;
    assert_eq!(
        (load_words(kind).as_str(), kind.clients()),
        ("closed, 4 stages of 0 to 5 clients, think time 1ms", 5)
    );
    let all = measured(&run);
    assert_eq!(all.len(), EXECUTORS.len());
    for (cell, measured) in all {
        assert_eq!(measured.window_ns, 350_000_000, "{cell}");
        assert_eq!(proven(measured, "clients that ended and were given up"), ("5", "5"), "{cell}");
        assert!(measured.task.count > 0 && measured.task.censored == 0, "{cell}");
        assert_eq!(measured.clients, None, "{cell}: shares differ because the stages say so");
    }
}

/// What was given up goes on to call the target while that is asked what it has served.
#[test]
fn calls_of_tasks_that_were_given_up_may_or_may_not_be_served() {
    for load in [
        "closed = { concurrency = 4, drain = \"1ms\" }",
        "open = { rate = \"200/s\", drain = \"1ms\" }",
    ] {
        let run = race(
            &format!(
                "[run]\nrounds = 1\nwarmup = 0\nduration = \"300ms\"\ntimeout = \"60s\"\n\
                 [targets.api]\nhttp = {{ delay = \"1ms\" }}\n\
                 [tasks.call]\nsteps = [{{ http = {{ target = \"api\", path = \"/\" }} }}]\n\
                 [tasks.page]\nsteps = [{{ repeat = {{ task = \"call\", times = 40 }} }}]\n\
                 [load.l]\ntask = \"page\"\n{load}\n"
            ),
            &[],
        );
        for trial in &run.trials {
            let failed =
                if let Outcome::Failed(failure) = &trial.outcome { Some(failure) } else { None };
            // Under `sequential` not one open task may have ended in time: that is said, and is no
            // wrong work.
            assert!(
                failed.is_none_or(|it| it.kind != FailureKind::WrongResult),
                "{}: {failed:?}",
                trial.cell
            );
        }
    }
}

#[test]
fn the_drain_is_as_long_as_the_watchdog_leaves_room() {
    // A minute would be longer than the trial may live.
    let load = "closed = { concurrency = 2, drain = \"1m\" }";
    let run = gets(
        "warmup = 0\nduration = \"100ms\"\ntimeout = \"6s\"",
        load,
        "use = [\"threads\", \"tokio\"]",
    );
    for (cell, measured) in measured(&run) {
        assert_eq!(measured.task.censored, 1, "{cell}");
        assert!(measured.unfinished.is_some(), "{cell}");
    }
}

#[test]
fn a_load_that_ends_by_its_tasks_says_which_step_it_waits_in() {
    for load in ["batch = { tasks = 20, repeat = 1 }", "closed = { concurrency = 2, tasks = 20 }"] {
        let run = gets("warmup = 0\ntimeout = \"3s\"", load, "");
        assert_eq!(run.trials.len(), EXECUTORS.len());
        for trial in &run.trials {
            let Outcome::Failed(failure) = &trial.outcome else {
                panic!("{}: measured", trial.cell)
            };
            let (cell, reason) = (&trial.cell, &failure.reason);
            assert_eq!(failure.kind, FailureKind::TimedOut, "{cell}: {reason}");
            let expected = "the trial took longer than 3s and was killed: 1 task still waits in `get` (task request), for ";
            assert!(reason.starts_with(expected), "{cell}: {reason}");
        }
    }
}

#[test]
fn a_load_whose_every_client_hangs_says_so() {
    // The only client's tenth call is never answered, and the window begins after it.
    let load = "closed = { concurrency = 1, drain = \"50ms\" }";
    let run = "warmup = \"500ms\"\nduration = \"100ms\"\ntimeout = \"60s\"";
    let run = gets(run, load, "use = [\"smol\"]");
    let Outcome::Failed(failure) = &run.trials[0].outcome else { panic!("measured") };
    assert_eq!(failure.kind, FailureKind::TimedOut, "{}", failure.reason);
    let said = "no task completed in the measured window: 1 of 1 clients still waits in `get` (task request)";
    assert!(failure.reason.starts_with(said), "{}", failure.reason);
}
