//! The command line of the program: golden files of `--help`, exit statuses, and the commands in crontab and compose file.
//!
//! `UPDATE_GOLDEN=1 cargo test --test cli` rewrites the golden files.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]
// Tests may panic.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use clap::{CommandFactory, Parser};
use postrider::cli::Cli;

/// Runs the program in an empty folder, without the variables of this environment.
fn console(arguments: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    Command::new(env!("CARGO_BIN_EXE_console"))
        .args(arguments)
        .current_dir(folder.path())
        .env_clear()
        .env("COLUMNS", "100")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn utf8(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn repository_root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn golden_file(name: &str) -> PathBuf {
    repository_root().join(format!("tests/golden/help/{}.txt", name.replace(':', "-")))
}

fn command_names() -> Vec<String> {
    let command = Cli::command();
    command.get_subcommands().map(|one| one.get_name().to_owned()).collect()
}

#[test]
fn every_help_equals_its_golden_file() {
    let mut differing = Vec::new();
    let names = command_names();
    let all = std::iter::once(("console", vec!["--help"]))
        .chain(names.iter().map(|name| (name.as_str(), vec![name.as_str(), "--help"])));
    for (name, arguments) in all {
        let output = console(&arguments);
        assert!(output.status.success(), "{name}");
        let help = utf8(&output.stdout);
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(golden_file(name), &help).unwrap();
        }
        if std::fs::read_to_string(golden_file(name)).unwrap_or_default() != help {
            differing.push(format!("{name} is now:\n{help}"));
        }
    }
    assert!(
        differing.is_empty(),
        "if this is intended, run UPDATE_GOLDEN=1 cargo test --test cli\n{}",
        differing.join("\n")
    );
}

#[test]
fn every_golden_file_belongs_to_a_command() {
    let expected: BTreeSet<PathBuf> =
        command_names().iter().map(|name| golden_file(name)).chain([golden_file("console")]).collect();
    let folder = std::fs::read_dir(repository_root().join("tests/golden/help")).unwrap();
    let found: BTreeSet<PathBuf> = folder.map(|entry| entry.unwrap().path()).collect();
    assert_eq!(found, expected);
}

#[test]
fn invalid_usage_exits_with_2() {
    for arguments in [
        vec![],
        vec!["sing"],
        vec!["serve", "--concurrency", "many"],
        vec!["work", "--concurrency", "0"],
        vec!["resend:msg", "--since", "yesterday"],
        vec!["message", "12"],
        vec!["prune"],
        vec!["status", "--config", "missing.toml"],
    ] {
        let output = console(&arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
        assert!(!output.stderr.is_empty(), "{arguments:?}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
}

#[test]
fn a_configuration_error_is_one_line_with_the_file_name() {
    let output = console(&["status", "--config", "missing.toml"]);
    let error = utf8(&output.stderr);
    assert_eq!(error.lines().count(), 1, "{error}");
    assert!(error.starts_with("console: ") && error.contains("missing.toml"), "{error}");
}

#[test]
fn check_prints_a_configuration_error_and_exits_with_2() {
    let output = console(&["check", "--config", "missing.toml"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(utf8(&output.stdout).starts_with("error: configuration missing.toml"));
}

#[test]
fn version_completions_and_manual_need_no_configuration() {
    for shell in ["bash", "zsh", "fish"] {
        let script = utf8(&console(&["completions", shell, "--config", "missing.toml"]).stdout);
        assert!(script.contains("resend:msg") || script.contains("resend\\:msg"), "{shell}");
    }
    assert!(utf8(&console(&["man"]).stdout).contains(".TH console"));
}

#[test]
fn the_version_names_the_commit_and_its_date() {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).current_dir(repository_root()).output().ok();
        output.filter(|output| output.status.success()).map(|output| utf8(&output.stdout).trim().to_owned())
    };
    let version = concat!("console ", env!("CARGO_PKG_VERSION"));
    let expected = match (git(&["rev-parse", "--short=10", "HEAD"]), git(&["log", "-1", "--format=%cs"])) {
        (Some(commit), Some(date)) => format!("{version} ({commit} {date})\n"),
        _ => format!("{version}\n"),
    };
    assert_eq!(utf8(&console(&["--version"]).stdout), expected);
}

#[test]
fn the_example_configuration_is_printed_and_valid() {
    let example = utf8(&console(&["config"]).stdout);
    assert_eq!(example, std::fs::read_to_string(repository_root().join("console.example.toml")).unwrap());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("console.toml");
    std::fs::write(&file, example).unwrap();
    let check = utf8(&console(&["check", "--config", file.to_str().unwrap()]).stdout);
    assert!(check.starts_with("ok: configuration "), "{check}");
}

#[test]
fn the_configuration_is_found_in_the_working_directory_and_then_in_the_folder_of_the_user() {
    let (working, user) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let user_folder = user.path().join("postrider");
    std::fs::create_dir(&user_folder).unwrap();
    let read_file = |variable: &str, value: &Path| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_console"));
        command.arg("check").current_dir(working.path()).env_clear().env(variable, value);
        let line = utf8(&command.stdin(Stdio::null()).output().unwrap().stdout);
        line.lines().next().unwrap().to_owned()
    };
    let user_file = user_folder.join("console.toml");
    std::fs::write(&user_file, "region = \"DE\"\n").unwrap();
    let expected = format!("ok: configuration {} ", user_file.display());
    let found = read_file("XDG_CONFIG_HOME", user.path());
    assert!(found.starts_with(&expected), "{found}");

    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join(".config")).unwrap();
    std::fs::rename(&user_folder, home.path().join(".config/postrider")).unwrap();
    let found = read_file("HOME", home.path());
    assert!(found.contains("/.config/postrider/console.toml "), "{found}");

    std::fs::write(working.path().join("console.toml"), "region = \"FR\"\n").unwrap();
    let found = read_file("HOME", home.path());
    assert!(found.starts_with("ok: configuration console.toml "), "{found}");
}

#[test]
fn the_manual_has_a_page_for_every_command() {
    let folder = tempfile::tempdir().unwrap();
    let output = console(&["man", folder.path().to_str().unwrap()]);
    assert!(output.status.success(), "{output:?}");
    let pages = std::fs::read_dir(folder.path()).unwrap().count();
    assert!(pages > command_names().len(), "{pages} pages");
}

#[test]
fn commands_that_read_fail_in_an_empty_folder_and_create_no_store() {
    let id = "00000000-0000-4000-8000-000000000000";
    for arguments in [
        &["status"][..],
        &["resend:msg"],
        &["sync:report"],
        &["usage"],
        &["recipient", "+989122222222"],
        &["events", "list"],
        &["prune", "--older-than", "1d"],
        &["backup", "b.db"],
        &["message", id],
    ] {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_console"));
        command.args(arguments).current_dir(folder.path()).env_clear().stdin(Stdio::null());
        let output = command.output().unwrap();
        let error = utf8(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {error}");
        let place = folder.path().canonicalize().unwrap().join("postrider.db");
        assert!(error.contains(&format!("{} does not exist", place.display())), "{arguments:?}: {error}");
        let names = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
        assert_eq!(names.collect::<Vec<_>>(), [""; 0], "{arguments:?}");
    }
}

#[test]
fn a_closed_stderr_does_not_change_the_exit_status() {
    let folder = tempfile::tempdir().unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = Command::new(env!("CARGO_BIN_EXE_console"));
    command.args(["status", "--config", "missing.toml"]).current_dir(folder.path()).env_clear();
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(writer).status().unwrap();
    assert_eq!(status.code(), Some(2));
}

#[test]
fn check_finds_a_listen_address_in_use() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_console"));
    command.arg("check").current_dir(folder.path()).env_clear().env("POSTRIDER_LISTEN", address.to_string());
    let output = command.stdin(Stdio::null()).output().unwrap();
    let text = utf8(&output.stdout);
    assert!(
        text.contains(&format!("error: listener {address}: cannot listen on {address}: another program")),
        "{text}"
    );
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn bash_completes_commands_with_a_colon() {
    let script = utf8(&console(&["completions", "bash"]).stdout);
    for (words, expected) in [
        (&["console", "resend", ":", "msg", "--fa"][..], "--failed"),
        (&["console", "sync", ":"], "report"),
        (&["console", "resend", ":", "m"], "msg"),
        (&["console", "prune", "--ol"], "--older-than"),
    ] {
        let quoted = words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" ");
        let last = words.len() - 1;
        let line = format!(
            "{script}\nCOMP_WORDS=({quoted}); COMP_CWORD={last}; _console_with_colons console '{}' '{}'\n\
             printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            words[last],
            words[last - 1]
        );
        let output = Command::new("bash").arg("-c").arg(line).stdin(Stdio::null()).output().unwrap();
        assert_eq!(utf8(&output.stdout).trim_end(), expected, "{words:?} {}", utf8(&output.stderr));
    }
}

/// Returns the arguments after `console` in a shell line, up to a shell operator.
fn console_arguments(line: &str) -> Option<Vec<String>> {
    let (_, rest) = line.split_once("console ")?;
    let mut words = vec![String::new()];
    let mut is_quoted = false;
    for letter in rest.chars() {
        match letter {
            '"' => is_quoted = !is_quoted,
            ' ' if !is_quoted => words.push(String::new()),
            _ => words.last_mut().unwrap().push(letter),
        }
    }
    let is_operator = |word: &String| matches!(word.as_str(), "&&" | "||" | ">>" | ">" | "|" | "2>&1");
    Some(words.into_iter().take_while(|word| !is_operator(word)).collect())
}

fn is_valid_command(words: &[String]) -> bool {
    Cli::try_parse_from(std::iter::once("console").chain(words.iter().map(String::as_str))).is_ok()
}

#[test]
fn every_command_of_the_crontab_exists() {
    let crontab = std::fs::read_to_string(repository_root().join("crontab.example")).unwrap();
    let lines =
        crontab.lines().filter(|line| line.starts_with(|first: char| first.is_ascii_digit() || first == '*'));
    let commands: Vec<Vec<String>> = lines.filter_map(console_arguments).collect();
    assert!(commands.len() >= 4, "{commands:?}");
    for command in commands {
        assert!(is_valid_command(&command), "{command:?}");
    }
}

#[test]
fn every_command_of_the_compose_file_exists() {
    let compose = std::fs::read_to_string(repository_root().join("docker-compose.yml")).unwrap();
    let lists = compose.lines().filter_map(|line| line.trim().strip_prefix("command: ["));
    let commands: Vec<Vec<String>> = lists
        .map(|list| {
            let words = list.trim_end_matches(']').split(',');
            words.map(|word| word.trim().trim_matches('"').to_owned()).collect()
        })
        .collect();
    let console_commands: Vec<_> = commands
        .iter()
        .filter(|command| !matches!(command[0].as_str(), "redis-server" | "memcached"))
        .collect();
    assert!(console_commands.len() >= 2, "{commands:?}");
    for command in console_commands {
        assert!(is_valid_command(command), "{command:?}");
    }
    let script = compose.lines().map(str::trim).filter(|line| line.starts_with("console "));
    let jobs: Vec<Vec<String>> = script.filter_map(console_arguments).collect();
    assert!(jobs.len() >= 2, "{jobs:?}");
    for job in jobs {
        assert!(is_valid_command(&job), "{job:?}");
    }
}

#[test]
fn an_unknown_command_in_a_crontab_line_is_found() {
    assert!(is_valid_command(
        &console_arguments("* * * * * cd /x && console sync:report >> log 2>&1").unwrap()
    ));
    assert!(!is_valid_command(&console_arguments("* * * * * cd /x && console sync:all").unwrap()));
}
