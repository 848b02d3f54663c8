//! Results of a call, independent of the provider API.

/// Status that a receipt reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SandboxReceiptStatus {
    Delivered,
    /// Not delivered.
    Failed,
    /// The number does not exist.
    Invalid,
}

impl SandboxReceiptStatus {
    /// All statuses, in the order of the counters.
    pub const ALL: [Self; 3] = [Self::Delivered, Self::Failed, Self::Invalid];

    /// Returns the word of system C's callback.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Invalid => "invalid",
        }
    }
}

/// Result of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CallResult {
    /// Accepted, with the status of its receipt, if there is one.
    Accepted(Option<SandboxReceiptStatus>),
    /// The number does not exist.
    InvalidNumber,
    /// A failure of the provider.
    ServerError,
    /// Too many requests, with the value of `Retry-After`.
    Throttled { retry_after_seconds: u32 },
    /// No response at all.
    NoResponse,
    /// Status 200 with a body that is not in the API's format.
    Garbage,
    /// The connection is reset before a response.
    Reset,
    /// The request was not in the API's format.
    InvalidRequest,
}

impl CallResult {
    /// Names of the counters, in the order of [`CallResult::index`].
    pub const NAMES: [&'static str; 8] = [
        "accepted",
        "invalid_number",
        "server_error",
        "throttled",
        "no_response",
        "garbage",
        "reset",
        "invalid_request",
    ];

    /// Returns the position in [`CallResult::NAMES`].
    pub fn index(self) -> usize {
        match self {
            Self::Accepted(_) => 0,
            Self::InvalidNumber => 1,
            Self::ServerError => 2,
            Self::Throttled { .. } => 3,
            Self::NoResponse => 4,
            Self::Garbage => 5,
            Self::Reset => 6,
            Self::InvalidRequest => 7,
        }
    }
}

/// A result and the speed of its response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CallPlan {
    pub result: CallResult,
    /// True if the response is sent byte by byte.
    pub is_slow: bool,
}

impl CallPlan {
    /// Returns a plan whose response is sent at once.
    pub const fn immediate(result: CallResult) -> Self {
        Self { result, is_slow: false }
    }
}
