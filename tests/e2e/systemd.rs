//! The program under a service manager: notifications, a passed socket, a reload by SIGHUP, and JSON log lines.

use std::os::unix::net::UnixDatagram;
use std::process::Command;

use sha2::{Digest, Sha256};

use super::raw_http;
use super::test_gateway::{ConsoleProcess, TestGateway, WAIT_LIMIT, free_address, wait_until};

/// A configuration with one API key.
fn key_config(secret: &str) -> String {
    let digest: String = Sha256::digest(secret).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("[[keys]]\nname = \"shop\"\nsha256 = \"{digest}\"\nscopes = [\"admin\"]\n")
}

fn write_config(gateway: &TestGateway, configuration: &str) {
    let text = format!("listen = \"{}\"\n{configuration}", gateway.address);
    std::fs::write(gateway.folder.path().join("console.toml"), text).unwrap();
}

/// Returns the status of `GET /v1/messages` with this key.
fn status_with_key(gateway: &TestGateway, secret: &str) -> u16 {
    let header = format!("X-Api-Key: {secret}");
    raw_http::send_request(gateway.address, "GET", "/v1/messages", &[&header], "").unwrap().status
}

fn reload(gateway: &TestGateway, console: &ConsoleProcess, log_line: &str) {
    console.signal("HUP");
    wait_until(log_line, || gateway.log().contains(log_line));
}

#[test]
fn systemd_is_notified_of_start_reload_and_stop() {
    let gateway = TestGateway::new("");
    let path = gateway.folder.path().join("notify.sock");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(WAIT_LIMIT)).unwrap();
    let receive = || {
        let mut buffer = [0; 256];
        let length = socket.recv(&mut buffer).expect("a notification");
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    };
    let console = gateway.start_serve_with_env(&[("NOTIFY_SOCKET", path.to_str().unwrap())]);
    assert_eq!(receive(), "READY=1\n");
    console.signal("HUP");
    let reloading = receive();
    assert!(reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="), "{reloading}");
    assert_eq!(receive(), "READY=1\n");
    assert_eq!(console.terminate().code(), Some(0));
    assert_eq!(receive(), "STOPPING=1\n");
}

#[test]
fn a_socket_of_systemd_is_used() {
    let gateway = TestGateway::new("");
    let mut command = Command::new("systemd-socket-activate");
    command.current_dir(gateway.folder.path());
    command.args(["-l", &gateway.address.to_string(), env!("CARGO_BIN_EXE_console"), "serve"]);
    let child = command.spawn().expect("systemd-socket-activate (apt-get install systemd)");
    let console = ConsoleProcess::from_child(child);
    wait_until("the gateway responds", || gateway.get("/healthz").is_some_and(|health| health.status == 200));
    assert_eq!(console.terminate().code(), Some(0));
}

#[test]
fn a_reload_replaces_keys_and_keeps_the_rest() {
    let gateway = TestGateway::new(&key_config("first-secret-0123456789"));
    let console = gateway.start_serve(&[]);
    assert_eq!(status_with_key(&gateway, "first-secret-0123456789"), 200);

    write_config(&gateway, &format!("{}[work]\nconcurrency = 3\n", key_config("second-secret-0123456789")));
    reload(&gateway, &console, "configuration reloaded: applied=keys restart_needed=work");
    assert_eq!(status_with_key(&gateway, "first-secret-0123456789"), 401);
    assert_eq!(status_with_key(&gateway, "second-secret-0123456789"), 200);

    write_config(&gateway, "no_such_key = 1\n");
    reload(&gateway, &console, "cannot reload, the running configuration stays");
    assert_eq!(status_with_key(&gateway, "second-secret-0123456789"), 200);
    assert_eq!(console.terminate().code(), Some(0));
}

#[test]
fn a_hangup_ends_a_worker_like_a_termination() {
    let gateway = TestGateway::new("");
    let address = free_address();
    let worker = gateway.start(&["work", "--listen", &address.to_string()]);
    wait_until("the worker has started", || gateway.log().contains("worker started"));
    worker.signal("HUP");
    assert_eq!(worker.wait_for_exit().code(), Some(0));
}

#[test]
fn a_log_in_json_has_one_object_per_line() {
    let gateway = TestGateway::new("[log]\nformat = \"json\"\n");
    let console = gateway.start_serve(&[]);
    assert_eq!(console.terminate().code(), Some(0));
    let log = gateway.log();
    let records: Vec<serde_json::Value> = log
        .lines()
        .filter(|line| !line.starts_with("listening on "))
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON object: {line}")))
        .collect();
    let started = records
        .iter()
        .find(|record| record["message"].as_str().is_some_and(|text| text.starts_with("server started")));
    let started = started.unwrap_or_else(|| panic!("no record of the start: {log}"));
    assert_eq!(started["level"], "info");
    assert!(started["time"].as_str().unwrap().ends_with('Z'), "{started}");
    assert_eq!(started["target"], "postrider::commands::serve");
}
