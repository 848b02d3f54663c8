//! Real servers for tests: PostgreSQL, Redis and memcached, which end with the test binary; keys and certificates.
//!
//! Only compiled with the feature `testing`. A missing program fails the test with the command that installs it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods, missing_docs)]

pub mod backend_server;
pub mod certificates;
pub mod postgres_server;
pub mod postgres_shutdown;

/// Returns the root folder of the workspace.
pub fn workspace_root() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}
