//! A folder to work in and the real binary run in it: what every test of the command line needs.

use std::{
    collections::HashSet,
    fs,
    io::{BufRead, BufReader, Read},
    os::unix::process::{CommandExt, ExitStatusExt},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use regatta::store::{self, FailureKind, Outcome, Run, TrialFailure, TrialRecord};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

/// The longest that any condition is waited for. Only a broken program takes that long.
const PATIENCE: Duration = Duration::from_secs(120);
/// Between two looks at a condition.
const GLANCE: Duration = Duration::from_millis(5);
/// Marks the processes of a test in their environment.
const MARK: &str = "REGATTA_TEST_MARK";

/// Waits until `look` finds something; what it waits for is named if it never comes.
pub fn wait_for<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    wait_at_most(PATIENCE, look).unwrap_or_else(|| panic!("waited in vain for {what}"))
}

/// Waits until `look` finds something; none if it took longer than `patience`.
pub fn wait_at_most<T>(patience: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    loop {
        let found = look();
        if found.is_some() || start.elapsed() > patience {
            return found;
        }
        thread::sleep(GLANCE);
    }
}

/// A temporary folder, and `regatta` run in it with its own folder for temporary files.
pub struct BenchDir {
    folder: tempfile::TempDir,
    mark: String,
    /// All processes that were ever seen: one that ends shows its mark no more before its files are
    /// closed.
    seen: Mutex<HashSet<Pid>>,
}

/// What a command did.
#[derive(Debug)]
pub struct Seen {
    /// Its exit code, or 128 and the signal that ended it, as a shell says it.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Seen {
    /// Fails with everything that was printed unless the exit code is `code`.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:#?}");
        self
    }

    /// Fails unless standard error contains all these parts, and no panic.
    #[track_caller]
    pub fn says(self, parts: &[&str]) -> Self {
        assert!(!self.err.contains("panicked"), "{self:#?}");
        for part in parts {
            assert!(self.err.contains(part), "`{part}` is not said: {self:#?}");
        }
        self
    }
}

impl BenchDir {
    /// An empty folder.
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("tmp")).unwrap();
        let mark = format!("{}-{}", std::process::id(), COUNT.fetch_add(1, Relaxed));
        Self { folder, mark, seen: Mutex::default() }
    }

    /// A folder with one file, `s.toml`.
    pub fn with(scenario: &str) -> Self {
        let bench = Self::new();
        bench.write("s.toml", scenario);
        bench
    }

    /// A path in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file in the folder.
    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::write(self.path(name), text).unwrap();
    }

    /// `regatta` with arguments separated by spaces.
    pub fn command(&self, arguments: &str) -> Command {
        self.dressed(Command::new(env!("CARGO_BIN_EXE_regatta")), arguments.split_whitespace())
    }

    /// A line for the shell, in which `$REGATTA` is the program.
    pub fn shell(&self, line: &str) -> Command {
        let mut command = self.dressed(Command::new("sh"), ["-c", line]);
        command.env("REGATTA", env!("CARGO_BIN_EXE_regatta"));
        command
    }

    fn dressed<'a>(
        &self,
        mut command: Command,
        arguments: impl IntoIterator<Item = &'a str>,
    ) -> Command {
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env(MARK, &self.mark)
            .env("TMPDIR", self.path("tmp"))
            // Benches are independent: runs of one do not wait for those of another.
            .env("REGATTA_LOCK", self.path("lock"))
            .env_remove("CLICOLOR_FORCE")
            .env_remove("ASYNC_STD_THREAD_COUNT")
            .env_remove("BLOCKING_MAX_THREADS")
            .stdin(Stdio::null());
        command
    }

    /// Runs `regatta` to its end. What it prints for programs fits the schema of outputs.
    pub fn run(&self, arguments: &str) -> Seen {
        let seen = self.start(arguments).end();
        if arguments.contains("--format json") && !seen.out.is_empty() {
            let misfits = crate::schema::output_misfits(&seen.out);
            assert!(misfits.is_empty(), "{arguments}: {misfits:#?}");
        }
        seen
    }

    /// Starts `regatta` in a process group of its own, as a shell with a terminal does.
    pub fn start(&self, arguments: &str) -> Live {
        Live::new(self.command(arguments))
    }

    /// The run in a folder, read.
    pub fn stored(&self, folder: &str) -> Run {
        store::read(&self.path(folder)).unwrap_or_else(|why| panic!("{why}"))
    }

    /// Cuts a stored run off behind its first trial, as if it had been killed there; what is left
    /// of its file.
    pub fn cut_off(&self, folder: &str) -> String {
        let path = self.path(folder).join("run.jsonl");
        let all = fs::read_to_string(&path).unwrap();
        let left: String = all.split_inclusive('\n').take(2).collect();
        fs::write(path, &left).unwrap();
        left
    }

    /// All processes of this bench that are alive: pid and command line.
    pub fn processes(&self) -> Vec<(Pid, String)> {
        let wanted = format!("{MARK}={}", self.mark);
        let entries = fs::read_dir("/proc").unwrap().flatten();
        let found: Vec<(Pid, String)> = entries
            .filter_map(|entry| {
                let pid = entry.file_name().to_str()?.parse().ok().and_then(Pid::from_raw)?;
                let environment = fs::read(entry.path().join("environ")).ok()?;
                let ours = environment
                    .split(|&byte| byte == 0)
                    .any(|variable| variable == wanted.as_bytes());
                let line = fs::read_to_string(entry.path().join("cmdline")).ok()?;
                (ours && !line.is_empty()).then(|| (pid, line.replace('\0', " ")))
            })
            .collect();
        self.seen.lock().unwrap().extend(found.iter().map(|(pid, _)| *pid));
        found
    }

    /// Waits for a process whose command line contains `part`.
    pub fn process(&self, part: &str) -> Pid {
        wait_for(part, || {
            self.processes().into_iter().find(|(_, line)| line.contains(part)).map(|(pid, _)| pid)
        })
    }

    /// Waits until no process of this bench is left, with its locks.
    pub fn wait_until_empty(&self) {
        let all_over = || {
            self.processes().is_empty() && self.seen.lock().unwrap().iter().copied().all(is_over)
        };
        wait_for("the end of all processes", || all_over().then_some(()));
    }

    /// Folders that trials have left behind.
    pub fn scratch(&self) -> Vec<PathBuf> {
        fs::read_dir(self.path("tmp")).unwrap().map(|entry| entry.unwrap().path()).collect()
    }
}

impl Drop for BenchDir {
    fn drop(&mut self) {
        // Only a test that fails finds any; it may have ended by itself in between.
        for (pid, _) in self.processes() {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

/// A running command.
pub struct Live {
    child: Child,
    err: Arc<Mutex<String>>,
    readers: Option<(JoinHandle<String>, JoinHandle<()>)>,
}

impl Live {
    /// Starts a command in a process group of its own.
    pub fn new(mut command: Command) -> Self {
        command.process_group(0).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (mut output, errors) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let err: Arc<Mutex<String>> = Arc::default();
        let said = err.clone();
        let out = thread::spawn(move || {
            let mut text = String::new();
            output.read_to_string(&mut text).unwrap();
            text
        });
        let errors = thread::spawn(move || {
            for line in BufReader::new(errors).lines() {
                let line = line.unwrap();
                let mut said = said.lock().unwrap();
                said.push_str(&line);
                said.push('\n');
            }
        });
        Self { child, err, readers: Some((out, errors)) }
    }

    /// Its process.
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Sends a signal to it alone.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Sends a signal to its whole group, as a terminal does for Ctrl-C.
    pub fn signal_group(&self, signal: Signal) {
        kill_process_group(self.pid(), signal).unwrap();
    }

    /// Waits until standard error contains `part`.
    pub fn wait_to_say(&self, part: &str) {
        wait_for(part, || self.err.lock().unwrap().contains(part).then_some(()));
    }

    /// Waits for its end.
    pub fn end(mut self) -> Seen {
        let status = wait_for("the program's end", || self.child.try_wait().unwrap());
        let (out, errors) = self.readers.take().unwrap();
        let out = out.join().unwrap();
        errors.join().unwrap();
        let err = self.err.lock().unwrap().clone();
        Seen { code: code(status), out, err }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        // A test that fails leaves nothing running; what has ended already cannot be killed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether a process has nothing any more, though its exit status may wait for somebody.
fn is_over(pid: Pid) -> bool {
    let folder = PathBuf::from(format!("/proc/{}", pid.as_raw_nonzero()));
    let status = fs::read_to_string(folder.join("status")).unwrap_or_default();
    let threads = fs::read_dir(folder.join("task")).map_or(0, Iterator::count);
    // A thread may outlive the first one.
    threads <= 1
        && status.lines().all(|line| !line.starts_with("State:") || line.contains("Z (zombie)"))
}

fn code(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}

/// The failures of a run, in order.
pub fn failures<'a>(run: &'a Run) -> Vec<(&'a TrialRecord, &'a TrialFailure)> {
    let failure = |trial: &'a TrialRecord| match &trial.outcome {
        Outcome::Failed(failure) => Some((trial, failure)),
        Outcome::Measured(_) => None,
    };
    run.trials.iter().filter_map(failure).collect()
}

/// The only failure of a run.
#[track_caller]
pub fn only_failure(run: &Run) -> (FailureKind, &str) {
    let all = failures(run);
    assert_eq!(all.len(), 1, "{all:#?}");
    (all[0].1.kind, &all[0].1.reason)
}

/// Fails unless each planned trial is there exactly once and the run is finished. Disturbed trials
/// may be there again.
#[track_caller]
pub fn assert_complete(run: &Run) {
    let mut found: Vec<(&str, u32)> =
        run.trials.iter().filter(|t| t.attempt == 0).map(|t| (t.cell.as_str(), t.round)).collect();
    let mut wanted: Vec<(&str, u32)> = run
        .header
        .cells
        .iter()
        .flat_map(|cell| (1..=cell.rounds).map(|round| (cell.name.as_str(), round)))
        .collect();
    found.sort_unstable();
    wanted.sort_unstable();
    assert_eq!(found, wanted);
    assert!(run.finished);
}

/// A path as text.
pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
