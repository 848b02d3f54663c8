//! Errors of the PostgreSQL backend, and how they become [`Error`]s.
//!
//! The messages say what to do. They never contain SQL, rows or passwords.

use std::error::Error as _;

use deadpool::managed::PoolError;
use tokio_postgres::error::SqlState;

use crate::copy::write_guard::WriteGuard;
use postrider_core::error::{Error, ErrorKind};

/// The reason why a transaction failed.
#[derive(Debug)]
pub enum PgError {
    /// The server reported an error, or the connection broke.
    Server(tokio_postgres::Error),
    /// The server did not answer in time.
    Timeout,
    /// No connection of the pool became free in time.
    PoolTimeout,
    /// A row has a value that the schema does not allow.
    InvalidRow(String),
}

/// The reason why no server can be used although it accepts connections.
enum ServerRejection {
    /// The certificate of the server is not valid.
    Certificate,
    /// The server is not writable, or it is writable and a read-only server was requested.
    ReadOnly,
    /// The server wants a user or a password that the URL does not contain.
    Credentials,
    /// The server supports no TLS, or only versions that `rustls` does not support.
    Tls,
}

impl From<tokio_postgres::Error> for PgError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Server(error)
    }
}

impl From<PoolError<PgError>> for PgError {
    fn from(error: PoolError<PgError>) -> Self {
        match error {
            PoolError::Backend(error) => error,
            PoolError::Timeout(_)
            | PoolError::Closed
            | PoolError::NoRuntimeSpecified
            | PoolError::PostCreateHook(_) => Self::PoolTimeout,
        }
    }
}

impl PgError {
    /// Returns the SQLSTATE code.
    pub fn code(&self) -> Option<&SqlState> {
        match self {
            Self::Server(error) => error.code(),
            Self::Timeout | Self::PoolTimeout | Self::InvalidRow(_) => None,
        }
    }

    /// Returns whether the transaction conflicted with another one, so that a retry may succeed.
    pub fn is_transaction_conflict(&self) -> bool {
        let conflict_codes = [SqlState::T_R_DEADLOCK_DETECTED, SqlState::T_R_SERIALIZATION_FAILURE];
        self.code().is_some_and(|code| conflict_codes.contains(code))
    }

    /// Returns whether another connection may succeed: this connection broke, the server is closing it, or the server
    /// is no longer writable.
    pub fn is_connection_error(&self) -> bool {
        let Self::Server(error) = self else { return false };
        error.code().is_none_or(|sql_state| {
            let sql_state = sql_state.code();
            sql_state == "25006" || sql_state.starts_with("57P0") || sql_state.starts_with("08")
        })
    }

    /// Compares the errors of two hosts: an error that a server reported is more specific than a failed connection.
    pub fn is_at_least_as_specific_as(&self, other: &Self) -> bool {
        self.specificity() >= other.specificity()
    }

    fn specificity(&self) -> u8 {
        match self {
            Self::InvalidRow(_) => 4,
            Self::Server(error) if error.code().is_some() => 3,
            Self::Server(_) if self.server_rejection().is_some() => 2,
            Self::Server(_) => 1,
            Self::Timeout | Self::PoolTimeout => 0,
        }
    }

    /// Returns why the server cannot be used; none if it reported an SQL error or cannot be reached.
    fn server_rejection(&self) -> Option<ServerRejection> {
        let Self::Server(error) = self else { return None };
        // `tokio-postgres` has no error kinds for missing credentials and for TLS.
        let message = error.to_string();
        if message.starts_with("invalid configuration") {
            return Some(ServerRejection::Credentials);
        }
        let io_error = error.source()?.downcast_ref::<std::io::Error>();
        let tls_error = io_error.and_then(|io_error| io_error.get_ref()?.downcast_ref::<rustls::Error>());
        if let Some(rustls::Error::InvalidCertificate(_)) = tls_error {
            return Some(ServerRejection::Certificate);
        }
        if io_error.is_some_and(|io_error| io_error.kind() == std::io::ErrorKind::PermissionDenied) {
            return Some(ServerRejection::ReadOnly);
        }
        message.contains("TLS handshake").then_some(ServerRejection::Tls)
    }

    /// Returns the kind of the error. A server that is down, overloaded, starting or stopping is `Unavailable`.
    pub fn kind(&self) -> ErrorKind {
        if matches!(self, Self::InvalidRow(_)) {
            return ErrorKind::Internal;
        }
        let Some(sql_state) = self.code() else {
            return match self.server_rejection() {
                Some(ServerRejection::Certificate | ServerRejection::Credentials | ServerRejection::Tls) => {
                    ErrorKind::Usage
                }
                Some(ServerRejection::ReadOnly) | None => ErrorKind::Unavailable,
            };
        };
        let sql_state = sql_state.code();
        if let Some(guard) = WriteGuard::from_sqlstate(sql_state) {
            return guard.kind();
        }
        if sql_state.starts_with("28") || sql_state.starts_with("3D") || sql_state == "42501" {
            return ErrorKind::Usage;
        }
        let transient_classes = ["08", "53", "57", "58", "40", "55"];
        if ["25006", "25P03"].contains(&sql_state)
            || transient_classes.iter().any(|class| sql_state.starts_with(class))
        {
            return ErrorKind::Unavailable;
        }
        ErrorKind::Internal
    }

    /// Returns the description for clients, without SQL.
    fn client_message(&self) -> &'static str {
        let Some(sql_state) = self.code() else {
            return match (self, self.server_rejection()) {
                (Self::InvalidRow(_), _) => "the database contains an invalid row",
                (Self::PoolTimeout, _) => {
                    "all connections to the database server are in use; raise store.connections"
                }
                (_, Some(ServerRejection::Certificate)) => {
                    "the database server's certificate is not trusted; name a file with trusted certificates with \
                     sslrootcert=FILE in the store's URL"
                }
                (_, Some(ServerRejection::Credentials)) => {
                    "the database server wants a user or password that the store's URL does not contain"
                }
                (_, Some(ServerRejection::ReadOnly)) => "no database server of the store's URL is writable",
                (_, Some(ServerRejection::Tls)) => {
                    "the database server does not support TLS, which sslmode in the store's URL requires"
                }
                (Self::Timeout, _) => "the database server does not answer",
                (Self::Server(_), None) => "the database server cannot be reached",
            };
        };
        if let Some(guard) = WriteGuard::from_sqlstate(sql_state.code()) {
            return guard.client_message();
        }
        match sql_state.code() {
            "53100" => "the database server's disk is full",
            "53300" => "the database server accepts no more connections",
            "25006" => "the database server is read-only",
            "25P03" => "the database server ended the transaction because this process was idle for too long",
            "42501" => "the database user lacks a privilege",
            sql_state if sql_state.starts_with("28") => "the database server rejects the user or password",
            sql_state if sql_state.starts_with("3D") => "the database does not exist",
            sql_state if sql_state.starts_with("57") => "the database server is starting or stopping",
            _ => "the database server reported an error",
        }
    }

    /// Converts an error at the start to an [`Error`] for the operator, whose message names the servers and the cause.
    /// The message is never sent to clients.
    pub fn to_startup_error(&self, context: &str, servers: &str) -> Error {
        let message = format!("{context}: {}; server={servers} cause={self}", self.client_message());
        Error::new(self.kind(), message)
    }

    /// Converts to an [`Error`] whose message begins with `context`.
    pub fn to_error(&self, context: &str) -> Error {
        Error::with_source(self.kind(), format!("{context}: {}", self.client_message()), self.to_string())
    }
}

impl std::fmt::Display for PgError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Server(error) => {
                error.fmt(formatter)?;
                // The server's message without its detail line, which may contain rows.
                match (error.as_db_error(), error.source()) {
                    (Some(server_error), _) => {
                        write!(formatter, ": {} ({})", server_error.message(), server_error.code().code())
                    }
                    (None, Some(cause)) => write!(formatter, ": {cause}"),
                    (None, None) => Ok(()),
                }
            }
            Self::Timeout => formatter.write_str("no answer in time"),
            Self::PoolTimeout => formatter.write_str("no connection became free in time"),
            Self::InvalidRow(description) => formatter.write_str(description),
        }
    }
}
