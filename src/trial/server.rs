//! Target processes: how a trial starts one, and what runs inside it.

use std::{
    io::{self, BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use super::{place, wire::ServerOrder};
use crate::targets::{Launcher, ServerProcess, TargetError, TargetSpec};

/// Starts target processes on given CPUs.
pub struct ProcessLauncher<'a> {
    /// The `regatta` binary.
    pub program: &'a Path,
    /// CPUs of the target; empty: any.
    pub cpus: &'a [usize],
    /// The target.
    pub target: &'a TargetSpec,
    /// The seed of its contents and of its draws.
    pub seed: u64,
}

struct Process {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    greeting: String,
}

impl Launcher for ProcessLauncher<'_> {
    #[expect(clippy::disallowed_methods, reason = "the trial layer starts processes")]
    fn launch(&self) -> Result<Box<dyn ServerProcess>, TargetError> {
        let start = || -> io::Result<Process> {
            let mut child = Command::new(self.program)
                .arg("target")
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()?;
            let (Some(mut input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
                return Err(io::Error::other("its pipes are missing"));
            };
            let order = ServerOrder {
                target: self.target.clone(),
                seed: self.seed,
                cpus: self.cpus.to_vec(),
                parent: std::process::id(),
            };
            writeln!(input, "{}", serde_json::to_string(&order)?)?;
            let mut process =
                Process { child, input, output: BufReader::new(output), greeting: String::new() };
            process.greeting = process.line()?;
            Ok(process)
        };
        start().map(|process| Box::new(process) as Box<dyn ServerProcess>).map_err(|why| {
            TargetError {
                name: self.target.key().into(),
                reason: format!("the embedded server could not be started: {why}"),
            }
        })
    }
}

impl Process {
    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.output.read_line(&mut line)? == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it has closed its output"));
        }
        Ok(line.trim_end().to_owned())
    }

    /// Why it does not answer any more. A process that has ended keeps its status when it is
    /// killed.
    fn ended(&mut self, why: &io::Error) -> TargetError {
        let _ = self.child.kill();
        let how =
            self.child.wait().map_or_else(|error| error.to_string(), |status| status.to_string());
        let reason = format!("the embedded server has ended during the trial ({how}): {why}");
        TargetError { name: "server".into(), reason }
    }
}

impl ServerProcess for Process {
    fn pid(&self) -> u32 {
        self.child.id()
    }

    fn greeting(&self) -> &str {
        &self.greeting
    }

    fn ask(&mut self, line: &str) -> Result<String, TargetError> {
        writeln!(self.input, "{line}").and_then(|()| self.line()).map_err(|why| self.ended(&why))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // An error means that it has already ended, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What runs inside a target's process, until its standard input ends.
pub fn serve() -> io::Result<()> {
    let mut first = String::new();
    io::stdin().lock().read_line(&mut first)?;
    let order: ServerOrder = serde_json::from_str(&first)?;
    if !place::die_with_parent(order.parent) {
        return Ok(());
    }
    place::pin(&order.cpus)?;
    place::raise_file_limit();
    order.target.serve(order.seed)
}
