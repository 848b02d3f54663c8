//! Location of the programs of other languages that `./start.sh test` installs.

use std::path::PathBuf;

/// Returns the folder of the peers: `peers` in the target folder of Cargo.
pub fn peers_folder() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/target")), PathBuf::from);
    target.join("peers")
}
