//! The files in `deploy/` are valid: alert rules fire as tested, dashboard queries parse, systemd and Kubernetes accept
//! the units and manifests, and every command in them exists.
//!
//! promtool, systemd-analyze and kubernetes-validate do the checks; none of them starts a service.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]
// Tests may panic, and need the environment.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Parser;
use postrider::cli::Cli;
use postrider_engine::config::{Config, Environment};
use serde_json::Value;

/// Maximum exposure of a unit, in tenths. `systemd-analyze security` rates up to 2.0 as "OK"; most services have 9.6.
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

/// Returns the sorted names of the files in a folder of `deploy` that end with `end`.
fn list_deploy_files(folder: &str, end: &str) -> Vec<String> {
    let entries = std::fs::read_dir(deploy_path(folder)).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name.ends_with(end)).collect();
    names.sort();
    names
}

/// Copies a folder of `deploy`; `change` may change the text of each file.
fn copy_deploy_folder(folder: &str, change: impl Fn(&str) -> String) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for name in list_deploy_files(folder, "") {
        let text = read_deploy_file(&format!("{folder}/{name}"));
        std::fs::write(copy.path().join(name), change(&text)).unwrap();
    }
    copy
}

/// Runs a program in a folder and returns whether it succeeded, with its output.
fn run_program(program: impl AsRef<std::ffi::OsStr>, folder: &Path, arguments: &[&str]) -> (bool, String) {
    let output = Command::new(program.as_ref())
        .current_dir(folder)
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("{:?}: {error}: run ./start.sh test", program.as_ref()));
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

fn expect_success(program: impl AsRef<std::ffi::OsStr>, folder: &Path, arguments: &[&str]) -> String {
    let (success, output) = run_program(program, folder, arguments);
    assert!(success, "{arguments:?}: {output}");
    output
}

#[test]
fn every_alert_rule_fires_in_a_test() {
    let folder = deploy_path("prometheus");
    expect_success("promtool", &folder, &["check", "rules", "postrider.rules.yml"]);
    expect_success("promtool", &folder, &["test", "rules", "postrider.test.yml"]);
    let rules = read_deploy_file("prometheus/postrider.rules.yml");
    let tests = read_deploy_file("prometheus/postrider.test.yml");
    for rule in rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")) {
        let firing = format!("alertname: {rule}\n        exp_alerts:");
        assert!(tests.contains(&firing), "no test makes {rule} fire");
    }
}

#[test]
fn a_changed_alert_rule_fails_its_test() {
    let copy = copy_deploy_folder("prometheus", |text| text.replace("seconds) > 300", "seconds) > 30000"));
    let (success, output) = run_program("promtool", copy.path(), &["test", "rules", "postrider.test.yml"]);
    assert!(!success && output.contains("PostriderOldestWaiting"), "{output}");
}

#[test]
fn prometheus_accepts_the_scrape_configuration() {
    let copy = copy_deploy_folder("prometheus", str::to_owned);
    std::fs::write(copy.path().join("postrider.key"), "sesame").unwrap();
    expect_success("promtool", copy.path(), &["check", "config", "prometheus.yml"]);
}

fn dashboard() -> Value {
    serde_json::from_str(&read_deploy_file("grafana/postrider.json")).unwrap()
}

/// Returns every query of the dashboard as Grafana sends it to Prometheus.
fn dashboard_queries(dashboard: &Value) -> Vec<String> {
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().cloned().unwrap_or_default());
    let queries = targets.map(|target| target["expr"].as_str().unwrap().to_owned());
    let filled = queries.map(|text| text.replace("$__rate_interval", "5m").replace("$job", ".+"));
    filled.collect()
}

#[test]
fn every_query_of_the_dashboard_is_valid() {
    let folder = tempfile::tempdir().unwrap();
    let queries = dashboard_queries(&dashboard());
    assert!(queries.len() > 20, "{queries:?}");
    let rule = |(index, query): (usize, &String)| serde_json::json!({"record": format!("postrider:query{index}"), "expr": query});
    let rules: Vec<Value> = queries.iter().enumerate().map(rule).collect();
    let rules = serde_json::json!({"groups": [{"name": "dashboard", "rules": rules}]});
    // JSON is YAML.
    std::fs::write(folder.path().join("rules.yml"), rules.to_string()).unwrap();
    expect_success("promtool", folder.path(), &["check", "rules", "rules.yml"]);
}

#[test]
fn dashboard_panels_have_unique_ids_and_do_not_overlap() {
    let dashboard = dashboard();
    let panels = dashboard["panels"].as_array().unwrap();
    let mut cells = BTreeSet::new();
    let mut ids = BTreeSet::new();
    for panel in panels {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{panel}");
        let position = |side: &str| panel["gridPos"][side].as_u64().unwrap();
        assert!(position("x") + position("w") <= 24, "{panel}");
        for x in position("x")..position("x") + position("w") {
            for y in position("y")..position("y") + position("h") {
                assert!(cells.insert((x, y)), "{panel}");
            }
        }
    }
}

#[test]
fn systemd_accepts_the_units() {
    let copy = copy_deploy_folder("systemd", |text| text.replace("/usr/local/bin/console", "/bin/true"));
    let units: Vec<String> =
        [list_deploy_files("systemd", ".service"), list_deploy_files("systemd", ".timer")].concat();
    let verify = |folder: &Path| {
        let paths = units.iter().map(|unit| folder.join(unit).display().to_string());
        let paths: Vec<String> = paths.collect();
        let mut arguments = vec!["verify", "--man=no"];
        arguments.extend(paths.iter().map(String::as_str));
        run_program("systemd-analyze", folder, &arguments)
    };
    let (success, output) = verify(copy.path());
    assert!(success && !output.contains("postrider"), "{output}");
    let broken = read_deploy_file("systemd/postrider.service")
        .replace("ProtectSystem=strict", "ProtectSystem=somewhat");
    std::fs::write(copy.path().join("postrider.service"), broken).unwrap();
    let (_, output) = verify(copy.path());
    assert!(output.contains("postrider"), "{output}");
}

#[test]
fn the_units_drop_privileges_they_do_not_need() {
    let copy = copy_deploy_folder("systemd", str::to_owned);
    for unit in list_deploy_files("systemd", ".service") {
        let file = copy.path().join(&unit).display().to_string();
        let threshold = format!("--threshold={UNIT_EXPOSURE_MAX}");
        let arguments = ["security", "--offline=true", "--no-pager", &threshold, &file];
        expect_success("systemd-analyze", copy.path(), &arguments);
    }
}

/// Returns the rest of every line that begins with `word`.
fn values_after<'a>(text: &'a str, word: &str) -> Vec<&'a str> {
    text.lines().filter_map(|line| line.strip_prefix(word)).collect()
}

#[test]
fn timers_match_the_crontab() {
    let crontab = std::fs::read_to_string(repository_root().join("crontab.example")).unwrap();
    let jobs = [
        ("resend", "resend:msg", "minutely", "* * * * *"),
        ("report", "sync:report", "*:0/20", "*/20 * * * *"),
        ("prune", "prune --older-than 90d --whole-months", "*-*-* 05:15:00", "15 5 * * *"),
        ("backup", "backup", "*-*-* 05:45:00", "45 5 * * *"),
    ];
    assert_eq!(list_deploy_files("systemd", ".timer").len(), jobs.len());
    for (name, command, calendar, cron) in jobs {
        let timer = read_deploy_file(&format!("systemd/postrider-{name}.timer"));
        assert_eq!(values_after(&timer, "OnCalendar="), [calendar]);
        let service = read_deploy_file(&format!("systemd/postrider-{name}.service"));
        let console = format!("console {command}");
        assert!(service.contains(&console), "{service}");
        let line = crontab.lines().find(|line| line.contains(&console)).expect(command);
        assert!(line.starts_with(cron), "{line}");
        expect_success("systemd-analyze", repository_root(), &["calendar", calendar]);
        // No time zone skips or repeats the hours from 4 to 22 when its clocks change.
        let hour = cron.split(' ').nth(1).and_then(|hour| hour.parse::<u8>().ok());
        assert!(hour.is_none_or(|hour| (4..23).contains(&hour)), "{cron}");
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
        let words = words.trim_end_matches('\'').replace("$$(date +%%F)", "DAY").replace('"', "");
        expect_valid_command(&words.split(' ').collect::<Vec<_>>());
    }
}

fn kubernetes_validate() -> PathBuf {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| repository_root().join("target"), PathBuf::from);
    target.join("peers/python/bin/kubernetes-validate")
}

/// Returns the names of the files that contain Kubernetes objects.
fn manifests() -> Vec<String> {
    let others = ["kustomization.yaml", "prometheus-adapter.values.yaml"];
    let mut names = list_deploy_files("kubernetes", ".yaml");
    names.retain(|name| !others.contains(&name.as_str()));
    names
}

#[test]
fn kubernetes_accepts_the_manifests() {
    let names = manifests();
    let mut arguments = vec!["--strict", "--no-warn"];
    arguments.extend(names.iter().map(String::as_str));
    expect_success(kubernetes_validate(), &deploy_path("kubernetes"), &arguments);
    let broken =
        copy_deploy_folder("kubernetes", |text| text.replace("maxReplicas: 12", "maxReplicas: many"));
    let (success, output) = run_program(kubernetes_validate(), broken.path(), &arguments);
    assert!(!success && output.contains("maxReplicas"), "{output}");
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
    let lines = block.lines().map(|line| line.strip_prefix("    ").unwrap_or(line));
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
    assert!(!config.is_test_mode && config.keys.len() == 3);
}

/// Returns the compose file as JSON, with its anchors resolved.
fn compose_file() -> Value {
    let script = "import json, sys, yaml; print(json.dumps(yaml.safe_load(open(sys.argv[1]))))";
    let python = kubernetes_validate().with_file_name("python");
    let file = repository_root().join("docker-compose.yml").display().to_string();
    let (success, output) = run_program(python, repository_root(), &["-c", script, &file]);
    assert!(success, "{output}");
    serde_json::from_str(&output).unwrap()
}

#[test]
fn every_container_of_the_compose_file_is_restricted() {
    let compose = compose_file();
    let services = compose["services"].as_object().unwrap();
    assert!(services.len() >= 10, "{services:?}");
    for (name, service) in services {
        assert_eq!(service["cap_drop"], serde_json::json!(["ALL"]), "{name}");
        assert_eq!(service["security_opt"], serde_json::json!(["no-new-privileges:true"]), "{name}");
        assert_eq!(service["read_only"], true, "{name}");
        let image = service["image"].as_str().unwrap();
        let is_pinned = image.split_once(':').is_some_and(|(_, tag)| tag.contains('.'));
        assert!(is_pinned || image == "postrider" && service["build"] == ".", "{name}: {image}");
        let has_limit = service["mem_limit"].is_string() || name == "passwords";
        assert!(has_limit, "{name}");
    }
}

#[test]
fn the_compose_file_generates_each_password_once() {
    let script = compose_file()["services"]["passwords"]["command"][0].as_str().unwrap().replace("$$", "$");
    let folder = tempfile::tempdir().unwrap();
    let script = script.replace("/passwords", folder.path().to_str().unwrap());
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    let generate = || expect_success("sh", folder.path(), &["-c", &script]);
    generate();
    let (redis, database) = (read("redis"), read("database"));
    for password in [&redis, &database] {
        assert!(
            password.len() == 48 && password.bytes().all(|byte| byte.is_ascii_hexdigit()),
            "{password:?}"
        );
    }
    assert_ne!(redis, database);
    generate();
    assert_eq!((read("redis"), read("database")), (redis, database));
}

#[test]
fn no_pod_gets_the_variables_of_services() {
    for name in ["cron", "serve", "work"] {
        let manifest = read_deploy_file(&format!("kubernetes/{name}.yaml"));
        let pods = manifest.matches("automountServiceAccountToken: false").count();
        assert_eq!(manifest.matches("enableServiceLinks: false").count(), pods, "{name}");
    }
}
