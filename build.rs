//! Notes the compiler and the profile, which every run records.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "build scripts ask the compiler, and speak by printing"
)]

use std::{env, process::Command};

fn main() {
    let rustc = env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    let version = Command::new(rustc).arg("--version").output().ok().and_then(|out| String::from_utf8(out.stdout).ok());
    println!("cargo:rustc-env=REGATTA_RUSTC={}", version.as_deref().unwrap_or("unknown").trim());
    for (name, from) in [("REGATTA_PROFILE", "PROFILE"), ("REGATTA_TARGET", "TARGET"), ("REGATTA_OPT", "OPT_LEVEL")] {
        println!("cargo:rustc-env={name}={}", env::var(from).unwrap_or_default());
    }
    println!("cargo:rerun-if-changed=build.rs");
}
