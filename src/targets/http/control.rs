//! How the parent talks to a target process: lines in on its standard input, lines of JSON out on
//! its standard output.

use std::{collections::BTreeMap, net::SocketAddr};

use serde::{Deserialize, Serialize};

/// A line that a target process writes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ControlAnswer {
    /// It is up. Written once, unasked.
    Ready {
        /// Where it listens.
        address: SocketAddr,
        /// The certificate of its authority, as PEM, where it speaks TLS.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        authority: Option<String>,
    },
    /// Its counts since it started: the answer to `counts`.
    Counts(BTreeMap<String, u64>),
    /// A line that it did not understand, and what it would.
    Error(String),
}

impl ControlAnswer {
    /// The line, with its end.
    pub fn to_line(&self) -> std::io::Result<String> {
        Ok(serde_json::to_string(self)? + "\n")
    }
}

/// A line that a target process reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ControlCommand {
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
    /// Takes bytes as they come and returns the commands that they complete; no bytes are the end
    /// of the input.
    pub fn receive(&mut self, bytes: &[u8]) -> Vec<ControlCommand> {
        if bytes.is_empty() {
            return vec![ControlCommand::Stop];
        }
        self.partial.extend_from_slice(bytes);
        let Some(end) = self.partial.iter().rposition(|byte| *byte == b'\n') else {
            return Vec::new();
        };
        let whole: Vec<u8> = self.partial.drain(..=end).collect();
        String::from_utf8_lossy(&whole).lines().map(command).collect()
    }
}

fn command(line: &str) -> ControlCommand {
    match line.trim() {
        "counts" => ControlCommand::Counts,
        "stop" => ControlCommand::Stop,
        other => ControlCommand::Unknown(other.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_may_come_in_pieces_or_together() {
        let mut commands = Commands::default();
        assert_eq!(commands.receive(b"cou"), []);
        assert_eq!(
            commands.receive(b"nts\ncounts\r\nst"),
            [ControlCommand::Counts, ControlCommand::Counts]
        );
        assert_eq!(
            commands.receive(b"op\nhelp\n"),
            [ControlCommand::Stop, ControlCommand::Unknown("help".to_owned())]
        );
        assert_eq!(commands.receive(b""), [ControlCommand::Stop]);
    }

    #[test]
    fn lines_have_the_documented_form() -> std::io::Result<()> {
        let ready = ControlAnswer::Ready { address: ([127, 0, 0, 1], 80).into(), authority: None };
        assert_eq!(ready.to_line()?, "{\"ready\":{\"address\":\"127.0.0.1:80\"}}\n");
        let counts = ControlAnswer::Counts([("requests".to_owned(), 3)].into());
        assert_eq!(counts.to_line()?, "{\"counts\":{\"requests\":3}}\n");
        assert_eq!(serde_json::from_str::<ControlAnswer>(&counts.to_line()?)?, counts);
        Ok(())
    }
}
