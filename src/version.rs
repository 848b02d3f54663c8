//! Version of the program, and the commit of its source as `build.rs` found it.

/// Version of the package.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Abbreviated commit; empty if it was unknown at build time.
pub const COMMIT: &str = env!("POSTRIDER_COMMIT");

/// Date of the commit, as YYYY-MM-DD; empty if it was unknown at build time.
pub const COMMIT_DATE: &str = env!("POSTRIDER_COMMIT_DATE");

/// Version with commit and date, for `console --version`.
pub const VERSION_LINE: &str = concat!(env!("CARGO_PKG_VERSION"), env!("POSTRIDER_VERSION_SUFFIX"));
