//! An interrupted test run leaves no server process and no files.
//!
//! An interrupt at the terminal reaches the whole process group, also the shell that supervises the server.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use postrider_core::testing::backend_server::free_port;
use postrider_core::testing::postgres_server::find_postgres_programs;

/// Maximum time that the test waits for a condition; reached only when the test fails.
const WAIT_LIMIT: Duration = Duration::from_secs(60);

/// Polls until the condition holds; returns false after [`WAIT_LIMIT`].
fn poll_until(condition: &str, mut holds: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + WAIT_LIMIT;
    while Instant::now() < deadline {
        if holds() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    eprintln!("timeout waiting until {condition}");
    false
}

fn send_interrupt(supervisor: &Child) {
    let sent = Command::new("kill").args(["-INT", &supervisor.id().to_string()]).status();
    assert!(sent.unwrap().success());
}

/// Returns the process id of the server while it runs.
fn server_pid(folder: &Path) -> Option<String> {
    let file = std::fs::read_to_string(folder.join("data/postmaster.pid")).ok()?;
    file.lines().next().map(str::to_owned)
}

#[test]
fn the_server_of_an_interrupted_test_run_ends_and_its_files_are_deleted() {
    let bin = find_postgres_programs().expect("postgres: `apt-get install postgresql`, or `./start.sh test`");
    let port = free_port().to_string();
    let folder = std::env::temp_dir().join(format!("postrider-interrupted-{}-{port}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let mut supervisor = Command::new("sh")
        .args(["-c", include_str!("../../crates/core/src/testing/database.sh"), "database.sh"])
        .args([&bin, &folder])
        .arg(&port)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    assert!(poll_until("the server runs", || server_pid(&folder).is_some()));
    send_interrupt(&supervisor);
    drop(supervisor.stdin.take());
    let ended = poll_until("the supervisor ends", || supervisor.try_wait().unwrap().is_some());
    let running = server_pid(&folder);
    if let Some(server) = &running {
        let _ = Command::new("kill").args(["-QUIT", server]).status();
        poll_until("the server ends", || server_pid(&folder).is_none());
    }
    let has_files = folder.exists();
    let _ = std::fs::remove_dir_all(&folder);
    assert!(ended && running.is_none() && !has_files, "{running:?}");
}
