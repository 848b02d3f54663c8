//! What a run of the tests that is interrupted leaves behind: nothing.
//!
//! An interrupt reaches everybody at the terminal, so also the shell that looks after a server.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use postrider_core::testing::backend_server::free_port;
use postrider_core::testing::postgres_server::find_postgres_programs;

/// Only ends a test that fails.
const WAIT_LIMIT: Duration = Duration::from_secs(60);

fn poll_until(what: &str, mut holds: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + WAIT_LIMIT;
    while Instant::now() < deadline {
        if holds() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    eprintln!("never: {what}");
    false
}

fn send_interrupt(keeper: &Child) {
    let sent = Command::new("kill")
        .args(["-INT", &keeper.id().to_string()])
        .status();
    assert!(sent.unwrap().success());
}

/// The server's own number, as long as it runs.
fn server_pid(place: &Path) -> Option<String> {
    let file = std::fs::read_to_string(place.join("data/postmaster.pid")).ok()?;
    file.lines().next().map(str::to_owned)
}

#[test]
fn the_server_of_an_interrupted_test_run_ends_and_its_files_are_deleted() {
    let bin = find_postgres_programs().expect("postgres: `apt-get install postgresql`, or `./start.sh test`");
    let port = free_port().to_string();
    let place = std::env::temp_dir().join(format!("postrider-interrupted-{}-{port}", std::process::id()));
    std::fs::create_dir_all(&place).unwrap();
    let mut keeper = Command::new("sh")
        .args([
            "-c",
            include_str!("../../crates/core/src/testing/database.sh"),
            "database.sh",
        ])
        .args([&bin, &place])
        .arg(&port)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    assert!(poll_until("it runs", || server_pid(&place).is_some()));
    send_interrupt(&keeper);
    drop(keeper.stdin.take());
    let ended = poll_until("its keeper ends", || keeper.try_wait().unwrap().is_some());
    let left = server_pid(&place);
    if let Some(server) = &left {
        let _ = Command::new("kill").args(["-QUIT", server]).status();
        poll_until("it ends", || self::server_pid(&place).is_none());
    }
    let is_left = place.exists();
    let _ = std::fs::remove_dir_all(&place);
    assert!(ended && left.is_none() && !is_left, "{left:?}");
}
