//! Turns PostgreSQL's errors into ours, and decides which of them are the server's fault and not the work's.
//!
//! The words name what to do; SQL, rows and passwords stay out of them.

use deadpool_postgres::{PoolError, TimeoutType};
use tokio_postgres::error::SqlState;

use crate::error::{Error, Kind};
use crate::store::transfer::Fence;

/// Why a piece of work did not happen.
#[derive(Debug)]
pub enum Trouble {
    /// The server said no, or the connection broke.
    Server(tokio_postgres::Error),
    /// No connection could be had.
    Pool(PoolError),
    /// A row holds what no row can.
    Row(String),
}

impl From<tokio_postgres::Error> for Trouble {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Server(error)
    }
}

impl From<PoolError> for Trouble {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Backend(error) => Self::Server(error),
            error => Self::Pool(error),
        }
    }
}

impl Trouble {
    fn code(&self) -> Option<&SqlState> {
        match self {
            Self::Server(error) => error.code(),
            Self::Pool(_) | Self::Row(_) => None,
        }
    }

    /// Whether two pieces of work stood in each other's way, so that a second go may well succeed.
    pub fn is_collision(&self) -> bool {
        let collisions = [
            SqlState::T_R_DEADLOCK_DETECTED,
            SqlState::T_R_SERIALIZATION_FAILURE,
        ];
        self.code().is_some_and(|code| collisions.contains(code))
    }

    /// What kind of failure it is. Away, full, starting, stopping: try again later.
    pub fn kind(&self) -> Kind {
        if matches!(self, Self::Row(_)) {
            return Kind::Internal;
        }
        let Some(code) = self.code() else {
            return Kind::Unavailable;
        };
        let code = code.code();
        if let Some(fence) = Fence::from_code(code) {
            return fence.kind();
        }
        if code.starts_with("28") || code.starts_with("3D") || code == "42501" {
            return Kind::Usage;
        }
        let passing = ["08", "53", "57", "58", "40", "55"];
        if code == "25006" || passing.iter().any(|class| code.starts_with(class)) {
            return Kind::Unavailable;
        }
        Kind::Internal
    }

    /// What a client may know of it: what is the matter with the server, never SQL.
    fn words(&self) -> &'static str {
        let Some(code) = self.code() else {
            return match self {
                Self::Row(_) => "the database holds what it cannot hold",
                Self::Pool(PoolError::Timeout(TimeoutType::Wait)) => {
                    "all connections to the database server are taken"
                }
                Self::Pool(_) | Self::Server(_) => "the database server cannot be reached",
            };
        };
        if let Some(fence) = Fence::from_code(code.code()) {
            return fence.words();
        }
        match code.code() {
            "53100" => "the database server's disk is full",
            "53300" => "the database server has no connection left",
            "25006" => "the database server can only be read",
            "42501" => "the database server does not allow it to this user",
            code if code.starts_with("28") => "the database server refuses this user or password",
            code if code.starts_with("3D") => "there is no such database",
            code if code.starts_with("57") => "the database server is starting or stopping",
            _ => "the database server refuses it",
        }
    }

    /// Our error for it.
    pub fn fault(&self, act: &str) -> Error {
        Error::because(self.kind(), format!("{act}: {}", self.words()), self.to_string())
    }
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Server(error) => {
                error.fmt(out)?;
                // The server's own words, without the detail line, which may quote rows.
                match (error.as_db_error(), std::error::Error::source(error)) {
                    (Some(said), _) => write!(out, ": {} ({})", said.message(), said.code().code()),
                    (None, Some(cause)) => write!(out, ": {cause}"),
                    (None, None) => Ok(()),
                }
            }
            Self::Pool(error) => error.fmt(out),
            Self::Row(what) => out.write_str(what),
        }
    }
}
