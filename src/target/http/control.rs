//! How the parent talks to a target process: lines in on its standard input, lines of JSON out on its standard output.

use std::{collections::BTreeMap, net::SocketAddr};

use serde::{Deserialize, Serialize};

/// A line that a target process writes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// It is up. Written once, unasked.
    Ready {
        /// Where it listens.
        address: SocketAddr,
    },
    /// Its counts since it started: the answer to `counts`.
    Counts(BTreeMap<String, u64>),
    /// A line that it did not understand, and what it would.
    Error(String),
}

impl Answer {
    /// The line, with its end.
    pub fn to_line(&self) -> std::io::Result<String> {
        Ok(serde_json::to_string(self)? + "\n")
    }
}

/// A line that a target process reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// `counts`: say the counts.
    Counts,
    /// `stop`, or the end of the input: end.
    Stop,
    /// Anything else.
    Unknown(String),
}

/// Cuts what was read into commands.
#[derive(Debug, Default)]
pub struct Commands {
    partial: Vec<u8>,
}

impl Commands {
    /// Takes bytes as they come and returns the commands that they complete; no bytes are the end of the input.
    pub fn receive(&mut self, bytes: &[u8]) -> Vec<Command> {
        if bytes.is_empty() {
            return vec![Command::Stop];
        }
        self.partial.extend_from_slice(bytes);
        let Some(end) = self.partial.iter().rposition(|byte| *byte == b'\n') else { return Vec::new() };
        let whole: Vec<u8> = self.partial.drain(..=end).collect();
        String::from_utf8_lossy(&whole).lines().map(command).collect()
    }
}

fn command(line: &str) -> Command {
    match line.trim() {
        "counts" => Command::Counts,
        "stop" => Command::Stop,
        other => Command::Unknown(other.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_may_come_in_pieces_or_together() {
        let mut commands = Commands::default();
        assert_eq!(commands.receive(b"cou"), []);
        assert_eq!(commands.receive(b"nts\ncounts\r\nst"), [Command::Counts, Command::Counts]);
        assert_eq!(commands.receive(b"op\nhelp\n"), [Command::Stop, Command::Unknown("help".to_owned())]);
        assert_eq!(commands.receive(b""), [Command::Stop]);
    }

    #[test]
    fn lines_have_the_documented_form() -> std::io::Result<()> {
        let ready = Answer::Ready { address: ([127, 0, 0, 1], 80).into() };
        assert_eq!(ready.to_line()?, "{\"ready\":{\"address\":\"127.0.0.1:80\"}}\n");
        let counts = Answer::Counts([("requests".to_owned(), 3)].into());
        assert_eq!(counts.to_line()?, "{\"counts\":{\"requests\":3}}\n");
        assert_eq!(serde_json::from_str::<Answer>(&counts.to_line()?)?, counts);
        Ok(())
    }
}
