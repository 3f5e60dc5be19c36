//! Servers that many people have, at their defaults, under every executor: nginx and uvicorn. They
//! close kept connections when they think fit, as real servers do.

use regatta::runtime::EXECUTORS;

use super::{
    bench_dir::{BenchDir, assert_complete},
    postgres::measured,
};

/// The address that the environment names. None, and a word about it, where there is none; in CI
/// that is a failure.
fn server(name: &str) -> Option<String> {
    let url = std::env::var(name).ok();
    if url.is_none() {
        crate::skip::skipped(&format!(
            "no server at {name} (scripts/services up, source target/services/env)"
        ));
    }
    url
}

/// Runs a load of requests for a path under every executor, and sees that each was answered.
fn answers_all(url: &str, path: &str, load: &str, requests: u64) {
    let bench = BenchDir::with(&format!(
        "schema = 1\nname = \"real\"\n[run]\nrounds = 1\nwarmup = \"0s\"\ntimeout = \"60s\"\n\
         [targets.api]\nhttp = {{ url = \"{url}\" }}\n\
         [tasks.get]\nsteps = [{{ http = {{ target = \"api\", path = \"{path}\" }}, name = \"fetch\", \
         expect = {{ status = 200, bytes = 12 }} }}]\n\
         [load.clients]\ntask = \"get\"\nclosed = {{ concurrency = 3, {load} }}\n"
    ));
    bench.run("run --out out s.toml").exits(0);
    let stored = bench.stored("out");
    assert_complete(&stored);
    let all = measured(&stored);
    assert_eq!(all.len(), EXECUTORS.len());
    for (cell, measured) in all {
        assert_eq!(measured.completed, requests, "{cell}");
    }
}

#[test]
fn nginx_at_its_defaults_answers_every_executor() {
    let Some(url) = server("REGATTA_TEST_NGINX_URL") else { return };
    answers_all(&url, "/", "tasks = 300", 300);
}

#[test]
fn nginx_that_ends_connections_under_way_answers_every_executor() {
    let Some(url) = server("REGATTA_TEST_NGINX_URL") else { return };
    answers_all(&url, "/ten", "tasks = 300", 300);
}

#[test]
fn nginx_that_ends_idle_connections_answers_every_executor() {
    let Some(url) = server("REGATTA_TEST_NGINX_URL") else { return };
    answers_all(&url, "/idle", "tasks = 9, think = \"200ms\"", 9);
}

#[test]
fn uvicorn_at_its_defaults_answers_every_executor() {
    let Some(url) = server("REGATTA_TEST_UVICORN_URL") else { return };
    answers_all(&url, "/", "tasks = 100", 100);
}
