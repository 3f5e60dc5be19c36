//! Clients of a pool of one connection: under executors whose semaphore gives it to who asks first,
//! most of them starve, and the run says so by name.

use regatta::analysis::{Validity, analyse};

use super::{
    bench_dir::BenchDir,
    own_postgres,
    postgres::{run, scenario},
};

#[test]
fn a_pool_of_one_starves_clients_under_smol_and_async_std_and_says_why() {
    let Some(url) = own_postgres::shared() else { return };
    let executors = "duration = \"500ms\"\n[executors]\nuse = [\"tokio\", \"smol\", \"async-std\"]\nworkers = 1";
    let steps = "{ sql = { target = \"db\", query = \"SELECT name FROM items WHERE id = 7\" }, name = \"call\" }";
    let target = "schema = \"regatta_it_starved\", pool = { max = 1 }";
    let bench = BenchDir::new();
    run(&bench, &url, &scenario(target, executors, steps, "closed = { concurrency = 8 }"));
    let stored = bench.stored("out");
    let analysis = analyse(&stored);
    let mut seen = 0;
    for cell in analysis.cells() {
        let starved = cell.judgement.validity == Validity::Starved;
        assert_eq!(starved, cell.executor != "tokio", "{}: {:?}", cell.name, cell.judgement);
        if starved {
            let why = cell.judgement.reason().expect("it is told");
            assert!(
                why.contains("the semaphore of async-lock gives a place to who asks first"),
                "{why}"
            );
            seen += 1;
        }
    }
    assert_eq!(seen, 2);
    for format in ["human", "markdown", "html", "json", "csv"] {
        let text = bench.run(&format!("report out --format {format}")).exits(0).out;
        assert!(
            text.contains("STARVED") && text.contains("the semaphore of async-lock"),
            "{format}"
        );
    }
}
