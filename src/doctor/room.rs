//! Checks of the build, of other runs, and of the room that limits leave for the plan.

use super::{Host, Judged, Need};
use crate::limits::{Limit, Limits};

/// Memory that should be left besides what the plan needs at least, in bytes: stacks, heaps and
/// targets.
const SPARE_MEMORY: u64 = 256 << 20;
/// How long a closed connection keeps its port, in s (the kernel's `TCP_TIMEWAIT_LEN`).
const PORT_KEPT_S: u64 = 60;

/// Whether the program is optimised.
pub(super) fn build(host: &Host, _: &Need) -> Judged {
    if host.debug_build {
        Judged::warn(
            "this is a debug build, whose figures mean nothing",
            "build with `cargo build --release`",
        )
    } else {
        Judged::fine("release")
    }
}

/// Whether another run is in progress.
pub(super) fn other_run(host: &Host, _: &Need) -> Judged {
    match &host.other_run {
        Some(pid) => Judged::refuse(format!("process {pid} is measuring"), "wait for its end"),
        None => Judged::fine("none"),
    }
}

/// Executors that this host does not let run. A plan that does without them is not disturbed.
pub(super) fn executors(host: &Host, need: &Need) -> Judged {
    let wanted = |(name, _): &&(String, String)| need.cells == 0 || need.executors.contains(name);
    let missing: Vec<String> = host
        .unavailable
        .iter()
        .filter(wanted)
        .map(|(name, why)| format!("{name} cannot run: {why}"))
        .collect();
    if missing.is_empty() {
        return Judged::fine("all that are wanted can run");
    }
    Judged::warn(
        missing.join("; "),
        "allow io_uring (sysctl kernel.io_uring_disabled=0; a container's seccomp profile), or leave it out (-e)",
    )
}

/// Cells that cannot run.
pub(super) fn plan(_: &Host, need: &Need) -> Judged {
    match need.refused.as_slice() {
        [] if need.cells == 0 => Judged::fine("no scenario was named"),
        [] => Judged::fine(format!("no limit forbids any of its cells ({})", need.cells)),
        [(cell, why), more @ ..] => {
            let rest = if more.is_empty() {
                String::new()
            } else {
                format!(" (and {} more cells)", more.len())
            };
            Judged::refuse(
                format!("{cell} {why}{rest}"),
                "`regatta list` shows each; `run --skip-refused` does without",
            )
        }
    }
}

/// Room for threads.
pub(super) fn threads(host: &Host, _: &Need) -> Judged {
    room(&host.limits.threads)
}

/// Room for open files.
pub(super) fn files(host: &Host, _: &Need) -> Judged {
    room(&host.limits.files)
}

fn room(limits: &[Limit]) -> Judged {
    Limits::binding(limits).map_or_else(
        || Judged::unknown("no limit can be read"),
        |Limit { left, name, .. }| Judged::fine(format!("room for {left} ({name})")),
    )
}

/// Room for memory.
pub(super) fn memory(host: &Host, need: &Need) -> Judged {
    let Some(Limit { left, name, remedy }) = Limits::binding(&host.limits.memory) else {
        return Judged::unknown("no limit can be read");
    };
    let words = format!("{} MiB left ({name})", left >> 20);
    if *left < need.memory.saturating_add(SPARE_MEMORY) {
        Judged::warn(
            format!("{words}, and the plan needs at least {} MiB", need.memory >> 20),
            *remedy,
        )
    } else {
        Judged::fine(words)
    }
}

/// Room for connections that are opened and closed.
pub(super) fn ports(host: &Host, need: &Need) -> Judged {
    let Some(Limit { left, name, remedy }) = Limits::binding(&host.limits.ports) else {
        return Judged::fine("used again after a second");
    };
    let words = format!(
        "{left} ({name}), or {} new connections a second to one remote address",
        left / PORT_KEPT_S
    );
    if need.remote_connections {
        Judged::warn(words, format!("keep connections (`connection = \"keep\"`), or `{remedy}`"))
    } else {
        Judged::fine(words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Fitness::{Fine, Refuse, Unknown, Warn};

    fn limit(left: u64) -> Vec<Limit> {
        vec![
            Limit { left: left + 1, name: "wide", remedy: "" },
            Limit { left, name: "narrow", remedy: "raise it" },
        ]
    }

    #[test]
    fn builds_and_other_runs() {
        let debug = Host { debug_build: true, ..Host::default() };
        let second = Host { other_run: Some("7".into()), ..Host::default() };
        let need = Need::default();
        assert_eq!((build(&debug, &need).fitness, build(&second, &need).fitness), (Warn, Fine));
        assert_eq!(
            (other_run(&debug, &need).fitness, other_run(&second, &need).fitness),
            (Fine, Refuse)
        );
        assert!(other_run(&second, &need).value.contains("process 7"));
    }

    #[test]
    fn an_executor_that_cannot_run_is_told_to_who_wants_it() {
        let why = "io_uring is unavailable here: EPERM";
        let host = Host { unavailable: vec![("compio".into(), why.into())], ..Host::default() };
        let judged = executors(&host, &Need::default());
        assert_eq!(judged.fitness, Warn);
        assert!(judged.value.contains(why) && judged.remedy.contains("io_uring_disabled"));
        let of =
            |name: &str| Need { cells: 1, executors: [name.to_owned()].into(), ..Need::default() };
        assert_eq!(executors(&host, &of("compio")).fitness, Warn);
        assert_eq!(executors(&host, &of("tokio")).fitness, Fine);
        assert_eq!(executors(&Host::default(), &of("compio")).fitness, Fine);
    }

    #[test]
    fn refused_cells_are_counted() {
        let cell = |name: &str| (name.to_owned(), "needs 9 threads".to_owned());
        let need =
            Need { refused: vec![cell("x::threads"), cell("y")], cells: 3, ..Need::default() };
        let judged = plan(&Host::default(), &need);
        assert_eq!(judged.fitness, Refuse);
        assert_eq!(judged.value, "x::threads needs 9 threads (and 1 more cells)");
        assert_eq!(plan(&Host::default(), &Need { cells: 3, ..Need::default() }).fitness, Fine);
    }

    #[test]
    fn the_narrowest_limit_is_named() {
        let limits = Limits { threads: limit(5), files: limit(9), ..Limits::default() };
        let host = Host { limits, ..Host::default() };
        assert_eq!(threads(&host, &Need::default()), Judged::fine("room for 5 (narrow)"));
        assert_eq!(files(&host, &Need::default()), Judged::fine("room for 9 (narrow)"));
        assert_eq!(threads(&Host::default(), &Need::default()).fitness, Unknown);
    }

    #[test]
    fn memory_has_to_be_more_than_enough() {
        let host = |left| Host {
            limits: Limits { memory: limit(left), ..Limits::default() },
            ..Host::default()
        };
        let need = Need { memory: 1 << 20, ..Need::default() };
        assert_eq!(memory(&host(257 << 20), &need).fitness, Fine);
        assert_eq!(memory(&host((257 << 20) - 1), &need).fitness, Warn);
        assert_eq!(memory(&Host::default(), &need).fitness, Unknown);
    }

    #[test]
    fn ports_matter_where_connections_are_opened_and_closed() {
        let host = Host {
            limits: Limits { ports: limit(28_232), ..Limits::default() },
            ..Host::default()
        };
        let remote = Need { remote_connections: true, ..Need::default() };
        assert_eq!(ports(&host, &Need::default()).fitness, Fine);
        let judged = ports(&host, &remote);
        assert!(
            judged.fitness == Warn && judged.value.contains("470 new connections"),
            "{judged:?}"
        );
        assert_eq!(ports(&Host::default(), &remote).fitness, Fine);
    }
}
