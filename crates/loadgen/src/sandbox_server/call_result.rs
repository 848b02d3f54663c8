//! What may become of one call, in words that every wire can say.
//!
//! Pure: who decides is the sandbox, and how it is written is each wire's matter.

/// What a receipt says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SandboxReceiptStatus {
    /// It has arrived.
    Delivered,
    /// It has not.
    Failed,
    /// There is no such number.
    Invalid,
}

impl SandboxReceiptStatus {
    /// Every verdict, in the order of the counters.
    pub const ALL: [Self; 3] = [Self::Delivered, Self::Failed, Self::Invalid];

    /// In the words of system C's callback.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Invalid => "invalid",
        }
    }
}

/// What becomes of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CallResult {
    /// The message is taken; its receipt will say this, if there is one.
    Accepted(Option<SandboxReceiptStatus>),
    /// There is no such number.
    InvalidNumber,
    /// The provider is in trouble.
    ServerError,
    /// The provider is too busy.
    Throttled {
        /// When to come back.
        retry_after_seconds: u32,
    },
    /// No answer ever.
    NoResponse,
    /// An answer that promises success and is not in the wire's format.
    Garbage,
    /// The connection is reset before an answer.
    Reset,
    /// The call itself was not as the wire has it.
    InvalidRequest,
}

impl CallResult {
    /// The words of the counters, in their order.
    pub const NAMES: [&'static str; 8] = [
        "accepted",
        "refused",
        "failed",
        "throttled",
        "hung",
        "garbled",
        "reset",
        "unreadable",
    ];

    /// Its place among [`Turn::WORDS`].
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

/// A turn, and how fast it is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CallPlan {
    /// What becomes of the call.
    pub result: CallResult,
    /// Whether the answer trickles.
    pub is_slow: bool,
}

impl CallPlan {
    /// At once.
    pub const fn immediate(turn: CallResult) -> Self {
        Self {
            result: turn,
            is_slow: false,
        }
    }
}
