//! The one error type: what act failed, of which kind, and the chain beneath it.
//!
//! The kind decides how a face answers and how a command exits; the message names the act in lower case.
//! The chain is for the log only: a client sees kind and message, never SQL or a provider's words.

use std::fmt;

/// What sort of failure it is, and so what the caller can do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The truth cannot be reached or written now: disk full, read-only, locked, away. Try again later.
    Unavailable,
    /// The configuration or the command line is wrong. The message names the place and the remedy.
    Usage,
    /// What was asked for does not exist.
    NotFound,
    /// What was asked for is in a state that forbids it.
    Conflict,
    /// A defect of ours, or data that should not be possible.
    Internal,
}

/// A failure with the act that failed.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// The result of everything that touches the truth.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A failure without anything beneath it.
    pub fn new(kind: ErrorKind, act: impl Into<String>) -> Self {
        Self {
            kind,
            message: act.into(),
            source: None,
        }
    }

    /// A failure caused by another one, which only the log will show.
    pub fn with_source(
        kind: ErrorKind,
        act: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self {
            kind,
            message: act.into(),
            source: Some(source.into()),
        }
    }

    /// A wrong configuration or command line.
    pub fn usage(act: impl Into<String>) -> Self {
        Self::new(ErrorKind::Usage, act)
    }

    /// The same failure with the place it speaks of in front.
    #[must_use]
    pub fn with_context(mut self, place: &str) -> Self {
        self.message = format!("{place} {}", self.message);
        self
    }

    /// How a face answers and a command exits.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The whole chain on one line, for the log.
    pub fn chain(&self) -> String {
        let mut line = self.message.clone();
        let mut next = std::error::Error::source(self);
        while let Some(cause) = next {
            line.push_str(": ");
            line.push_str(&cause.to_string());
            next = cause.source();
        }
        line
    }
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source
            .as_deref()
            .map(|cause| cause as &(dyn std::error::Error + 'static))
    }
}
