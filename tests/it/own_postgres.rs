//! A PostgreSQL server of a test's own, that may be killed; and the one that tests share.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use rustix::process::{Pid, Signal, geteuid, kill_process};

use super::{bench_dir::wait_for, own_port::OwnPort};

/// The server that the environment names, for tests that leave it as they found it. None, and a
/// word about it, where there is none; in CI that is a failure.
pub fn shared() -> Option<String> {
    const NAME: &str = "REGATTA_TEST_POSTGRES_URL";
    let url = std::env::var(NAME).ok();
    if url.is_none() {
        crate::skip::skipped(&format!(
            "no PostgreSQL at {NAME} (scripts/services up, source target/services/env)"
        ));
    }
    url
}

/// A server in a temporary folder.
pub struct OwnPostgres {
    folder: tempfile::TempDir,
    bin: PathBuf,
    port: OwnPort,
}

/// The password of its user; nothing that a run writes or prints may contain it.
pub const PASSWORD: &str = "zQ7-not-to-be-seen";

/// An insert that waits at the gate (see [`OwnPostgres::close_gate`]).
pub const GATED_INSERT: &str =
    "INSERT INTO log(task, value) SELECT ?::int, 1 FROM pg_advisory_xact_lock_shared(7)";

impl OwnPostgres {
    /// Starts one. None, and a word about it, where PostgreSQL is not installed; in CI that is a
    /// failure.
    pub fn start(settings: &[&str]) -> Option<Self> {
        let Some(bin) = newest() else {
            crate::skip::skipped("no PostgreSQL in /usr/lib/postgresql");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let port = OwnPort::new();
        let server = Self { folder, bin, port };
        server.initialise();
        server.up(settings);
        let sql = format!(
            "CREATE ROLE me LOGIN PASSWORD '{PASSWORD}'; ALTER ROLE me CONNECTION LIMIT 20"
        );
        server.sql("postgres", &sql);
        server.sql("postgres", "CREATE DATABASE mine OWNER me");
        Some(server)
    }

    fn initialise(&self) {
        // The server must not be root, and then needs a folder of its own.
        if geteuid().is_root() {
            let done =
                Command::new("chown").arg("postgres").arg(self.folder.path()).status().unwrap();
            assert!(done.success());
        }
        let data = self.path("data");
        let done = self.run(
            "initdb",
            &["-D", data.to_str().unwrap(), "-U", "boss", "--auth-local=trust", "--no-sync"],
        );
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        fs::write(
            data.join("pg_hba.conf"),
            "local all boss trust\nlocal all all scram-sha-256\nhost all all 127.0.0.1/32 scram-sha-256\n",
        )
        .unwrap();
    }

    /// Starts it, after it was stopped or killed.
    pub fn up(&self, settings: &[&str]) {
        assert!(
            self.try_up(settings),
            "{}",
            fs::read_to_string(self.path("server.log")).unwrap_or_default()
        );
    }

    fn try_up(&self, settings: &[&str]) -> bool {
        let folder = self.folder.path().display();
        let more: Vec<String> = settings.iter().map(|setting| format!(" -c {setting}")).collect();
        let more = more.concat();
        let options = format!(
            "-p {} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off{more}",
            self.port.number()
        );
        let (data, log) = (self.path("data"), self.path("server.log"));
        let arguments = [
            "-w",
            "-D",
            data.to_str().unwrap(),
            "-l",
            log.to_str().unwrap(),
            "-o",
            options.as_str(),
            "start",
        ];
        self.run("pg_ctl", &arguments).status.success()
    }

    /// Kills the master alone, as if memory had run out; its children notice by themselves.
    pub fn kill_master(&self) {
        let file = fs::read_to_string(self.path("data").join("postmaster.pid")).unwrap();
        let pid =
            file.lines().next().and_then(|line| line.trim().parse().ok()).and_then(Pid::from_raw);
        kill_process(pid.unwrap(), Signal::KILL).unwrap();
    }

    /// Starts it when nothing is left of the one that was killed: its children may live a moment
    /// longer.
    pub fn up_again(&self) {
        wait_for("PostgreSQL", || self.try_up(&[]).then_some(()));
    }

    /// Stops it at once, as a crash would.
    pub fn kill(&self) {
        let data = self.path("data");
        self.run("pg_ctl", &["-w", "-m", "immediate", "-D", data.to_str().unwrap(), "stop"]);
    }

    /// Runs SQL as its master.
    pub fn sql(&self, database: &str, text: &str) -> String {
        let (folder, port) = (self.folder.path().to_str().unwrap(), self.port.number().to_string());
        let done =
            self.run("psql", &["-h", folder, "-p", &port, "-U", "boss", "-Atc", text, database]);
        assert!(done.status.success(), "{text}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8_lossy(&done.stdout).trim().to_owned()
    }

    /// Waits until nobody but the master is connected.
    pub fn wait_until_left(&self) {
        let count = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'me'";
        wait_for("the end of all sessions", || (self.sql("mine", count) == "0").then_some(()));
    }

    /// Closes a gate: whoever asks for `pg_advisory_xact_lock_shared(7)` waits. A transaction that
    /// no session belongs to holds it, so that it outlives the server. Needs
    /// `max_prepared_transactions=1`.
    pub fn close_gate(&self) {
        self.sql("mine", "BEGIN; SELECT pg_advisory_xact_lock(7); PREPARE TRANSACTION 'gate'");
    }

    /// Waits until so many wait at the gate.
    pub fn wait_at_gate(&self, how_many: u32) {
        let waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted";
        wait_for("calls at the gate", || {
            (self.sql("mine", waiting) == how_many.to_string()).then_some(())
        });
    }

    /// Lets everybody through the gate.
    pub fn open_gate(&self) {
        self.sql("mine", "ROLLBACK PREPARED 'gate'");
    }

    /// The url of its user, with something after the database.
    pub fn url(&self, more: &str) -> String {
        format!("postgres://me:{PASSWORD}@127.0.0.1:{}/mine{more}", self.port.number())
    }

    /// The url of its user by the socket in its folder.
    pub fn socket_url(&self) -> String {
        let (folder, port) = (self.folder.path().display(), self.port.number());
        format!("postgres://me:{PASSWORD}@:{port}/mine?host={folder}")
    }

    /// Gives files in its folder to the server, and to nobody else.
    pub fn owns(&self, names: &[&str]) {
        for name in names {
            let done = Command::new("chmod").arg("600").arg(self.path(name)).status().unwrap();
            assert!(done.success());
            if geteuid().is_root() {
                let done =
                    Command::new("chown").arg("postgres").arg(self.path(name)).status().unwrap();
                assert!(done.success());
            }
        }
    }

    /// A file in its folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Its port on loopback.
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// Runs one of its programs, or another one by its path, as the user that the server is.
    pub fn run(&self, program: &str, arguments: &[&str]) -> Output {
        let program = self.bin.join(program);
        let mut command = if geteuid().is_root() {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        // A server inherits what it is started with; a pipe would then never end.
        let (out, err) = (self.path("out"), self.path("err"));
        let file = |path: &Path| Stdio::from(fs::File::create(path).unwrap());
        let status = command
            .args(arguments)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(file(&out))
            .stderr(file(&err));
        let status = status.status().unwrap();
        Output { status, stdout: fs::read(out).unwrap(), stderr: fs::read(err).unwrap() }
    }
}

impl Drop for OwnPostgres {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The programs of the newest version that is installed.
fn newest() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?.flatten();
    let number = |path: &Path| path.file_name()?.to_str()?.parse::<u32>().ok();
    let newest = versions.map(|entry| entry.path()).max_by_key(|path| number(path))?;
    Some(newest.join("bin")).filter(|bin| bin.join("initdb").exists())
}
