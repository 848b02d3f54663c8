//! The result of an action, passed to the next page in its query.
//!
//! The query is only shown, never trusted: counts are numbers, and provider names are valid configuration names.

use super::super::format;
use crate::form;
use postrider_core::name::ConfigName;

/// The notice on top of a page.
pub(super) enum Notice {
    /// Deliveries were changed.
    Changed {
        /// `true` if they are sent again, `false` if they were cancelled.
        resent: bool,
        /// Number of changed deliveries.
        changed: String,
        /// Number of deliveries that could not be changed.
        unchanged: String,
    },
    /// A provider was paused.
    Paused(String),
    /// A provider was resumed.
    Resumed(String),
    /// No delivery was selected.
    Nothing,
    /// None of the newest messages (their number is given) can be changed; there are older ones.
    NothingInNewest(String),
}

impl Notice {
    /// Parses the query of a page; `None` without a notice.
    pub(super) fn from_query(query: &str) -> Option<Self> {
        let text = |name| form::field(query.as_bytes(), name).unwrap_or_default();
        let number = |name| text(name).parse::<u64>().unwrap_or_default();
        let provider = || text("provider").parse::<ConfigName>().ok().map(|name| name.to_string());
        match text("done").as_ref() {
            action @ ("resend" | "cancel") => Some(Self::Changed {
                resent: action == "resend",
                changed: format::count(number("changed")),
                unchanged: format::count(number("of").saturating_sub(number("changed"))),
            }),
            "pause" => provider().map(Self::Paused),
            "resume" => provider().map(Self::Resumed),
            "nothing" => Some(Self::Nothing),
            "nothing-in-newest" => Some(Self::NothingInNewest(format::count(number("of")))),
            _ => None,
        }
    }
}
