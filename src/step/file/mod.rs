//! `file`: writes, reads, appends to or scans a file of a directory target.
//!
//! Everything goes through `std::fs`, on every executor: what differs is the thread that waits.
//! `work.rs` holds the system calls, `tests.rs` the tests.

mod work;

use std::{io, marker::PhantomData, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use self::work::{Action, FileWork};
use super::{
    BlockingChoice, BuildError, Call, Cost, Done, Failure, Lookup, Operation, PoolBeside, Site,
    Step, StepKind, StepOutcome, TargetUse, Template, Workplace,
};
use crate::{
    config::{Diagnostics, Field, Fields, Name, Node, choice_schema, quote, read_choice},
    runtime::{Native, Runtime},
    targets::{
        TargetKind, TargetSpec,
        directory::{Directory, Folder, LOG, SEEDED},
    },
    units::{Size, format_size},
};

/// Most bytes that one call writes: they are kept in memory, once for all slots.
const MOST_BYTES: u64 = 1 << 30;

/// What opening and closing a file takes on an ordinary machine of 2024; the figures of this kind
/// are for estimates.
const NOMINAL_CALL: Duration = Duration::from_micros(15);
/// What a byte takes to be copied to or from the page cache and digested, in ns.
const NOMINAL_BYTE_NS: f64 = 0.5;
/// What a line takes to be split off and searched, in ns.
const NOMINAL_LINE_NS: f64 = 80.0;
/// What a disk takes to say that data is safe; nothing computes meanwhile.
const NOMINAL_FSYNC: Duration = Duration::from_millis(2);

/// An operation on a file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FileAction {
    target: Name,
    op: Op,
    /// Not of `scan`, which reads the log.
    path: Option<Template>,
    /// Of `write` and `append`, and of `read` where a step made the file.
    bytes: Option<Size>,
    /// Of `scan`.
    pattern: Option<String>,
    fsync: bool,
    blocking: BlockingChoice,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Op {
    /// Makes or empties a file and writes it.
    Write,
    /// Reads a file to its end.
    Read,
    /// Writes behind the end of a file.
    Append,
    /// Counts the lines of the log that contain a pattern.
    Scan,
}

const OPS: &[(&str, Op)] =
    &[("write", Op::Write), ("read", Op::Read), ("append", Op::Append), ("scan", Op::Scan)];

impl Op {
    fn name(self) -> &'static str {
        OPS.iter().find(|(_, op)| *op == self).map_or("", |(name, _)| name)
    }

    /// The keys that go with it, apart from those of all.
    fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Write | Self::Append => &["path", "bytes", "fsync"],
            Self::Read => &["path", "bytes"],
            Self::Scan => &["pattern"],
        }
    }

    /// The file, where the scenario names none. A task writes its own file, so that no two meet.
    fn default_path(self) -> &'static str {
        match self {
            Self::Write => "out-${i}-${j}.bin",
            Self::Read => "file-${i}",
            Self::Append => "append.bin",
            Self::Scan => LOG,
        }
    }
}

impl Field for Op {
    fn schema() -> serde_json::Value {
        choice_schema(OPS)
    }

    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        read_choice(node, OPS, diagnostics)
    }
}

impl StepKind for FileAction {
    const KEY: &'static str = "file";
    const DOC: &'static str = "Writes, reads, appends to or scans a file of a directory target.";
    const PROOF: &'static str = "what was written and appended is in the folder at the end, what was read has its \
         digest, and a scan finds the lines that the log has";

    fn read(op: &mut Fields<'_>, _step: &mut Fields<'_>) -> Option<Self> {
        let target = op.required("target", "The directory target.");
        let kind = op.required(
            "op",
            "`write` makes or empties a file and fills it, `read` reads one to its end, `append` writes behind its \
             end, `scan` counts the lines of `log.txt` that contain `pattern`.",
        );
        let path = op.optional(
            "path",
            "The file's name in the folder; may contain `${i}`, `${j}`, `${uniform(a,b)}` and `${zipf(n,s)}`. Default: \
             `out-${i}-${j}.bin` of `write`, `append.bin` of `append`, `file-${i}` of `read`, whose `file-` numbers \
             start again after the last seeded file.",
        );
        let bytes = op.optional(
            "bytes",
            "How many bytes `write` and `append` write, by default 4KiB; with `read`: the length of a file that a \
             `write` step has made.",
        );
        let pattern = op.optional(
            "pattern",
            "What `scan` looks for, by default `ERROR`, which is a level of the log.",
        );
        let fsync =
            op.or("fsync", false, "Whether `write` and `append` wait until the disk has the data.");
        let doc = "`offload` uses the executor's pool for blocking work, `own-pool` one apart from the executor, `inline` the thread that runs the task, which waits.";
        let blocking = op.or("blocking", BlockingChoice::Offload, doc);
        let file = Self { target: target?, op: kind?, path, bytes, pattern, fsync, blocking };
        file.check(op);
        Some(file)
    }

    fn targets(&self) -> Vec<TargetUse<'_>> {
        vec![TargetUse { name: &self.target, kind: Directory::KEY }]
    }

    fn pool_beside(&self) -> Option<PoolBeside> {
        self.blocking.pool_beside()
    }

    fn cancellable(&self, _: Lookup<'_, '_>) -> bool {
        false
    }

    fn cost<'a>(&self, target: &dyn Fn(&str) -> Option<&'a TargetSpec>) -> Cost {
        let (bytes, lines) = match target(&self.target.text) {
            Some(TargetSpec::Directory(directory)) => (directory.bytes.0, directory.lines),
            _ => (0, 0),
        };
        let ns = match self.op {
            Op::Scan => lines as f64 * NOMINAL_LINE_NS,
            Op::Read => self.bytes.map_or(bytes, |bytes| bytes.0) as f64 * NOMINAL_BYTE_NS,
            Op::Write | Op::Append => self.length() as f64 * NOMINAL_BYTE_NS,
        };
        let cpu = NOMINAL_CALL + Duration::from_nanos(ns as u64);
        // The least is zero: how fast a file system can be is not known.
        Cost {
            mean: cpu + if self.fsync { NOMINAL_FSYNC } else { Duration::ZERO },
            cpu,
            ..Cost::default()
        }
    }

    fn build<R: Runtime>(&self, site: &Site<R>) -> Result<Box<dyn Step>, BuildError> {
        let folder: Arc<Folder> = site.endpoint(&self.target.text)?;
        let path = match &self.path {
            Some(path) => path.clone(),
            None => Template::parse(self.op.default_path()).map_err(BuildError)?,
        };
        if self.op == Op::Append {
            folder.will_grow();
        }
        // The bytes are made here and not in the first call.
        let action = self.action(&folder, &path);
        let (blocking, seed) = (self.blocking.at(site)?, site.seed());
        Ok(site.operation(move || FileOperation::<R::Native> {
            work: Some(FileWork::new(folder.clone(), action.clone())),
            path: path.clone(),
            seed,
            blocking: blocking.clone(),
            native: PhantomData,
        }))
    }
}

impl FileAction {
    /// How many bytes a call writes.
    fn length(&self) -> u64 {
        self.bytes.map_or(4 << 10, |bytes| bytes.0)
    }

    fn action(&self, folder: &Arc<Folder>, path: &Template) -> Action {
        if self.fsync {
            folder.will_sync();
        }
        match self.op {
            Op::Write => {
                Action::Write { contents: folder.contents(self.length()), fsync: self.fsync }
            }
            Op::Append => Action::Append {
                contents: folder.contents(self.length()),
                fsync: self.fsync,
                growth: path.constant().map(|name| folder.growth(&name)),
            },
            Op::Read => Action::Read { made: self.bytes.map(|bytes| folder.contents(bytes.0)) },
            Op::Scan => {
                Action::Scan { pattern: self.pattern.clone().unwrap_or_else(|| "ERROR".to_owned()) }
            }
        }
    }

    /// Reports what each key alone cannot see.
    fn check(&self, fields: &mut Fields<'_>) {
        let (name, keys) = (self.op.name(), self.op.keys());
        for key in ["path", "bytes", "pattern", "fsync"] {
            if fields.has(key) && !keys.contains(&key) {
                let with = keys.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ");
                let message = format!("`{key}` does not go with `op = \"{name}\"`");
                fields.reject(key, message, Some(format!("remove it; with `{name}` go {with}")));
            }
        }
        if self.bytes.is_some_and(|bytes| bytes.0 > MOST_BYTES) {
            fields.reject("bytes", format!("at most {} at a time", format_size(MOST_BYTES)), None);
        }
        if self
            .pattern
            .as_deref()
            .is_some_and(|pattern| pattern.is_empty() || pattern.contains('\n'))
        {
            let help = "`pattern = \"ERROR\"` counts the lines of that level".to_owned();
            fields.reject("pattern", "a pattern is part of one line, and not empty", Some(help));
        }
        if let Some(path) = &self.path
            && let Some((message, help)) = self.wrong_path(path.text())
        {
            fields.reject("path", message, Some(help));
        }
    }

    /// What is wrong with a path, and the remedy. Keys become numbers, so only the text around them
    /// can leave the folder.
    fn wrong_path(&self, path: &str) -> Option<(String, String)> {
        if path.is_empty() || path == "." || path == ".." || path.contains(['/', '\0']) {
            let example = self.op.default_path();
            let help =
                format!("name a file in the target's folder, without `/`, such as `{example}`");
            return Some((format!("{} would leave the target's folder", quote(path)), help));
        }
        let is_seeded = path == LOG || path.starts_with(SEEDED);
        match self.op {
            Op::Read if self.bytes.is_none() && !is_seeded => {
                let help = format!(
                    "read a seeded file, such as `{SEEDED}${{i}}` or `{LOG}`, or give the `bytes` of the file that a \
                     `write` step makes"
                );
                Some((format!("{} is no seeded file", quote(path)), help))
            }
            Op::Read if self.bytes.is_some() && is_seeded => {
                let help = "remove `bytes`: the length of seeded files is known".to_owned();
                Some((
                    format!("{} is a seeded file, and none that a `write` step makes", quote(path)),
                    help,
                ))
            }
            // `file${uniform(-9,-1)}` would be one, too.
            Op::Write | Op::Append if is_seeded || path.starts_with("file$") => {
                let help = format!("use another name, such as `{}`", self.op.default_path());
                Some((
                    format!("{} is a seeded file, which other steps may read", quote(path)),
                    help,
                ))
            }
            _ => None,
        }
    }
}

/// The state of one slot.
struct FileOperation<N> {
    /// None only while it is done elsewhere.
    work: Option<FileWork>,
    path: Template,
    seed: u64,
    blocking: Workplace,
    native: PhantomData<fn() -> N>,
}

impl<N: Native> Operation for FileOperation<N> {
    async fn prepare(&mut self) -> StepOutcome {
        self.away(|work| work.prepare().map(|()| Done::default())).await
    }

    async fn call(&mut self, call: Call) -> StepOutcome {
        let (path, seed) = (&self.path, self.seed);
        if let Some(work) = &mut self.work {
            work.rename(|name| path.render(&call, seed, name));
        }
        self.away(FileWork::run).await
    }
}

impl<N: Native> FileOperation<N> {
    /// Does something with the work where blocking work is done; it goes there and comes back.
    async fn away(&mut self, what: fn(&mut FileWork) -> io::Result<Done>) -> StepOutcome {
        // A future that is dropped while the work is away takes this whole state with it, so nobody
        // sees the gap.
        let Some(mut work) = self.work.take() else {
            return Err(Failure::Wrong("a file operation was given up and used again".to_owned()));
        };
        let run = move || {
            let outcome = what(&mut work);
            (work, outcome)
        };
        let (work, outcome) = self.blocking.run::<N, _, _>(run).await;
        let outcome =
            outcome.map_err(|why| Failure::Wrong(format!("file `{}`: {why}", work.name())));
        self.work = Some(work);
        outcome
    }
}

#[cfg(test)]
mod tests;
