//! A MariaDB of a test's own, which it may overload, encrypt and kill.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use regatta::{
    client::{Address, Fault, mysql, mysql::Mysql},
    runtime::{Blocking, block_on},
};

use crate::bench_dir::wait_for;

/// The password of its only other user than root.
pub const PASSWORD: &str = "rowing5ecret";

/// A running server; it ends with the test.
pub struct OwnMariadb {
    folder: tempfile::TempDir,
    server: Child,
    port: u16,
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
        let made = Command::new(program("mariadb-install-db").unwrap())
            .args(["--no-defaults", "--skip-test-db", "--auth-root-authentication-method=normal"])
            .args(user())
            .arg(format!("--datadir={}", folder.path().join("data").display()))
            // Two that begin at once would take each other's temporary tables.
            .env("TMPDIR", folder.path())
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let init = format!(
            "CREATE OR REPLACE USER me@'127.0.0.1' IDENTIFIED BY '{PASSWORD}';\nGRANT ALL ON *.* TO me@'127.0.0.1' WITH GRANT OPTION;\n"
        );
        std::fs::write(folder.path().join("init.sql"), init).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let server = Command::new("true").spawn().unwrap();
        Self { folder, server, port }
    }

    /// Starts it, and waits until it answers.
    pub fn start(&mut self, options: &[String]) {
        let path = |name: &str| self.path(name).display().to_string();
        self.server = Command::new(program("mariadbd").unwrap())
            .args(["--no-defaults", "--bind-address=127.0.0.1", "--skip-name-resolve", "--skip-log-bin"])
            .args(user())
            .arg(format!("--datadir={}", path("data")))
            .arg(format!("--socket={}", path("socket")))
            .arg(format!("--log-error={}", path("log")))
            .arg(format!("--init-file={}", path("init.sql")))
            .arg(format!("--port={}", self.port))
            .args(options)
            .env("TMPDIR", self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        wait_for("MariaDB", || self.open("").ok());
    }

    /// A file in its folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Its url.
    pub fn url(&self, options: &str) -> String {
        format!("mysql://me:{PASSWORD}@127.0.0.1:{}/{options}", self.port)
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
