//! What `deploy/` offers holds: its alert rules speak when they should, its dashboard's questions can be asked, its units
//! and manifests are what systemd and Kubernetes take, and every command in them exists.
//!
//! The programs that know those forms are asked: promtool, systemd-analyze, kubernetes-validate. None of them runs a
//! service.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]
// Tests may stop at the first surprise, and need the environment.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Parser;
use postrider::cli::Cli;
use postrider_engine::config::{Config, Environment};
use serde_json::Value;

/// How exposed a unit may be at most, in tenths; systemd-analyze calls up to 2.0 "OK", most services have 9.6.
const UNIT_EXPOSURE_MAX: &str = "20";

fn repository_root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn deploy_path(path: &str) -> PathBuf {
    repository_root().join("deploy").join(path)
}

fn read_deploy_file(path: &str) -> String {
    std::fs::read_to_string(deploy_path(path)).unwrap()
}

/// The names of the files in a folder of `deploy` that end so.
fn list_deploy_files(folder: &str, end: &str) -> Vec<String> {
    let entries = std::fs::read_dir(deploy_path(folder)).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name.ends_with(end)).collect();
    names.sort();
    names
}

/// A copy of a folder of `deploy`, whose texts may be changed on the way.
fn copy_deploy_folder(folder: &str, change: impl Fn(&str) -> String) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for name in list_deploy_files(folder, "") {
        let text = read_deploy_file(&format!("{folder}/{name}"));
        std::fs::write(copy.path().join(name), change(&text)).unwrap();
    }
    copy
}

/// Runs a program in a folder: whether it was content, and what it said.
fn run_program(program: impl AsRef<std::ffi::OsStr>, folder: &Path, arguments: &[&str]) -> (bool, String) {
    let output = Command::new(program.as_ref())
        .current_dir(folder)
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("{:?}: {error}: run ./start.sh test", program.as_ref()));
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

fn expect_success(program: impl AsRef<std::ffi::OsStr>, folder: &Path, arguments: &[&str]) -> String {
    let (content, said) = run_program(program, folder, arguments);
    assert!(content, "{arguments:?}: {said}");
    said
}

#[test]
fn alerts_speak_when_they_should() {
    let folder = deploy_path("prometheus");
    expect_success("promtool", &folder, &["check", "rules", "postrider.rules.yml"]);
    expect_success("promtool", &folder, &["test", "rules", "postrider.test.yml"]);
    let rules = read_deploy_file("prometheus/postrider.rules.yml");
    let tests = read_deploy_file("prometheus/postrider.test.yml");
    for rule in rules
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "))
    {
        let loud = format!("alertname: {rule}\n        exp_alerts:");
        assert!(tests.contains(&loud), "no test makes {rule} speak");
    }
}

#[test]
fn a_rule_that_says_something_else_fails_its_test() {
    let copy = copy_deploy_folder("prometheus", |text| {
        text.replace("seconds) > 300", "seconds) > 30000")
    });
    let (content, said) = run_program("promtool", copy.path(), &["test", "rules", "postrider.test.yml"]);
    assert!(!content && said.contains("PostriderOldestWaiting"), "{said}");
}

#[test]
fn prometheus_takes_the_scrape_configuration() {
    let copy = copy_deploy_folder("prometheus", str::to_owned);
    std::fs::write(copy.path().join("postrider.key"), "sesame").unwrap();
    expect_success("promtool", copy.path(), &["check", "config", "prometheus.yml"]);
}

fn dashboard() -> Value {
    serde_json::from_str(&read_deploy_file("grafana/postrider.json")).unwrap()
}

/// Every question that the dashboard asks, as Prometheus gets it.
fn dashboard_queries(dashboard: &Value) -> Vec<String> {
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().cloned().unwrap_or_default());
    let questions = targets.map(|target| target["expr"].as_str().unwrap().to_owned());
    let filled = questions.map(|text| text.replace("$__rate_interval", "5m").replace("$job", ".+"));
    filled.collect()
}

#[test]
fn every_question_of_the_dashboard_can_be_asked() {
    let folder = tempfile::tempdir().unwrap();
    let questions = dashboard_queries(&dashboard());
    assert!(questions.len() > 20, "{questions:?}");
    let rule = |(place, question): (usize, &String)| serde_json::json!({"record": format!("postrider:question{place}"), "expr": question});
    let rules: Vec<Value> = questions.iter().enumerate().map(rule).collect();
    let rules = serde_json::json!({"groups": [{"name": "dashboard", "rules": rules}]});
    // JSON is YAML.
    std::fs::write(folder.path().join("rules.yml"), rules.to_string()).unwrap();
    expect_success("promtool", folder.path(), &["check", "rules", "rules.yml"]);
}

#[test]
fn the_dashboards_panels_have_numbers_and_places_of_their_own() {
    let dashboard = dashboard();
    let panels = dashboard["panels"].as_array().unwrap();
    let mut taken = BTreeSet::new();
    let mut numbers = BTreeSet::new();
    for panel in panels {
        assert!(numbers.insert(panel["id"].as_u64().unwrap()), "{panel}");
        let place = |side: &str| panel["gridPos"][side].as_u64().unwrap();
        assert!(place("x") + place("w") <= 24, "{panel}");
        for across in place("x")..place("x") + place("w") {
            for down in place("y")..place("y") + place("h") {
                assert!(taken.insert((across, down)), "{panel}");
            }
        }
    }
}

#[test]
fn systemd_takes_the_units() {
    let copy = copy_deploy_folder("systemd", |text| {
        text.replace("/usr/local/bin/console", "/bin/true")
    });
    let units: Vec<String> = [
        list_deploy_files("systemd", ".service"),
        list_deploy_files("systemd", ".timer"),
    ]
    .concat();
    let verify = |folder: &Path| {
        let paths = units.iter().map(|unit| folder.join(unit).display().to_string());
        let paths: Vec<String> = paths.collect();
        let mut arguments = vec!["verify", "--man=no"];
        arguments.extend(paths.iter().map(String::as_str));
        run_program("systemd-analyze", folder, &arguments)
    };
    let (content, said) = verify(copy.path());
    assert!(content && !said.contains("postrider"), "{said}");
    let broken = read_deploy_file("systemd/postrider.service")
        .replace("ProtectSystem=strict", "ProtectSystem=somewhat");
    std::fs::write(copy.path().join("postrider.service"), broken).unwrap();
    let (_, said) = verify(copy.path());
    assert!(said.contains("postrider"), "{said}");
}

#[test]
fn the_units_give_away_what_they_do_not_need() {
    let copy = copy_deploy_folder("systemd", str::to_owned);
    for unit in list_deploy_files("systemd", ".service") {
        let file = copy.path().join(&unit).display().to_string();
        let threshold = format!("--threshold={UNIT_EXPOSURE_MAX}");
        let arguments = ["security", "--offline=true", "--no-pager", &threshold, &file];
        expect_success("systemd-analyze", copy.path(), &arguments);
    }
}

/// What comes after a word at the beginning of a line.
fn values_after<'a>(text: &'a str, word: &str) -> Vec<&'a str> {
    text.lines().filter_map(|line| line.strip_prefix(word)).collect()
}

#[test]
fn timers_do_what_cron_does() {
    let crontab = std::fs::read_to_string(repository_root().join("crontab.example")).unwrap();
    let duties = [
        ("resend", "resend:msg", "minutely", "* * * * *"),
        ("report", "sync:report", "*:0/20", "*/20 * * * *"),
        (
            "prune",
            "prune --older-than 90d --whole-months",
            "*-*-* 03:15:00",
            "15 3 * * *",
        ),
        ("backup", "backup", "*-*-* 03:45:00", "45 3 * * *"),
    ];
    assert_eq!(list_deploy_files("systemd", ".timer").len(), duties.len());
    for (name, command, calendar, cron) in duties {
        let timer = read_deploy_file(&format!("systemd/postrider-{name}.timer"));
        assert_eq!(values_after(&timer, "OnCalendar="), [calendar]);
        let service = read_deploy_file(&format!("systemd/postrider-{name}.service"));
        let console = format!("console {command}");
        assert!(service.contains(&console), "{service}");
        let line = crontab
            .lines()
            .find(|line| line.contains(&console))
            .expect(command);
        assert!(line.starts_with(cron), "{line}");
        expect_success("systemd-analyze", repository_root(), &["calendar", calendar]);
    }
    let serve = read_deploy_file("systemd/postrider.service");
    assert!(serve.contains("POSTRIDER_SCHEDULE_RESEND=never POSTRIDER_SCHEDULE_REPORT=never"));
}

fn expect_valid_command(words: &[&str]) {
    let words = std::iter::once("console").chain(words.iter().copied());
    if let Err(error) = Cli::try_parse_from(words) {
        panic!("{error}");
    }
}

#[test]
fn the_commands_of_the_units_exist() {
    for unit in list_deploy_files("systemd", ".service") {
        let unit = read_deploy_file(&format!("systemd/{unit}")).replace("%i", "9100");
        let command = values_after(&unit, "ExecStart=")[0];
        let (_, words) = command.split_once("/usr/local/bin/console ").expect(command);
        let words = words
            .trim_end_matches('\'')
            .replace("$$(date +%%F)", "DAY")
            .replace('"', "");
        expect_valid_command(&words.split(' ').collect::<Vec<_>>());
    }
}

fn kubernetes_validate() -> PathBuf {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| repository_root().join("target"), PathBuf::from);
    target.join("peers/python/bin/kubernetes-validate")
}

/// The files that hold objects of Kubernetes itself.
fn manifests() -> Vec<String> {
    let others = ["kustomization.yaml", "prometheus-adapter.values.yaml"];
    let mut names = list_deploy_files("kubernetes", ".yaml");
    names.retain(|name| !others.contains(&name.as_str()));
    names
}

#[test]
fn kubernetes_takes_the_manifests() {
    let names = manifests();
    let mut arguments = vec!["--strict", "--no-warn"];
    arguments.extend(names.iter().map(String::as_str));
    expect_success(kubernetes_validate(), &deploy_path("kubernetes"), &arguments);
    let broken = copy_deploy_folder("kubernetes", |text| {
        text.replace("maxReplicas: 12", "maxReplicas: many")
    });
    let (content, said) = run_program(kubernetes_validate(), broken.path(), &arguments);
    assert!(!content && said.contains("maxReplicas"), "{said}");
}

#[test]
fn the_kustomization_names_every_manifest_but_the_example() {
    let kustomization = read_deploy_file("kubernetes/kustomization.yaml");
    let mut named: Vec<&str> = values_after(&kustomization, "  - ");
    named.retain(|name| name.ends_with(".yaml"));
    named.sort_unstable();
    let mut wanted = manifests();
    wanted.retain(|name| name != "secret.example.yaml");
    assert_eq!(named, wanted);
}

#[test]
fn the_commands_of_the_manifests_exist() {
    let mut seen = Vec::new();
    for name in manifests() {
        for line in read_deploy_file(&format!("kubernetes/{name}")).lines() {
            if let Some(arguments) = line.trim().strip_prefix("args: ") {
                let words: Vec<String> = serde_json::from_str(arguments).unwrap();
                expect_valid_command(&words.iter().map(String::as_str).collect::<Vec<_>>());
                seen.push(words[0].clone());
            }
        }
    }
    seen.sort_unstable();
    assert_eq!(seen, ["prune", "resend:msg", "serve", "sync:report", "work"]);
}

#[test]
fn the_configuration_of_the_pods_loads_with_the_example_of_a_secret() {
    let manifest = read_deploy_file("kubernetes/configuration.yaml");
    let (_, block) = manifest.split_once("console.toml: |\n").unwrap();
    let lines = block
        .lines()
        .map(|line| line.strip_prefix("    ").unwrap_or(line));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("console.toml");
    std::fs::write(&file, lines.collect::<Vec<_>>().join("\n")).unwrap();
    let secret = read_deploy_file("kubernetes/secret.example.yaml");
    let (_, pairs) = secret.split_once("stringData:\n").unwrap();
    let pairs = pairs.lines().filter_map(|line| line.trim().split_once(": "));
    let environment = Environment::from_iter(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let (config, warnings) = Config::load(Some(&file), &environment, &[]).unwrap();
    assert!(warnings.is_empty(), "{warnings:?}");
    assert!(config.store_url.starts_with("postgres://"));
    assert!(config.schedule.resend.is_none() && config.schedule.report.is_none());
    assert!(!config.is_test_mode && config.keys.len() == 2);
}
