//! Modes of database files: readable and writable for the owner only, because a database contains message bodies,
//! addresses and the store secret, with which session cookies can be forged.
//!
//! SQLite gives the write-ahead log and the shared memory file the mode of the database.

use std::path::Path;

/// Creates an empty database file for the owner only, unless it exists. An error is left to SQLite, which opens the file
/// next and names it.
pub fn create_private(database_file: &Path) {
    let mut open_options = std::fs::OpenOptions::new();
    open_options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut open_options, 0o600);
    drop(open_options.open(database_file));
}

/// Logs a warning if other users of this machine can read a database file.
pub fn warn_if_readable(database_file: &Path) {
    if is_readable_for_others(database_file) {
        log::warn!(
            "other users can read the store: file={}; it contains message bodies, addresses and the secret that signs \
             session cookies; make it private with: chmod go= FILE FILE-wal FILE-shm",
            database_file.display()
        );
    }
}

/// Returns whether the group or other users can read or write a file. False if the mode is unknown.
#[cfg(unix)]
pub fn is_readable_for_others(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(file).is_ok_and(|metadata| metadata.permissions().mode() & 0o066 != 0)
}

/// Returns whether the group or other users can read or write a file. False if the mode is unknown.
#[cfg(not(unix))]
pub fn is_readable_for_others(_file: &Path) -> bool {
    false
}
