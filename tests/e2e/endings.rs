//! How a PostgreSQL server that a test owns comes to its end: with its processes, and with the memory they share, which
//! the system keeps for whoever is killed.
//!
//! Standard library only, so that unit tests and the fleet's tests include the same file.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a server may take to stop before it is killed.
const STOP_LIMIT: Duration = Duration::from_secs(10);

/// The setting that keeps what its processes share among the server's own files, and so lets it go with them.
pub const SHARED_AMONG_FILES: &str = "dynamic_shared_memory_type=mmap";

/// Stops a server at once and waits for it. `files` is where it keeps its own.
pub fn end(mut child: Child, files: &Path) {
    // One that was stopped hears nothing before it goes on.
    signal("-CONT", &family(&child));
    signal("-QUIT", &[child.id()]);
    let deadline = Instant::now() + STOP_LIMIT;
    while matches!(child.try_wait(), Ok(None)) {
        if Instant::now() > deadline {
            return kill(child, files);
        }
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

/// Ends all of a server's processes with SIGKILL, as a machine that loses its power does, and removes the segment that
/// they leave behind.
pub fn kill(mut child: Child, files: &Path) {
    let segment = segment(files);
    signal("-KILL", &family(&child));
    let _ = child.wait();
    if let Some(segment) = segment {
        let mut remove = Command::new("ipcrm");
        let _ = remove.args(["-m", &segment]).stderr(Stdio::null()).status();
    }
}

/// The number of the segment a running server holds.
pub fn segment(files: &Path) -> Option<String> {
    let lock = std::fs::read_to_string(files.join("postmaster.pid")).ok()?;
    let numbers = lock.lines().nth(6)?;
    numbers.split_whitespace().nth(1).map(str::to_owned)
}

/// A server and the processes it has begun.
pub fn family(child: &Child) -> Vec<u32> {
    let pid = child.id();
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let children = children.split_whitespace().filter_map(|child| child.parse().ok());
    std::iter::once(pid).chain(children).collect()
}

/// Sends a signal to processes; one of them may have ended by itself in between.
pub fn signal(signal: &str, pids: &[u32]) {
    let mut command = Command::new("kill");
    command.arg(signal).args(pids.iter().map(u32::to_string));
    let _ = command.stderr(Stdio::null()).status();
}
