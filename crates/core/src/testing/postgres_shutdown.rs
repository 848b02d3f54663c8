//! How a PostgreSQL server that a test owns comes to its end: with its processes, and with the memory they share, which
//! the system keeps for whoever is killed.
//!
//! Standard library only, so that unit tests and the fleet's tests include the same file.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a server may take to stop before it is killed.
const POSTGRES_STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// The setting that keeps what its processes share among the server's own files, and so lets it go with them.
pub const MMAP_SHARED_MEMORY_SETTING: &str = "dynamic_shared_memory_type=mmap";

/// Stops a server at once and waits for it. `files` is where it keeps its own.
pub fn stop_postgres(mut child: Child, files: &Path) {
    // One that was stopped hears nothing before it goes on.
    send_signal("-CONT", &process_tree(&child));
    send_signal("-QUIT", &[child.id()]);
    let deadline = Instant::now() + POSTGRES_STOP_TIMEOUT;
    while matches!(child.try_wait(), Ok(None)) {
        if Instant::now() > deadline {
            return kill_postgres(child, files);
        }
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

/// Ends all of a server's processes with SIGKILL, as a machine that loses its power does, and removes the segment that
/// they leave behind.
pub fn kill_postgres(mut child: Child, files: &Path) {
    let segment = shared_memory_segment(files);
    send_signal("-KILL", &process_tree(&child));
    let _ = child.wait();
    if let Some(segment) = segment {
        let mut remove = Command::new("ipcrm");
        let _ = remove.args(["-m", &segment]).stderr(Stdio::null()).status();
    }
}

/// The number of the segment a running server holds.
pub fn shared_memory_segment(files: &Path) -> Option<String> {
    let lock = std::fs::read_to_string(files.join("postmaster.pid")).ok()?;
    let numbers = lock.lines().nth(6)?;
    numbers.split_whitespace().nth(1).map(str::to_owned)
}

/// A server and the processes it has begun.
pub fn process_tree(child: &Child) -> Vec<u32> {
    let pid = child.id();
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let children = children.split_whitespace().filter_map(|child| child.parse().ok());
    std::iter::once(pid).chain(children).collect()
}

/// Sends a signal to processes; one of them may have ended by itself in between.
pub fn send_signal(signal: &str, pids: &[u32]) {
    let mut command = Command::new("kill");
    command.arg(signal).args(pids.iter().map(u32::to_string));
    let _ = command.stderr(Stdio::null()).status();
}
