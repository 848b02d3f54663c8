//! Passes the commit of the source and its date to the program, for `console --version` and the metric `build_info`.
//!
//! `POSTRIDER_COMMIT` and `POSTRIDER_COMMIT_DATE` in the environment of the build override git, for builds without a
//! checkout (the Dockerfile passes them on). Without either both are empty, and only the version is shown.

use std::process::Command;

/// Files of the git folder that change with the current commit.
const GIT_FILES: [&str; 2] = ["HEAD", "logs/HEAD"];

fn main() {
    let commit = build_value("POSTRIDER_COMMIT", &["rev-parse", "--short=10", "HEAD"]);
    let date = build_value("POSTRIDER_COMMIT_DATE", &["log", "-1", "--format=%cs"]);
    let suffix = match (commit.as_str(), date.as_str()) {
        ("", _) => String::new(),
        (commit, "") => format!(" ({commit})"),
        (commit, date) => format!(" ({commit} {date})"),
    };
    println!("cargo:rustc-env=POSTRIDER_COMMIT={commit}");
    println!("cargo:rustc-env=POSTRIDER_COMMIT_DATE={date}");
    println!("cargo:rustc-env=POSTRIDER_VERSION_SUFFIX={suffix}");
    println!("cargo:rerun-if-changed=build.rs");
    for file in GIT_FILES.iter().filter_map(|file| git_output(&["rev-parse", "--git-path", file])) {
        println!("cargo:rerun-if-changed={file}");
    }
}

/// Returns the variable from the environment of the build, else the output of git, else an empty text.
#[allow(clippy::disallowed_methods, reason = "a build script reads the environment of the build")]
fn build_value(variable: &str, git_arguments: &[&str]) -> String {
    println!("cargo:rerun-if-env-changed={variable}");
    std::env::var(variable)
        .ok()
        .filter(|value| !value.is_empty())
        .or_else(|| git_output(git_arguments))
        .unwrap_or_default()
}

fn git_output(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
