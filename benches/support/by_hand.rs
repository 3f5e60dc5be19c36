//! The queries of a plan as one would write them by hand with tokio-postgres: a task per client, a
//! connection and a prepared statement each, and no harness.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
};

use regatta::{client::postgres, draw, targets::sql::Server};
use tokio::{net::TcpStream, runtime::Builder};
use tokio_postgres::{Client, NoTls};

use crate::support::Sample;

/// When to end, and what was done.
#[derive(Default)]
struct LoadShared {
    over: AtomicBool,
    completed: AtomicU64,
}

/// Runs `clients` clients on tokio with `workers` workers as long as `window` lasts, which may read
/// how many queries are completed.
pub fn run(
    server: &Server,
    workers: usize,
    clients: u64,
    window: impl FnOnce(&dyn Fn() -> u64) -> Sample,
) -> Sample {
    let runtime = Builder::new_multi_thread().worker_threads(workers).enable_all().build().unwrap();
    let shared: Arc<LoadShared> = Arc::default();
    let config =
        postgres::config(&server.address, "by hand", &[("search_path", &server.schema)]).unwrap();
    let place = (server.address.host.clone(), server.address.port);
    let client = |number| {
        let (config, place, shared) = (config.clone(), place.clone(), shared.clone());
        runtime.spawn(async move {
            let stream = TcpStream::connect(place).await.unwrap();
            stream.set_nodelay(true).unwrap();
            let (client, connection) = config.connect_raw(stream, NoTls).await.unwrap();
            tokio::spawn(connection);
            ask(&client, number, &shared).await;
        })
    };
    let clients: Vec<_> = (0..clients).map(client).collect();
    let sample = window(&|| shared.completed.load(Relaxed));
    shared.over.store(true, Relaxed);
    // Without one of them it would have been less work.
    for client in clients {
        runtime.block_on(client).unwrap();
    }
    sample
}

async fn ask(client: &Client, number: u64, shared: &LoadShared) {
    let statement = client.prepare("SELECT price FROM items WHERE id = $1").await.unwrap();
    for turn in 0.. {
        if shared.over.load(Relaxed) {
            return;
        }
        let key = i64::try_from(draw::mix(number, turn) % 10_000 + 1).unwrap();
        let row = client.query_one(&statement, &[&key]).await.unwrap();
        let _: i64 = row.get(0);
        shared.completed.fetch_add(1, Relaxed);
    }
}
