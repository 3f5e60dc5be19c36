//! A racer in a process of its own, as its referee has it: started, spoken to, and not left behind.

use std::{
    io::{BufRead, BufReader, Read, Write},
    os::unix::process::ExitStatusExt as _,
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, channel, sync_channel},
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

use super::{
    parent::{environment, last_lines},
    place,
    wire::TrialPlan,
};
use crate::{
    clock,
    measure::Outside,
    protocol::{self, Hello, Program, RacerFailed, RacerFault, RacerSaid, RefereeSaid},
    secret,
    store::{FailureKind, TrialFailure},
    units::{format_duration, format_size},
};

/// How long a racer may take to say who it is.
const HELLO: Duration = Duration::from_secs(20);
/// How long a racer may take to end after its last line.
const GRACE: Duration = Duration::from_secs(2);

/// The longest line that is read, in bytes: an account with the histograms of many named steps is a
/// megabyte.
const LONGEST_LINE: u64 = 64 << 20;
/// Lines that may wait for the referee: one that nobody asked for comes before the one that counts.
const MOST_LINES: usize = 4;

/// What a racer's process does.
enum Heard {
    /// It says a line.
    Line(String),
    /// It says a line that does not end.
    Endless,
    /// It has closed its output.
    End,
}

/// A racer's process.
pub(super) struct Racer {
    child: Child,
    input: Option<ChildStdin>,
    heard: Receiver<Heard>,
    errors: Receiver<String>,
    words: String,
}

/// Asks a program who it is, and lets it end.
pub fn hello(program: &Program) -> Result<Hello, String> {
    let mut racer = Racer::start(program, None).map_err(|failure| failure.reason)?;
    let hello = racer.hello().map_err(|failure| failure.reason);
    racer.end();
    hello
}

impl Racer {
    /// Starts it where the calling thread may run, which then goes to CPUs of its own. It stays in
    /// this process's group, so that who ends a trial ends its racer.
    #[expect(clippy::disallowed_methods, reason = "the trial layer starts processes")]
    pub(super) fn start(program: &Program, plan: Option<&TrialPlan>) -> Result<Self, TrialFailure> {
        let words = program.words();
        let mut command = match plan {
            // Some size their pools by it, and a racer of this program may be one of them.
            Some(plan) => environment(&program.file(), plan),
            None => Command::new(program.file()),
        };
        command.args(program.command.iter().skip(1)).current_dir(&program.folder);
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.spawn().map_err(|why| {
            let folder = program.folder.display();
            refused(format!(
                "the racer `{words}` could not be started in {folder}: {why}; `program` is looked up in PATH, or goes from \
                 the scenario's folder where it has a slash"
            ))
        })?;
        let (input, output, errors) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take());
        // Where there are none the referee stays beside the racer.
        let _ = plan.map(|plan| place::pin(&plan.target_cpus));
        let (tell, heard) = sync_channel(MOST_LINES);
        thread::spawn(move || {
            if let Some(output) = output {
                listen(BufReader::new(output), LONGEST_LINE, &tell);
            }
        });
        let (tell, said) = channel();
        thread::spawn(move || tell.send(errors.map(last_lines).unwrap_or_default()));
        Ok(Self { child, input, heard, errors: said, words })
    }

    /// What can be seen of it from outside.
    pub(super) fn outside(&self) -> Outside {
        Outside::of(self.child.id())
    }

    /// Its first line.
    pub(super) fn hello(&mut self) -> Result<Hello, TrialFailure> {
        let until_ns = clock::now_ns() + HELLO.as_nanos() as u64;
        let line = self.line("hello", until_ns)?;
        // Another version may have other fields.
        let version = serde_json::from_str::<serde_json::Value>(&line)
            .ok()
            .and_then(|value| u32::try_from(value["hello"]["protocol"].as_u64()?).ok());
        let words = format!("the racer `{}`", self.words);
        if let Some(why) = version.and_then(|version| protocol::other_version(&words, version)) {
            return Err(refused(why));
        }
        match self.understand(&line)? {
            RacerSaid::Hello(hello) => Ok(hello),
            said => Err(self.unexpected(&said, "hello")),
        }
    }

    /// Says something.
    pub(super) fn tell(&mut self, told: &RefereeSaid) -> Result<(), TrialFailure> {
        self.tell_line(&protocol::line(told))
    }

    /// Says something that need not be a message of this version.
    pub(super) fn tell_line(&mut self, line: &str) -> Result<(), TrialFailure> {
        let wrote = match &mut self.input {
            Some(input) => writeln!(input, "{line}").and_then(|()| input.flush()),
            None => Ok(()),
        };
        wrote.or_else(|_| {
            // It may have said why before it went.
            match self.heard.recv_timeout(GRACE) {
                Ok(Heard::Line(line)) => match self.understand(&line)? {
                    RacerSaid::Failed(failed) => Err(self.failure(failed)),
                    said => Err(self.unexpected(&said, "a racer that listens")),
                },
                _ => Err(self.ended()),
            }
        })
    }

    /// Waits for a message of this name until a moment of the clock.
    pub(super) fn hear(&mut self, wanted: &str, until_ns: u64) -> Result<RacerSaid, TrialFailure> {
        let line = self.line(wanted, until_ns)?;
        match self.understand(&line)? {
            RacerSaid::Failed(failed) => Err(self.failure(failed)),
            said if said.name() == wanted => Ok(said),
            said => Err(self.unexpected(&said, wanted)),
        }
    }

    /// Waits for any message until a moment of the clock.
    pub(super) fn any(&mut self, until_ns: u64) -> Result<RacerSaid, TrialFailure> {
        let line = self.line("its answer", until_ns)?;
        self.understand(&line)
    }

    fn line(&mut self, wanted: &str, until_ns: u64) -> Result<String, TrialFailure> {
        let left = Duration::from_nanos(until_ns.saturating_sub(clock::now_ns()));
        match self.heard.recv_timeout(left) {
            Ok(Heard::Line(line)) => Ok(line),
            Ok(Heard::Endless) => Err(wrong(format!(
                "the racer `{}` said a line of more than {}, and was killed; a message of the protocol is shorter",
                self.words,
                format_size(LONGEST_LINE)
            ))),
            Ok(Heard::End) | Err(RecvTimeoutError::Disconnected) => Err(self.ended()),
            Err(RecvTimeoutError::Timeout) => {
                let remedy = if wanted == "hello" {
                    format!("it has {} for that", format_duration(HELLO))
                } else {
                    "raise `timeout` under [run] if it needs more".to_owned()
                };
                let words = &self.words;
                let reason = format!(
                    "the racer `{words}` did not say `{wanted}` in time, and was killed; {remedy}"
                );
                Err(TrialFailure { kind: FailureKind::TimedOut, reason })
            }
        }
    }

    fn understand(&self, line: &str) -> Result<RacerSaid, TrialFailure> {
        let refuse = |why| wrong(format!("the racer `{}` said {why}", self.words));
        protocol::parse(line).map_err(refuse)
    }

    fn failure(&self, failed: RacerFailed) -> TrialFailure {
        let kind = match failed.kind {
            RacerFault::WrongResult => FailureKind::WrongResult,
            RacerFault::Target => FailureKind::Target,
            RacerFault::Refused => FailureKind::Refused,
        };
        TrialFailure { kind, reason: format!("the racer `{}` says: {}", self.words, failed.reason) }
    }

    fn unexpected(&self, said: &RacerSaid, wanted: &str) -> TrialFailure {
        let said = said.name();
        wrong(format!(
            "the racer `{}` said `{said}`, and `{wanted}` was to come; PROTOCOL.md has the order of messages",
            self.words
        ))
    }

    /// It has ended before its last line.
    fn ended(&mut self) -> TrialFailure {
        let status = self.close();
        let how = status.map_or_else(|| "without a status".to_owned(), |status| status.to_string());
        // What it has started may hold its standard error open for ever.
        let errors = self.errors.recv_timeout(GRACE).unwrap_or_default();
        let separator = if errors.is_empty() { "" } else { ": " };
        let errors = secret::blanked(&errors);
        let reason = format!("the racer `{}` ended early ({how}){separator}{errors}", self.words);
        TrialFailure { kind: FailureKind::Crashed, reason }
    }

    /// Lets it end, and ends it if it does not.
    pub(super) fn end(&mut self) {
        let _ = self.close();
    }

    /// Whether it ends by itself when its input does.
    pub(super) fn ends(&mut self) -> bool {
        self.close().is_some_and(|status| status.signal().is_none())
    }

    fn close(&mut self) -> Option<std::process::ExitStatus> {
        drop(self.input.take());
        let until_ns = clock::now_ns() + GRACE.as_nanos() as u64;
        while let Ok(None) = self.child.try_wait() {
            if clock::now_ns() > until_ns {
                self.kill();
                break;
            }
            clock::sleep_until(clock::now_ns() + 1_000_000);
        }
        self.child.wait().ok()
    }

    /// Ends it with all that it has started.
    fn kill(&mut self) {
        for pid in self.outside().processes() {
            // An error means that it has already ended.
            let _ = Pid::from_raw(pid.cast_signed()).map(|pid| kill_process(pid, Signal::KILL));
        }
        let _ = self.child.kill();
    }
}

impl Drop for Racer {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.kill();
            let _ = self.child.wait();
        }
    }
}

/// Hands on what is said, line by line, until nobody listens. Whoever says more than is asked for
/// waits, and a line that does not end is no message.
fn listen(mut output: impl BufRead, longest: u64, tell: &SyncSender<Heard>) {
    loop {
        let mut line = Vec::new();
        let heard = match output.by_ref().take(longest).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => Heard::End,
            Ok(read) if line.last() != Some(&b'\n') && read as u64 == longest => Heard::Endless,
            Ok(_) => Heard::Line(String::from_utf8_lossy(&line).trim_end().to_owned()),
        };
        let is_last = !matches!(heard, Heard::Line(_));
        // Who does not listen any more needs nothing.
        if tell.send(heard).is_err() || is_last {
            return;
        }
    }
}

fn refused(reason: String) -> TrialFailure {
    TrialFailure { kind: FailureKind::Refused, reason }
}

fn wrong(reason: String) -> TrialFailure {
    TrialFailure { kind: FailureKind::WrongResult, reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is heard of these bytes, where no line may have more than eight.
    fn heard(said: &[u8]) -> Vec<String> {
        let (tell, heard) = sync_channel(MOST_LINES);
        listen(said, 8, &tell);
        drop(tell);
        let words = |heard| match heard {
            Heard::Line(line) => line,
            Heard::Endless => "endless".to_owned(),
            Heard::End => "end".to_owned(),
        };
        heard.iter().map(words).collect()
    }

    #[test]
    fn a_line_that_does_not_end_is_read_no_further() {
        assert_eq!(heard(b"one\ntwo\n"), ["one", "two", "end"]);
        assert_eq!(heard(b"1234567\n\xff\n"), ["1234567", "\u{fffd}", "end"]);
        assert_eq!(heard(b"12345678\nmore\n"), ["endless"]);
        // A last line without an end is still a line.
        assert_eq!(heard(b"one\ntwo"), ["one", "two", "end"]);
    }

    #[test]
    fn a_racer_that_talks_without_end_is_listened_to_no_more_than_asked() {
        let (tell, heard) = sync_channel(MOST_LINES);
        let talks = thread::spawn(move || {
            listen(BufReader::new(std::io::repeat(b'\n')), LONGEST_LINE, &tell);
        });
        assert!(matches!(heard.recv(), Ok(Heard::Line(line)) if line.is_empty()));
        drop(heard);
        talks.join().expect("it ends when nobody listens");
    }
}
