//! The one integration binary: what several parts of Regatta do together.
#![expect(clippy::unwrap_used, reason = "helpers of tests, which may panic")]
#![allow(clippy::disallowed_methods, reason = "tests start the program, and servers")]

mod bench_dir;
mod broken;
mod command_line;
mod doctor;
mod documents;
mod exit_codes;
mod file_systems;
mod find_rate;
mod hlog;
mod idiomatic;
mod interruptions;
mod kills;
mod known_answers;
mod left_behind;
mod limits;
mod little;
mod lossy;
mod mongo;
mod mysql;
mod mysql_faults;
mod open;
mod own_cpu;
mod own_mariadb;
mod own_pgbouncer;
mod own_port;
mod own_postgres;
mod own_server;
mod own_targets;
mod polodb;
mod pooler;
mod postgres;
mod postgres_faults;
mod probe;
mod race;
mod real_servers;
mod replay;
mod schema;
mod secrets;
mod skip;
mod slips;
mod starvation;
mod tidy;
mod validity;
