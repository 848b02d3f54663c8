//! What may become of one call, in words that every wire can say.
//!
//! Pure: who decides is the sandbox, and how it is written is each wire's matter.

/// What a receipt says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It has arrived.
    Delivered,
    /// It has not.
    Failed,
    /// There is no such number.
    Invalid,
}

impl Verdict {
    /// Every verdict, in the order of the counters.
    pub const ALL: [Self; 3] = [Self::Delivered, Self::Failed, Self::Invalid];

    /// In the words of system C's callback.
    pub fn word(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Invalid => "invalid",
        }
    }
}

/// What becomes of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// The message is taken; its receipt will say this, if there is one.
    Taken(Option<Verdict>),
    /// There is no such number.
    Refused,
    /// The provider is in trouble.
    Failed,
    /// The provider is too busy.
    Throttled {
        /// When to come back.
        retry_after_seconds: u32,
    },
    /// No answer ever.
    Hung,
    /// An answer that promises success and is not in the wire's format.
    Garbled,
    /// The connection is reset before an answer.
    Reset,
    /// The call itself was not as the wire has it.
    Unreadable,
}

impl Turn {
    /// The words of the counters, in their order.
    pub const WORDS: [&'static str; 8] = [
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
    pub fn place(self) -> usize {
        match self {
            Self::Taken(_) => 0,
            Self::Refused => 1,
            Self::Failed => 2,
            Self::Throttled { .. } => 3,
            Self::Hung => 4,
            Self::Garbled => 5,
            Self::Reset => 6,
            Self::Unreadable => 7,
        }
    }
}

/// A turn, and how fast it is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Course {
    /// What becomes of the call.
    pub turn: Turn,
    /// Whether the answer trickles.
    pub slow: bool,
}

impl Course {
    /// At once.
    pub const fn plain(turn: Turn) -> Self {
        Self { turn, slow: false }
    }
}
