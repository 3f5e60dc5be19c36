//! `regatta init`: a commented first scenario against the user's own server.

use std::{
    fs::File,
    io::{self, Write},
    path::PathBuf,
};

use super::{CliError, Terminal, input};
use crate::{exit::Exit, scenario, scenario::Overrides};

/// Writes a first scenario.
#[derive(Debug, clap::Args)]
pub(super) struct Init {
    /// Your server's address, without a path.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080/")]
    url: String,
    /// The file to write, or `-` for standard output; one that exists is not touched.
    #[arg(value_name = "FILE", default_value = "regatta.toml")]
    file: PathBuf,
}

impl Init {
    pub(super) fn run(&self, terminal: &Terminal) -> Result<Exit, CliError> {
        let text = include_str!("init.toml").replace("http://127.0.0.1:8080", &base(&self.url)?);
        // What is written must be readable; a strange url is the only thing that can prevent it.
        scenario::from_text(&self.file, &text, &Overrides::default())?;
        if input::is_stdin(&self.file) {
            terminal.result(&text)?;
            return Ok(Exit::Fine);
        }
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::AlreadyExists => CliError::Usage(format!(
                "{} exists already; name another file",
                self.file.display()
            )),
            _ => CliError::Output { path: self.file.clone(), source },
        };
        let mut file = File::create_new(&self.file).map_err(failed)?;
        file.write_all(text.as_bytes()).map_err(failed)?;
        let file = self.file.display();
        terminal.result(&format!("wrote {file}; next: `regatta run {file}`"))?;
        Ok(Exit::Fine)
    }
}

/// The url without a slash at its end.
fn base(url: &str) -> Result<String, CliError> {
    if url.contains(['?', '#']) {
        let remedy = "give the server's address alone, and the path in the file";
        return Err(CliError::Usage(format!("`{url}` has a query or a fragment; {remedy}")));
    }
    let fine = ["http://", "https://"].iter().any(|scheme| url.starts_with(scheme))
        && !url.contains(['"', '\\', '\n']);
    if fine {
        Ok(url.trim_end_matches('/').to_owned())
    } else {
        Err(CliError::Usage(format!("`{url}` does not start with `http://` or `https://`")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_a_server() {
        assert_eq!(base("http://localhost:8080/").unwrap(), "http://localhost:8080");
        for wrong in ["ftp://localhost", "http://localhost/?q=1", "http://localhost/#top"] {
            assert!(base(wrong).is_err(), "{wrong}");
        }
    }
}
