//! Stops or kills a PostgreSQL server of a test with all its processes.
//!
//! A killed server leaves a shared memory segment behind, which is removed as well.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Maximum time for a server to stop before it is killed.
const POSTGRES_STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// The setting that keeps dynamic shared memory in files of the data folder, with which it is removed.
pub const MMAP_SHARED_MEMORY_SETTING: &str = "dynamic_shared_memory_type=mmap";

/// Stops a server at once and waits for it to end.
pub fn stop_postgres(mut child: Child, data_dir: &Path) {
    // A suspended process receives no signal before it is resumed.
    send_signal("-CONT", &server_pids(&child));
    send_signal("-QUIT", &[child.id()]);
    let deadline = Instant::now() + POSTGRES_STOP_TIMEOUT;
    while matches!(child.try_wait(), Ok(None)) {
        if Instant::now() > deadline {
            return kill_postgres(child, data_dir);
        }
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

/// Ends all processes of a server with SIGKILL, like a loss of power, and removes the shared memory segment that they leave
/// behind.
pub fn kill_postgres(mut child: Child, data_dir: &Path) {
    let segment = shared_memory_segment(data_dir);
    send_signal("-KILL", &server_pids(&child));
    let _ = child.wait();
    if let Some(segment) = segment {
        let mut remove = Command::new("ipcrm");
        let _ = remove.args(["-m", &segment]).stderr(Stdio::null()).status();
    }
}

/// Returns the id of the shared memory segment of a running server.
pub fn shared_memory_segment(data_dir: &Path) -> Option<String> {
    let lock = std::fs::read_to_string(data_dir.join("postmaster.pid")).ok()?;
    let numbers = lock.lines().nth(6)?;
    numbers.split_whitespace().nth(1).map(str::to_owned)
}

/// Returns the ids of a server process and its children.
pub fn server_pids(child: &Child) -> Vec<u32> {
    let pid = child.id();
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let children = children.split_whitespace().filter_map(|child| child.parse().ok());
    std::iter::once(pid).chain(children).collect()
}

/// Sends a signal to processes. Ignores processes that have ended.
pub fn send_signal(signal: &str, pids: &[u32]) {
    let mut command = Command::new("kill");
    command.arg(signal).args(pids.iter().map(u32::to_string));
    let _ = command.stderr(Stdio::null()).status();
}
