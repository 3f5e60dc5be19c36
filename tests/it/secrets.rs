//! Tokens in requests: they come from the environment, arrive at the server, and are neither
//! written nor printed.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::Path,
    sync::{Arc, Mutex},
    thread,
};

use regatta::runtime::EXECUTORS;

use super::bench_dir::{BenchDir, Live, Seen, failures};

const TOKEN: &str = "s3cr3t-t0ken+with/odd=\"<signs>";
const KEY: &str = "k9x";
const BASE: &str = "hidden-base-path";
const SCENARIO: &str = r#"
schema = 1
name = "tokens"
[run]
rounds = 1
warmup = "0s"
timeout = "60s"
[params]
cookie = "${env:TOKEN}"
[targets.api]
http = { url = "${env:API_URL}" }
[tasks.request]
steps = [ { http = { target = "api", path = "/item/${i}?api_key=${env:KEY}", method = "POST", body = "${env:TOKEN}", headers = { Authorization = "Bearer ${env:TOKEN}", X-Api-Key = "${env:KEY}", Cookie = "${cookie}" } } } ]
[load.clients]
task = "request"
closed = { concurrency = 2, tasks = 6 }
"#;

/// A server that gives back all that it is sent. It sees the command lines of all processes while
/// it is asked.
struct Echo {
    url: String,
    seen: Arc<Mutex<Vec<String>>>,
    processes: Arc<Mutex<String>>,
}

impl Echo {
    fn start(status: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/{BASE}", listener.local_addr().unwrap());
        let echo = Self { url, seen: Arc::default(), processes: Arc::default() };
        let (seen, processes) = (echo.seen.clone(), echo.processes.clone());
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (seen, processes) = (seen.clone(), processes.clone());
                thread::spawn(move || serve(&stream, status, &seen, &processes));
            }
        });
        echo
    }
}

fn serve(stream: &TcpStream, status: &str, seen: &Mutex<Vec<String>>, processes: &Mutex<String>) {
    let mut reader = BufReader::new(stream);
    while let Some(request) = request(&mut reader) {
        let lines = || std::fs::read_dir("/proc").unwrap().flatten();
        let lines =
            lines().filter_map(|entry| std::fs::read_to_string(entry.path().join("cmdline")).ok());
        processes.lock().unwrap().extend(lines);
        seen.lock().unwrap().push(request.clone());
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-length: {}\r\nx-echo: {KEY}\r\n\r\n",
            request.len()
        );
        if (&mut &*stream).write_all(format!("{head}{request}").as_bytes()).is_err() {
            return;
        }
    }
}

fn request(reader: &mut BufReader<&TcpStream>) -> Option<String> {
    let (mut text, mut length) = (String::new(), 0);
    loop {
        let before = text.len();
        reader.read_line(&mut text).ok().filter(|&read| read > 0)?;
        let line = text[before..].trim_end().to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(text + &String::from_utf8(body).unwrap())
}

fn everything(folder: &Path, found: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            everything(&entry, found);
        } else {
            found.push_str(&String::from_utf8_lossy(&std::fs::read(entry).unwrap()));
        }
    }
}

fn call(bench: &BenchDir, arguments: &str, environment: &BTreeMap<&str, &str>) -> Seen {
    let mut command = bench.command(arguments);
    for name in ["TOKEN", "KEY", "API_URL"] {
        command.env_remove(name);
    }
    Live::new({
        command.envs(environment).env("RUST_BACKTRACE", "1");
        command
    })
    .end()
}

/// Runs the scenario verbosely, with all outputs, and fails if any of the secrets is anywhere.
fn run_and_search(
    bench: &BenchDir,
    echo: &Echo,
    environment: &BTreeMap<&str, &str>,
    code: i32,
) -> Seen {
    bench.write("s.toml", SCENARIO);
    let run = call(bench, "run -v --out out s.toml", environment).exits(code);
    let mut all = format!("{}{}", run.out, run.err);
    let outputs = ["table", "markdown", "json", "csv", "hlog"]
        .map(|format| format!("report out --format {format}"));
    let others =
        ["list s.toml", "check s.toml", "trial --plan out/plans/0001.json"].map(str::to_owned);
    for arguments in outputs.iter().chain(&others) {
        let seen = call(bench, arguments, environment);
        all.extend([seen.out, seen.err]);
    }
    everything(&bench.path(""), &mut all);
    // Command lines of others may say so.
    assert!(!all.contains("panicked"), "{all}");
    all += &echo.processes.lock().unwrap();
    let escaped = serde_json::to_string(TOKEN).unwrap();
    for secret in [TOKEN, escaped.trim_matches('"'), "s3cr3t", KEY, BASE] {
        let at = all.find(secret);
        let around =
            at.map(|at| all[at.saturating_sub(200)..].chars().take(400).collect::<String>());
        assert_eq!(around, None, "{secret}");
    }
    assert!(all.contains("${env:TOKEN}") && all.contains("${env:KEY}"));
    run
}

fn environment(echo: &Echo) -> BTreeMap<&'static str, &str> {
    BTreeMap::from([("TOKEN", TOKEN), ("KEY", KEY), ("API_URL", echo.url.as_str())])
}

#[test]
fn tokens_arrive_and_are_neither_written_nor_printed() {
    let (bench, echo) = (BenchDir::new(), Echo::start("200 OK"));
    run_and_search(&bench, &echo, &environment(&echo), 0);
    let seen = echo.seen.lock().unwrap();
    assert!(seen.len() >= 6 * EXECUTORS.len(), "{}", seen.len());
    for request in seen.iter() {
        let head = request.to_ascii_lowercase();
        assert!(
            request.starts_with(&format!("POST /{BASE}/item/"))
                && request.contains(&format!("?api_key={KEY} "))
        );
        assert!(request.ends_with(&format!("\r\n\r\n{TOKEN}")), "{request}");
        for header in [
            format!("authorization: bearer {TOKEN}"),
            format!("x-api-key: {KEY}"),
            format!("cookie: {TOKEN}"),
        ] {
            assert!(
                head.contains(&format!("\r\n{}\r\n", header.to_ascii_lowercase())),
                "{request}"
            );
        }
    }
}

#[test]
fn a_failure_that_tells_of_the_answer_does_not_tell_tokens() {
    let (bench, echo) = (BenchDir::new(), Echo::start("401 Unauthorized"));
    run_and_search(&bench, &echo, &environment(&echo), 5);
    let stored = bench.stored("out");
    let reasons: Vec<&str> =
        failures(&stored).iter().map(|(_, failure)| failure.reason.as_str()).collect();
    assert!(
        !reasons.is_empty()
            && reasons
                .iter()
                .all(|reason| reason.contains("401") && reason.contains("${env:API_URL}"))
    );
    // A connection that cannot be opened, and one that cannot be understood.
    for url in [format!("http://127.0.0.1:1/{BASE}"), format!("http://{BASE}.invalid/")] {
        let bench = BenchDir::new();
        let environment =
            BTreeMap::from([("TOKEN", TOKEN), ("KEY", KEY), ("API_URL", url.as_str())]);
        run_and_search(&bench, &echo, &environment, 5);
    }
}

#[test]
fn what_cannot_be_sent_is_told_before_anything_is_measured() {
    let echo = Echo::start("200 OK");
    let scenario = |environment: &BTreeMap<&str, &str>| {
        let bench = BenchDir::with(SCENARIO);
        let seen = call(&bench, "run --out out s.toml", environment);
        assert!(!seen.err.contains("s3cr3t") && !seen.out.contains("s3cr3t"), "{seen:#?}");
        assert!(bench.stored("out").trials.is_empty());
        // Neither needs the environment.
        call(&bench, "check s.toml", &BTreeMap::new()).exits(0);
        call(&bench, "list s.toml", &BTreeMap::new()).exits(0);
        let header = bench.stored("out").header;
        let words = |cell: &regatta::store::StoredCell| format!("{:?}", cell.absent);
        assert!(header.cells.iter().all(|cell| words(cell) == words(&header.cells[0])));
        words(&header.cells[0])
    };
    let line = |part: &str| {
        format!("s.toml:{}: ", SCENARIO.lines().position(|line| line.contains(part)).unwrap() + 1)
    };
    let good = environment(&echo);
    for (name, value, place, said) in [
        (
            "TOKEN",
            None,
            "cookie =",
            "the environment variable `TOKEN` is not set; write `export TOKEN=VALUE`",
        ),
        ("TOKEN", Some(""), "cookie =", "`TOKEN` is empty"),
        (
            "TOKEN",
            Some("s3cr3t\nline"),
            "cookie =",
            "`TOKEN` has a character that a header cannot have",
        ),
        ("KEY", Some("s3cr3t key"), "api_key", "`KEY` has a character that a path cannot have"),
        ("API_URL", None, "url =", "target `api`: the environment variable `API_URL` is not set"),
        (
            "API_URL",
            Some("s3cr3t"),
            "url =",
            "`API_URL` gives no url for this target: expected a url that starts with",
        ),
        (
            "API_URL",
            Some("http://me:s3cr3t@127.0.0.1:1"),
            "url =",
            "`API_URL` holds a user or a password",
        ),
    ] {
        let mut environment = good.clone();
        match value {
            Some(value) => environment.insert(name, value),
            None => environment.remove(name),
        };
        let why = scenario(&environment);
        assert!(why.contains(said) && why.contains(&line(place)), "{name}={value:?}: {why}");
    }
    assert!(echo.seen.lock().unwrap().is_empty());
}

#[test]
fn a_replay_without_the_variable_names_it() {
    let (bench, echo) = (BenchDir::new(), Echo::start("200 OK"));
    bench.write(
        "s.toml",
        SCENARIO.replace("[targets.api]", "[executors]\nuse = [\"tokio\"]\n[targets.api]"),
    );
    call(&bench, "run -v --out out s.toml", &environment(&echo)).exits(0);
    let mut environment = environment(&echo);
    environment.remove("KEY");
    let seen = call(&bench, "trial --plan out/plans/0001.json", &environment);
    assert!(format!("{}{}", seen.out, seen.err).contains("`KEY` is not set"), "{seen:#?}");
}
