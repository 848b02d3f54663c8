//! A full disk, a read-only store, a store locked by another process: clients get a clear response, no message is
//! stored in part, and the gateway recovers without a restart.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use super::raw_http;
use super::test_gateway::{ConsoleProcess, TestGateway, wait_until};

const CONFIG: &str = "[schedule]\nresend = \"never\"\nreport = \"never\"\n\
                     [providers.mock]\nkind = \"mock\"\n[channels.sms]\nproviders = [\"mock\"]\n";

/// Starts `serve` in its own mount namespace, with its store on a file system of 4 MiB.
fn serve_on_small_disk(gateway: &TestGateway) -> ConsoleProcess {
    let small = gateway.folder.path().join("small");
    std::fs::create_dir(&small).unwrap();
    let script = "mount -t tmpfs -o size=4m small \"$0\" && exec \"$@\"";
    let log = std::fs::File::create(gateway.folder.path().join("console.log")).unwrap();
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", script]).arg(&small);
    command.args([env!("CARGO_BIN_EXE_console"), "serve", "--concurrency", "0"]);
    command.current_dir(gateway.folder.path()).env("POSTRIDER_STORE_URL", "sqlite:small/postrider.db");
    command.stdout(log.try_clone().unwrap()).stderr(log);
    let console = ConsoleProcess::from_child(
        command.spawn().expect("unshare: install util-linux, or run ./start.sh test"),
    );
    wait_until("the gateway is ready", || gateway.get("/healthz").is_some());
    console
}

/// Returns the path of a file in the mount namespace of the process.
fn path_in_namespace(console: &ConsoleProcess, gateway: &TestGateway, name: &str) -> std::path::PathBuf {
    let inside = gateway.folder.path().join("small").join(name);
    std::path::PathBuf::from(format!("/proc/{}/root{}", console.id(), inside.display()))
}

/// Copies the store from the small disk and opens the copy.
fn copy_store(console: &ConsoleProcess, gateway: &TestGateway) -> rusqlite::Connection {
    let copy = gateway.folder.path().join("copy.db");
    for tail in ["", "-wal"] {
        let from = path_in_namespace(console, gateway, &format!("postrider.db{tail}"));
        std::fs::copy(from, format!("{}{tail}", copy.display())).unwrap();
    }
    rusqlite::Connection::open(copy).unwrap()
}

#[test]
fn a_full_disk_is_answered_with_503_and_works_again_when_there_is_room() {
    let gateway = TestGateway::new(CONFIG);
    let console = serve_on_small_disk(&gateway);
    let filler = path_in_namespace(&console, &gateway, "filler");
    gateway.send("09122222222", "before");
    let _ = std::fs::write(&filler, vec![0_u8; 8 << 20]);
    let mut accepted = 1;
    let refused = loop {
        let response = gateway.get("/sms/send?number=09122222222&body=more").expect("a response");
        match response.status {
            200 => accepted += 1,
            _ => break response,
        }
        assert!(accepted < 100_000, "the disk did not fill up");
    };
    assert_eq!(refused.status, 503, "{refused:?}");
    assert!(refused.header("retry-after").is_some(), "{refused:?}");
    assert!(!refused.body.to_lowercase().contains("sql"), "{refused:?}");
    assert_eq!(gateway.get("/readyz").unwrap().status, 503);
    std::fs::remove_file(&filler).unwrap();
    wait_until("messages are accepted again", || {
        gateway.get("/sms/send?number=09122222222&body=after").unwrap().status == 200
    });
    let listed = gateway.get("/v1/messages?to=09122222222&limit=100").unwrap().json();
    assert_eq!(listed["messages"][0]["body"], "after");
    let stored = copy_store(&console, &gateway);
    let count = |sql: &str| stored.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(count("SELECT count(*) FROM messages WHERE body <> 'after'"), accepted);
    let incomplete = "SELECT count(*) FROM messages WHERE number NOT IN (SELECT id / 64 FROM deliveries)";
    assert_eq!(count(incomplete), 0);
    assert_eq!(stored.query_row("PRAGMA integrity_check", [], |row| row.get::<_, String>(0)).unwrap(), "ok");
}

/// Starts `serve` as a user that file permissions apply to; they do not apply to root.
fn serve_as_unprivileged_user(gateway: &TestGateway) -> ConsoleProcess {
    let log = std::fs::File::create(gateway.folder.path().join("console.log")).unwrap();
    let mut command = Command::new("unshare");
    command.args(["--user", env!("CARGO_BIN_EXE_console"), "serve", "--concurrency", "0"]);
    command.current_dir(gateway.folder.path()).stdout(log.try_clone().unwrap()).stderr(log);
    ConsoleProcess::from_child(command.spawn().expect("unshare: install util-linux, or run ./start.sh test"))
}

fn set_permissions(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_read_only_store_is_answered_with_503_and_works_when_it_can_be_written() {
    let gateway = TestGateway::new(CONFIG);
    let console = gateway.start_serve(&["--concurrency", "0"]);
    gateway.send("09122222222", "before");
    assert_eq!(console.terminate().code(), Some(0));
    let store = gateway.folder.path().join("postrider.db");
    set_permissions(gateway.folder.path(), 0o777);
    set_permissions(&store, 0o444);
    let _console = serve_as_unprivileged_user(&gateway);
    wait_until("the gateway is ready", || gateway.get("/healthz").is_some());
    let refused = gateway.get("/sms/send?number=09122222222&body=during").unwrap();
    assert_eq!(refused.status, 503, "{refused:?}");
    assert!(!refused.body.to_lowercase().contains("sql"), "internals reached the client: {refused:?}");
    for tail in ["", "-wal", "-shm"] {
        set_permissions(Path::new(&format!("{}{tail}", store.display())), 0o666);
    }
    wait_until("messages are accepted again", || {
        gateway.get("/sms/send?number=09122222222&body=after").unwrap().status == 200
    });
    assert_eq!(gateway.query_number("SELECT count(*) FROM messages WHERE body = 'during'"), 0);
    assert_eq!(gateway.query_number("SELECT count(*) FROM messages WHERE body = 'before'"), 1);
}

#[test]
fn a_lock_held_by_another_process_is_waited_for() {
    let gateway = TestGateway::new(CONFIG);
    let _console = gateway.start_serve(&["--concurrency", "0"]);
    let other = gateway.open_store();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let at = gateway.address;
    let started = Instant::now();
    let client = std::thread::spawn(move || raw_http::get(at, "/sms/send?number=09122222222&body=delayed"));
    std::thread::sleep(Duration::from_secs(3));
    other.execute_batch("COMMIT").unwrap();
    let response = client.join().unwrap().expect("a response");
    assert_eq!(response.status, 200, "{response:?}");
    assert!(started.elapsed() >= Duration::from_secs(3));
}
