//! The error type of the project: a kind, a message and the chain of causes.
//!
//! The kind decides the HTTP status and the exit code. Clients see the kind and the message; the chain, which may contain
//! SQL or provider texts, goes to the log only.

use std::fmt;

/// The kind of a failure: what the caller can do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The store cannot be reached or written now (disk full, read-only, locked, connection lost). Try again later.
    Unavailable,
    /// The configuration or the command line is wrong. The message names the place and the correction.
    Usage,
    /// The requested object does not exist.
    NotFound,
    /// The state of the object does not allow the operation.
    Conflict,
    /// A defect, or data that should not be possible.
    Internal,
}

/// A failed operation.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// The result of an operation that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Returns an error without a cause.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    /// Returns an error with a cause, which only the log shows.
    pub fn with_source(
        kind: ErrorKind,
        message: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self { kind, message: message.into(), source: Some(source.into()) }
    }

    /// Returns an error about the configuration or the command line.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Usage, message)
    }

    /// Puts the context of the failure in front of the message.
    #[must_use]
    pub fn with_context(mut self, context: &str) -> Self {
        self.message = format!("{context} {}", self.message);
        self
    }

    /// Adds a further problem of the same kind, separated by a semicolon.
    #[must_use]
    pub fn with_more(mut self, problem: &str) -> Self {
        self.message = format!("{}; {problem}", self.message);
        self
    }

    /// Returns the kind, which decides the HTTP status and the exit code.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Returns the message and all causes on one line, for the log.
    pub fn chain(&self) -> String {
        let causes = std::iter::successors(std::error::Error::source(self), |cause| cause.source());
        causes.fold(self.message.clone(), |line, cause| format!("{line}: {cause}"))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|cause| cause as &(dyn std::error::Error + 'static))
    }
}
