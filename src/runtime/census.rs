//! Which threads this process has, by the names that the kernel knows.

use std::{collections::BTreeMap, fs};

/// How many threads of each name this process has now. Numbers at the end of a name are left out:
/// `pool-7` is a `pool`.
pub fn threads_by_name() -> BTreeMap<String, u64> {
    let tasks = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let names = tasks.filter_map(|task| fs::read_to_string(task.path().join("comm")).ok());
    let mut counts = BTreeMap::new();
    for name in names {
        *counts.entry(kind(&name)).or_insert(0) += 1;
    }
    counts
}

fn kind(name: &str) -> String {
    name.trim()
        .trim_end_matches(|c: char| c.is_ascii_digit())
        .trim_end_matches(['-', ' ', '#'])
        .to_owned()
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc::channel, thread::Builder};

    use super::*;

    #[test]
    fn threads_are_counted_by_name() {
        let (end, ended) = channel::<()>();
        let (ready, is_ready) = channel();
        let thread = Builder::new().name("counted-7".into()).spawn(move || {
            ready.send(()).unwrap();
            let _ = ended.recv();
        });
        is_ready.recv().unwrap();
        assert_eq!(threads_by_name().get("counted"), Some(&1));
        drop(end);
        thread.unwrap().join().unwrap();
        assert_eq!(
            (kind("blocking-12\n"), kind("tokio-rt-worker")),
            ("blocking".into(), "tokio-rt-worker".into())
        );
    }
}
