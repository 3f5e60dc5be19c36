//! A pgbouncer of a test's own, before a PostgreSQL of its own.

use std::{fs, path::Path};

use super::{
    bench_dir::wait_for,
    own_port::OwnPort,
    own_postgres::{OwnPostgres, PASSWORD},
};

const PROGRAM: &str = "/usr/sbin/pgbouncer";

/// A pooler, until the test ends.
pub struct OwnPgbouncer<'a> {
    server: &'a OwnPostgres,
    port: OwnPort,
}

impl<'a> OwnPgbouncer<'a> {
    /// Starts one with these settings, and its defaults otherwise. None, and a word about it, where
    /// it is not installed; in CI that is a failure.
    pub fn start(server: &'a OwnPostgres, settings: &str) -> Option<Self> {
        if !Path::new(PROGRAM).exists() {
            crate::skip::skipped("no pgbouncer in /usr/sbin (scripts/services up --install)");
            return None;
        }
        let pooler = Self { server, port: OwnPort::new() };
        let (folder, port) = (server.path(""), pooler.port.number());
        let folder = folder.display();
        fs::write(server.path("users"), format!("\"me\" \"{PASSWORD}\"\n")).unwrap();
        let ini = format!(
            "[databases]\n* = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_file = {folder}/users\nlogfile = {folder}/pooler.log\npidfile = {folder}/pooler.pid\n\
             {settings}\n",
            server.port()
        );
        fs::write(server.path("pooler.ini"), ini).unwrap();
        server.owns(&["users", "pooler.ini"]);
        let done = server.run(PROGRAM, &["-q", "-d", server.path("pooler.ini").to_str().unwrap()]);
        assert!(done.status.success(), "{done:?}");
        wait_for("pgbouncer", || std::net::TcpStream::connect(("127.0.0.1", port)).ok());
        Some(pooler)
    }

    /// The url of the server's user.
    pub fn url(&self) -> String {
        format!("postgres://me:{PASSWORD}@127.0.0.1:{}/mine", self.port.number())
    }
}

impl Drop for OwnPgbouncer<'_> {
    fn drop(&mut self) {
        if let Ok(pid) = fs::read_to_string(self.server.path("pooler.pid")) {
            self.server.run("/bin/kill", &[pid.trim()]);
        }
    }
}
