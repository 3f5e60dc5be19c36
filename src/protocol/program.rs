//! A program that races: how it is started.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// A contender that is another program than this one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Program {
    /// The program and its arguments, as the scenario has them.
    pub command: Vec<String>,
    /// The folder that it is started in: that of the scenario.
    pub folder: PathBuf,
}

impl Program {
    /// A command of a scenario in this file.
    pub fn of(command: Vec<String>, scenario: &Path) -> Self {
        let folder = scenario.parent().filter(|folder| !folder.as_os_str().is_empty());
        Self { command, folder: folder.unwrap_or(Path::new(".")).to_owned() }
    }

    /// What is started: a name without a slash is looked up in `PATH`, a path goes from the folder.
    pub fn file(&self) -> PathBuf {
        let first = self.command.first().map_or("", String::as_str);
        if !first.contains('/') {
            return PathBuf::from(first);
        }
        let path = self.folder.join(first);
        // What is started there must not look it up from there once more.
        std::path::absolute(&path).unwrap_or(path)
    }

    /// The command in words.
    pub fn words(&self) -> String {
        self.command.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_go_from_the_folder_of_the_scenario() {
        let file = |first: &str, scenario: &str| {
            Program::of(vec![first.into(), "-x".into()], Path::new(scenario)).file()
        };
        assert_eq!(file("python3", "/s/race.toml"), Path::new("python3"));
        assert_eq!(file("./racer", "/s/race.toml"), Path::new("/s/racer"));
        assert_eq!(file("/bin/racer", "/s/race.toml"), Path::new("/bin/racer"));
        let here = std::env::current_dir().expect("there is one");
        assert_eq!(file("./racer", "race.toml"), here.join("racer"));
    }
}
