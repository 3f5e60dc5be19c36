//! pgbench in place of an executor, or a hand-written loop: on the plan's target, with as many
//! connections as its load has clients.

use std::{
    io::Write as _,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use regatta::{
    measure::{ProcessTimes, Watched},
    scenario::LoadKind,
    targets::{
        Start,
        sql::{Database, Engine, Server},
    },
    trial::{TrialPlan, allowed_cpus, server::ProcessLauncher},
};

use crate::{
    by_hand,
    support::{Sample, pin},
};

/// The query of the scenario.
const SCRIPT: &str = "\\set id random(1, 10000)\nSELECT price FROM items WHERE id = :id;\n";
/// After its start and before its end pgbench does other things, too.
const EDGE: Duration = Duration::from_millis(400);

/// Whether the environment asks for the hand-written loop in pgbench's place.
pub fn is_by_hand() -> bool {
    std::env::var("REGATTA_AGAINST").is_ok_and(|other| other == "hand-written")
}

/// Runs the plan's queries with pgbench, or by hand.
pub fn run(plan: &TrialPlan) -> Sample {
    let scratch = tempfile::tempdir().unwrap();
    let launcher = ProcessLauncher {
        program: env!("CARGO_BIN_EXE_regatta").as_ref(),
        cpus: &plan.target_cpus,
        target: &plan.targets[0].spec,
        seed: 1,
    };
    let start = Start {
        name: "db",
        seed: 1,
        scratch: scratch.path(),
        launcher: &launcher,
        cpus: &[],
        prepares: true,
    };
    let target = plan.targets[0].spec.start(&start).unwrap();
    let database = target.endpoint().downcast::<Database>().unwrap();
    let Engine::Postgres(server) = &database.engine else {
        panic!("pgbench knows PostgreSQL only")
    };
    let LoadKind::Closed { concurrency, tasks, .. } = plan.loads[0].kind else {
        panic!("a closed load")
    };
    // What it starts stays there, too.
    pin(&plan.executor_cpus);
    if is_by_hand() {
        return by_hand::run(server, plan.setup.workers, concurrency, |completed| {
            window(std::process::id(), target.watched(), plan.duration, completed)
        });
    }
    let mut script = tempfile::NamedTempFile::new().unwrap();
    script.write_all(SCRIPT.as_bytes()).unwrap();
    let length = match tasks {
        Some(all) => format!("-t {}", all.div_ceil(concurrency)),
        None => format!("-T {}", plan.duration.as_secs()),
    };
    let own = if plan.executor == "threads" { concurrency } else { plan.setup.workers as u64 };
    let threads = std::env::var("REGATTA_PGBENCH_THREADS").unwrap_or_else(|_| own.to_string());
    let child = pgbench(server)
        .args(["-c", &concurrency.to_string(), "-j", &threads, "-f"])
        .arg(script.path())
        .args(length.split(' '))
        .spawn()
        .unwrap();
    match tasks {
        Some(_) => whole(child),
        None => in_window(child, target.watched(), plan.duration),
    }
}

/// pgbench on a server: what to do is to be added.
fn pgbench(server: &Server) -> Command {
    let address = &server.address;
    let mut command = Command::new("pgbench");
    command
        .args(["-n", "-M", "prepared"])
        // Not on the command line, which everybody on this host can read.
        .env("PGHOST", &address.host)
        .env("PGPORT", address.port.to_string())
        .env("PGUSER", &address.user)
        .env("PGPASSWORD", address.password.as_ref().map_or("", |password| password.reveal()))
        .env("PGDATABASE", address.database.as_deref().unwrap_or(&address.user))
        .env("PGOPTIONS", format!("-c search_path={}", server.schema))
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    command
}

/// A run that ends by queries: only its time is asked for.
fn whole(child: Child) -> Sample {
    let (completed, per_second) = said(child);
    Sample {
        window_ns: (completed as f64 / per_second * 1e9) as u64,
        completed,
        ..Sample::default()
    }
}

/// A run that ends by time.
fn in_window(child: Child, server: Option<Watched>, duration: Duration) -> Sample {
    let length = duration.checked_sub(EDGE * 2).expect("a window is longer than its edges");
    let sample = window(child.id(), server, length, || 0);
    let (_, per_second) = said(child);
    Sample { completed: (per_second * length.as_secs_f64()) as u64, ..sample }
}

/// What a process and the server use, and how many queries `completed` counts, where nothing but
/// queries is done.
fn window(
    pid: u32,
    server: Option<Watched>,
    length: Duration,
    completed: impl Fn() -> u64,
) -> Sample {
    let now =
        || (Watched::Process(pid).times(), server.as_ref().and_then(Watched::times), completed());
    thread::sleep(EDGE);
    let before = now();
    thread::sleep(length);
    let after = now();
    let used = |before: Option<ProcessTimes>, after: Option<ProcessTimes>| {
        before.zip(after).map(|(before, after)| after.cpu_ns - before.cpu_ns)
    };
    let window_ns = length.as_nanos() as u64;
    // Nobody has CPUs of its own.
    let available_ns = window_ns as f64 * allowed_cpus().len() as f64;
    Sample {
        window_ns,
        completed: after.2 - before.2,
        cpu_ns: used(before.0, after.0).unwrap(),
        target_busy: used(before.1, after.1).map(|cpu_ns| cpu_ns as f64 / available_ns),
    }
}

/// Transactions, and how many in a second, the time for connecting left out.
fn said(child: Child) -> (u64, f64) {
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let after = |words: &str| {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(words))
            .unwrap_or_else(|| panic!("{text}"));
        line.split(['/', ' ']).next().unwrap().to_owned()
    };
    let completed = after("number of transactions actually processed: ").parse().unwrap();
    (completed, after("tps = ").parse().unwrap())
}
