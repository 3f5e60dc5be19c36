//! The parent's side of a trial: starts the child, waits with a watchdog, and keeps nothing alive.

use std::{
    collections::VecDeque,
    io::{BufRead, BufReader, Read, Write},
    os::unix::process::{CommandExt, ExitStatusExt},
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process_group};

use super::{
    scratch,
    wire::{Answer, Ended, TrialPlan},
};
use crate::{
    clock, secret,
    store::{FailureKind, Outcome, TrialFailure, TrialRecord},
};

/// What the parent is told while it waits.
#[derive(Debug)]
pub enum Event {
    /// The child has ended: the lines that it printed, and the end of what it wrote to standard
    /// error.
    Ended {
        /// Standard output's last line.
        answer: String,
        /// The last lines of standard error.
        errors: String,
    },
    /// A signal asks the whole run to end: its name.
    Signal(&'static str),
}

/// Runs trials, one at a time.
pub struct Runner {
    program: PathBuf,
    events: Receiver<Event>,
    to_self: Sender<Event>,
}

/// A trial that was ended by a signal to the run.
#[derive(Debug, Clone, Copy)]
pub struct Interrupted(pub &'static str);

impl Runner {
    /// A runner that starts this program, and a sender through which signals reach it. What trials
    /// of killed runs have left behind is removed.
    pub fn new() -> std::io::Result<(Self, Sender<Event>)> {
        scratch::sweep();
        let (to_self, events) = channel();
        Ok((Self { program: std::env::current_exe()?, events, to_self: to_self.clone() }, to_self))
    }

    /// Runs one trial to its end, whatever that is. `left_behind` is told of each thing that could
    /// not be removed from a server of the user's own, with what to do about it.
    pub fn run(
        &self,
        plan: &TrialPlan,
        sequence: u32,
        mut left_behind: impl FnMut(&str),
    ) -> Result<TrialRecord, Interrupted> {
        let started_ms = clock::unix_ms();
        let start_ns = clock::now_ns();
        let (pid, outcome) = match self.start(plan) {
            Ok(mut child) => (child.0.id(), self.wait(plan, &mut child, &mut left_behind)?),
            Err(why) => (
                0,
                failed(
                    FailureKind::Refused,
                    format!("the trial's process could not be started: {why}"),
                ),
            ),
        };
        let wall_ns = clock::now_ns() - start_ns;
        Ok(TrialRecord {
            cell: plan.cell.clone(),
            round: plan.round,
            sequence,
            attempt: 0,
            started_ms,
            wall_ns,
            pid,
            outcome,
        })
    }

    /// Starts the child in a process group of its own, or the terminal's Ctrl-C would kill it
    /// before its record is saved. Must be called on a thread that lives as long as the run: the
    /// child dies with it.
    fn start(&self, plan: &TrialPlan) -> std::io::Result<Group> {
        let mut plan = plan.clone();
        plan.parent = Some(std::process::id());
        let mut child = Group(
            environment(&self.program, &plan)
                .args(["trial", "--plan", "-", "--die-with-stdin"])
                .process_group(0)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()?,
        );
        if let Some(input) = &mut child.0.stdin {
            writeln!(input, "{}", serde_json::to_string(&plan)?)?;
        }
        let (output, errors) = (child.0.stdout.take(), child.0.stderr.take());
        let events = self.to_self.clone();
        thread::spawn(move || {
            let errors = thread::spawn(move || errors.map(last_lines).unwrap_or_default());
            let answer = output.map(last_line).unwrap_or_default();
            let errors = errors.join().unwrap_or_default();
            // The runner is gone only when the program ends.
            let _ = events.send(Event::Ended { answer, errors });
        });
        Ok(child)
    }

    fn wait(
        &self,
        plan: &TrialPlan,
        child: &mut Group,
        left_behind: &mut dyn FnMut(&str),
    ) -> Result<Outcome, Interrupted> {
        match self.events.recv_timeout(plan.timeout) {
            Ok(Event::Ended { answer, errors }) => {
                if plan.program.is_some() {
                    // What a racer has started and left behind is in the trial's group, too.
                    child.kill();
                }
                let (outcome, left) = judge(&answer, &errors, child.0.wait().ok());
                for left in &left {
                    left_behind(left);
                }
                if let Outcome::Failed(failure) = &outcome {
                    scratch::sweep();
                    if failure.kind == FailureKind::Crashed {
                        sweep_targets(plan, child.0.id(), left_behind);
                    }
                }
                Ok(outcome)
            }
            Ok(Event::Signal(name)) => {
                self.end(plan, child, left_behind);
                Err(Interrupted(name))
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                let told = self.last_words(child);
                self.end(plan, child, left_behind);
                if let Some(told) = told {
                    return Ok(told);
                }
                let limit = crate::units::format_duration(plan.timeout);
                let reason = format!(
                    "the trial took longer than {limit} and was killed; raise `timeout` under [run] if it needs more"
                );
                Ok(failed(FailureKind::TimedOut, reason))
            }
        }
    }

    /// Asks a child that is about to be killed why it has no end. None if it cannot tell.
    fn last_words(&self, child: &mut Group) -> Option<Outcome> {
        // Long enough for a thread that only has to be woken, on a busy host.
        const PATIENCE: Duration = Duration::from_secs(10);
        child
            .0
            .stdin
            .as_mut()
            .and_then(|input| input.write_all(b"?").and_then(|()| input.flush()).ok())?;
        let event = self.events.recv_timeout(PATIENCE).ok()?;
        let told = match &event {
            Event::Ended { answer, .. } => {
                serde_json::from_str(answer).ok().map(|ended: Ended| ended.answer)
            }
            Event::Signal(_) => None,
        };
        // It is still waited for. The receiver is here, so that sending cannot fail.
        let _ = self.to_self.send(event);
        match told? {
            Answer::Failed(failure) => Some(Outcome::Failed(failure)),
            Answer::Measured(_) => None,
        }
    }

    /// Whether a signal has arrived between trials.
    pub fn interrupted(&self) -> Option<Interrupted> {
        match self.events.try_recv() {
            Ok(Event::Signal(name)) => Some(Interrupted(name)),
            _ => None,
        }
    }

    /// Ends the child and all that it has started, and removes what they leave.
    fn end(&self, plan: &TrialPlan, child: &mut Group, left_behind: &mut dyn FnMut(&str)) {
        child.kill();
        self.drain();
        scratch::sweep();
        sweep_targets(plan, child.0.id(), left_behind);
    }

    /// Waits for the reader of a killed child, so that its late message is not taken for the next
    /// child's.
    fn drain(&self) {
        let mut asked = None;
        while let Ok(event) = self.events.recv_timeout(Duration::from_secs(5)) {
            match event {
                Event::Ended { .. } => break,
                Event::Signal(name) => asked = Some(name),
            }
        }
        if let Some(name) = asked {
            // It is looked at before the next trial. The receiver is here, so that sending cannot
            // fail.
            let _ = self.to_self.send(Event::Signal(name));
        }
    }
}

/// A command that runs this program with the environment that process-global pools are sized from.
#[expect(clippy::disallowed_methods, reason = "the trial layer starts processes")]
pub(super) fn environment(program: &std::path::Path, plan: &TrialPlan) -> Command {
    let mut command = Command::new(program);
    command
        .env("ASYNC_STD_THREAD_COUNT", plan.setup.workers.to_string())
        .env("BLOCKING_MAX_THREADS", plan.setup.pool_size.to_string());
    command
}

/// Removes what a killed trial could not remove from its targets.
fn sweep_targets(plan: &TrialPlan, pid: u32, left_behind: &mut dyn FnMut(&str)) {
    for target in &plan.targets {
        if let Err(left) = target.spec.sweep(&target.name, pid) {
            left_behind(&left.to_string());
        }
    }
}

/// A child and all that it has started.
struct Group(Child);

impl Group {
    fn kill(&mut self) {
        if let Some(group) = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw) {
            // An error means that the group has already ended.
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.0.wait();
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(None)) {
            self.kill();
        }
    }
}

fn last_line(output: impl Read) -> String {
    BufReader::new(output).lines().map_while(Result::ok).last().unwrap_or_default()
}

/// The last lines of standard error as one, which name the reason of a crash. A backtrace is left
/// out: it comes after the reason, and is longer than what is kept.
pub(super) fn last_lines(errors: impl Read) -> String {
    const KEPT: usize = 8;
    const LONGEST: u64 = 4_096;
    let mut lines = VecDeque::new();
    let mut in_backtrace = false;
    let mut errors = BufReader::new(errors);
    let mut line = Vec::new();
    // All is read to its end, whatever the bytes are, or the child would wait for its reader; a
    // line that does not end is read in parts.
    while errors.by_ref().take(LONGEST).read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
        let bytes = std::mem::take(&mut line);
        let line = String::from_utf8_lossy(&bytes);
        // The frames are indented; a note may follow them.
        let is_frame = line.starts_with(' ') || line.starts_with("note: ");
        in_backtrace = line.trim_end() == "stack backtrace:" || (in_backtrace && is_frame);
        if in_backtrace || line.trim().is_empty() {
            continue;
        }
        if lines.len() == KEPT {
            lines.pop_front();
        }
        lines.push_back(line.trim().to_owned());
    }
    one_line(lines)
}

/// Joins lines with `; `, but for those that announce the next one.
fn one_line(lines: impl IntoIterator<Item = String>) -> String {
    let joined = lines.into_iter().reduce(|before, line| {
        let separator = if before.ends_with(':') { " " } else { "; " };
        before + separator + &line
    });
    joined.unwrap_or_default()
}

fn failed(kind: FailureKind, reason: String) -> Outcome {
    Outcome::Failed(TrialFailure { kind, reason })
}

/// The outcome, and what the child says that it has left behind.
fn judge(answer: &str, errors: &str, status: Option<ExitStatus>) -> (Outcome, Vec<String>) {
    let Ok(Ended { answer, left_behind }) = serde_json::from_str(answer) else {
        let separator = if errors.is_empty() { "" } else { ": " };
        // A panic may have words of a server's answer; what this process has read before the run is
        // known here, too.
        let reason = format!("{}{separator}{}", how_it_ended(status), secret::blanked(errors));
        return (failed(FailureKind::Crashed, reason), Vec::new());
    };
    let outcome = match answer {
        Answer::Measured(measurements) => Outcome::Measured(measurements),
        Answer::Failed(failure) => Outcome::Failed(failure),
    };
    (outcome, left_behind)
}

/// How a process ended that gave no answer.
fn how_it_ended(status: Option<ExitStatus>) -> String {
    match status.and_then(|status| status.signal()) {
        Some(9) => "the trial's process was killed by signal 9; if nobody did it, the system ran out of memory \
             (`dmesg` tells)"
            .into(),
        Some(signal) => format!("the trial's process was killed by signal {signal}"),
        None => match status.and_then(|status| status.code()) {
            Some(code) => format!("the trial's process ended with code {code} and no result"),
            None => "the trial's process ended without a result".into(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_of_a_crash_is_one_line_without_its_backtrace() {
        let frames = "   9: core::call\n             at ./x.rs:1:2\n".repeat(20);
        let note = "note: Some details are omitted, run with `RUST_BACKTRACE=full` for a verbose backtrace.\n";
        let panic = "\nthread 'main' panicked at src/x.rs:1:2:\nno room\n";
        let reason = "thread 'main' panicked at src/x.rs:1:2: no room";
        let shown = |text: &str| last_lines(text.as_bytes());
        assert_eq!(shown(&format!("{panic}stack backtrace:\n{frames}{note}")), reason);
        assert_eq!(shown(&format!("{panic}stack backtrace:\n{frames}")), reason);
        let more = format!(
            "{panic}stack backtrace:\n{frames}{note}memory allocation of 8 bytes failed\nnote: that was it\n"
        );
        assert_eq!(
            shown(&more),
            format!("{reason}; memory allocation of 8 bytes failed; note: that was it")
        );
    }

    #[test]
    fn the_last_lines_are_kept_whatever_they_are() {
        let many = "1\r\n2\r\n3\r\n4\r\n5\r\n6\r\n7\r\n8\r\n9\r\n10\r\n";
        assert_eq!(last_lines(many.as_bytes()), "3; 4; 5; 6; 7; 8; 9; 10");
        assert_eq!(last_lines(&b"a\xff\nb"[..]), "a\u{fffd}; b");
        assert_eq!(last_lines(&b""[..]), "");
    }
}
