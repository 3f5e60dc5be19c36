//! A MariaDB of a test's own, which it may overload, encrypt and kill.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use regatta::{
    client::{Address, Fault, mysql, mysql::Mysql},
    runtime::{Blocking, block_on},
};

use crate::{bench_dir::wait_at_most, own_port::OwnPort};

/// The password of its only other user than root.
pub const PASSWORD: &str = "rowing5ecret";
/// How often it is started before a test gives up, the last time without data.
const STARTS: u32 = 3;
/// The longest that a start is waited for.
const START_PATIENCE: Duration = Duration::from_secs(90);

/// A running server; it ends with the test.
pub struct OwnMariadb {
    folder: tempfile::TempDir,
    server: Child,
    port: OwnPort,
}

/// Where a program of the server's package is.
fn program(name: &str) -> Option<PathBuf> {
    ["/usr/sbin", "/usr/bin", "/usr/local/bin"]
        .map(|folder| Path::new(folder).join(name))
        .into_iter()
        .find(|p| p.exists())
}

/// Whether the programs are there; if not, says so.
pub fn is_installed() -> bool {
    let there = program("mariadbd").is_some() && program("mariadb-install-db").is_some();
    if !there {
        crate::skip::skipped("no MariaDB at /usr/sbin/mariadbd");
    }
    there
}

impl OwnMariadb {
    /// Makes a server in a new folder; it does not run yet.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let init = format!(
            "CREATE OR REPLACE USER me@'127.0.0.1' IDENTIFIED BY '{PASSWORD}';\nGRANT ALL ON *.* TO me@'127.0.0.1' WITH GRANT OPTION;\n"
        );
        std::fs::write(folder.path().join("init.sql"), init).unwrap();
        let server = Command::new("true").spawn().unwrap();
        let new = Self { folder, server, port: OwnPort::new() };
        new.install();
        new
    }

    /// Writes an empty server's data.
    fn install(&self) {
        let made = Command::new(program("mariadb-install-db").unwrap())
            .args(["--no-defaults", "--skip-test-db", "--auth-root-authentication-method=normal"])
            .args(user())
            .arg(format!("--datadir={}", self.path("data").display()))
            // Two that begin at once would take each other's temporary tables.
            .env("TMPDIR", self.folder.path())
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }

    /// Starts it, and waits until it answers.
    ///
    /// Now and then one that was killed cannot recover, or hangs in it. That is its own matter: it
    /// is started again, and in the end without its data.
    pub fn start(&mut self, options: &[String]) {
        for attempt in 1..=STARTS {
            self.spawn(options);
            if self.answers() {
                return;
            }
            self.kill();
            let log = std::fs::read_to_string(self.path("log.err")).unwrap_or_default();
            let say = writeln!(
                io::stderr(),
                "MariaDB does not start, attempt {attempt} of {STARTS}; it wrote:\n{log}"
            );
            say.unwrap();
            if attempt + 1 == STARTS {
                std::fs::remove_dir_all(self.path("data")).unwrap();
                self.install();
            }
        }
        panic!("MariaDB does not start");
    }

    /// Whether its process is gone.
    pub fn has_ended(&mut self) -> bool {
        self.server.try_wait().unwrap().is_some()
    }

    fn spawn(&mut self, options: &[String]) {
        let path = |name: &str| self.path(name).display().to_string();
        self.server = Command::new(program("mariadbd").unwrap())
            .args([
                "--no-defaults",
                "--bind-address=127.0.0.1",
                "--skip-name-resolve",
                "--skip-log-bin",
            ])
            // Some kernels let it hang in io_uring (MDEV-26674).
            .arg("--innodb-use-native-aio=0")
            .args(user())
            .arg(format!("--datadir={}", path("data")))
            .arg(format!("--socket={}", path("socket")))
            .arg(format!("--log-error={}", path("log.err")))
            .arg(format!("--init-file={}", path("init.sql")))
            .arg(format!("--port={}", self.port.number()))
            .args(options)
            .env("TMPDIR", self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
    }

    /// Waits until it answers; false if it has ended, or takes too long.
    fn answers(&mut self) -> bool {
        let state = wait_at_most(START_PATIENCE, || {
            if self.has_ended() { Some(false) } else { self.open("").is_ok().then_some(true) }
        });
        state == Some(true)
    }

    /// A file in its folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Its url.
    pub fn url(&self, options: &str) -> String {
        format!("mysql://me:{PASSWORD}@127.0.0.1:{}/{options}", self.port.number())
    }

    /// A connection.
    pub fn open(&self, options: &str) -> Result<Mysql<Blocking>, Fault> {
        block_on(mysql::open::<Blocking>(&Address::parse(&self.url(options)).unwrap(), None))
    }

    /// Kills it, as a power cut would.
    pub fn kill(&mut self) {
        // One that has ended already cannot be killed.
        let _ = self.server.kill();
        self.server.wait().unwrap();
    }
}

impl Drop for OwnMariadb {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The server does not run as root unless it is told to.
fn user() -> Option<String> {
    rustix::process::geteuid().is_root().then(|| "--user=root".to_owned())
}
