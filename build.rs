//! Notes the compiler, the profile and the crates that race, which every run records.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "build scripts ask the compiler, and speak by printing"
)]

use std::{env, fs, path::Path, process::Command};

/// Crates whose versions change what is measured.
const RACERS: [&str; 16] = [
    "tokio",
    "mio",
    "async-std",
    "compio",
    "compio-runtime",
    "compio-driver",
    "io-uring",
    "async-executor",
    "async-io",
    "async-task",
    "polling",
    "blocking",
    "hyper",
    "hyper-util",
    "rusqlite",
    "libsqlite3-sys",
];

fn main() {
    let rustc = env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    let version = Command::new(rustc)
        .arg("--version")
        .output()
        .ok()
        .and_then(|out| String::from_utf8(out.stdout).ok());
    println!("cargo:rustc-env=REGATTA_RUSTC={}", version.as_deref().unwrap_or("unknown").trim());
    for (name, from) in
        [("REGATTA_PROFILE", "PROFILE"), ("REGATTA_TARGET", "TARGET"), ("REGATTA_OPT", "OPT_LEVEL")]
    {
        println!("cargo:rustc-env={name}={}", env::var(from).unwrap_or_default());
    }
    println!("cargo:rustc-env=REGATTA_CRATES={}", crates());
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=Cargo.lock");
}

/// The versions that Cargo.lock holds, such as `tokio 1.54.0, mio 1.1.1`; nothing without that
/// file.
fn crates() -> String {
    let folder = env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
    let lock = fs::read_to_string(Path::new(&folder).join("Cargo.lock")).unwrap_or_default();
    let value = |block: &str, key: &str| -> Option<String> {
        let line = block.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = \""))?;
        Some(line.trim_end_matches('"').to_owned())
    };
    let mut found = Vec::new();
    for racer in RACERS {
        let of_racer = lock
            .split("[[package]]")
            .filter(|block| value(block, "name").as_deref() == Some(racer));
        found.extend(
            of_racer.filter_map(|block| Some(format!("{racer} {}", value(block, "version")?))),
        );
    }
    found.join(", ")
}
