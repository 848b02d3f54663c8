//! Rows of build times: release from nothing, and the debug program after a change in one file.
//!
//! Measured only with `POSTRIDER_BENCH_BUILD=1`, because they take minutes. Builds in a temporary target folder; a change
//! is a new modification time, the files stay as they are.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Instant, SystemTime};

use crate::row::BenchRow;

/// Name of a row and the file that is changed.
const CHANGES: [(&str, &str); 3] = [
    ("core", "crates/core/src/delivery.rs"),
    ("one adapter", "crates/providers/src/kavenegar.rs"),
    ("a page", "templates/report.html"),
];

/// Measures all builds; returns no row without the environment variable.
pub async fn build_times() -> Vec<BenchRow> {
    if std::env::var_os("POSTRIDER_BENCH_BUILD").is_none() {
        eprintln!("build times need POSTRIDER_BENCH_BUILD=1");
        return Vec::new();
    }
    let target = tempfile::tempdir().expect("a folder");
    let release = build_seconds(target.path(), &["--release"]);
    let mut rows = vec![seconds_row("build, release from nothing", release)];
    build_seconds(target.path(), &[]);
    for (what, file) in CHANGES {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        let file = std::fs::File::options().append(true).open(&path).expect("open a source file");
        file.set_modified(SystemTime::now()).expect("set the modification time");
        let seconds = build_seconds(target.path(), &[]);
        rows.push(seconds_row(&format!("build, debug program after a change in {what}"), seconds));
    }
    rows
}

fn seconds_row(name: &str, seconds: f64) -> BenchRow {
    BenchRow::new(name, format!("{seconds:.1} s"), "–", true)
}

/// Builds the program and returns the duration, in seconds.
fn build_seconds(target: &Path, arguments: &[&str]) -> f64 {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let watch = Instant::now();
    let status = Command::new(cargo)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["build", "--quiet", "--bin", "console"])
        .args(arguments)
        .env("CARGO_TARGET_DIR", target)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .expect("run cargo");
    assert!(status.success(), "cargo build {arguments:?}");
    watch.elapsed().as_secs_f64()
}
