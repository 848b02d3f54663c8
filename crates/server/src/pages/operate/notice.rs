//! The result of an action, passed to the next page in its query.
//!
//! The query is only displayed and never trusted: counts must be numbers, and provider names must be valid names.

use super::super::format;
use crate::form;
use postrider_core::name::ConfigName;

/// The notice at the top of a page about the previous action.
pub(super) enum Notice {
    /// Deliveries were changed.
    Changed {
        /// `true` if the deliveries are sent again, `false` if they were cancelled.
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
    /// None of the newest messages can be changed; there are older messages. Contains the number of examined messages.
    NothingInNewest(String),
}

impl Notice {
    /// Parses the query of a page; `None` without a notice.
    pub(super) fn from_query(query: &str) -> Option<Self> {
        let query_field = |name| form::field(query.as_bytes(), name).unwrap_or_default();
        let count = |name| query_field(name).parse::<u64>().unwrap_or_default();
        let provider = || query_field("provider").parse::<ConfigName>().ok().map(|name| name.to_string());
        match query_field("done").as_ref() {
            action @ ("resend" | "cancel") => Some(Self::Changed {
                resent: action == "resend",
                changed: format::count(count("changed")),
                unchanged: format::count(count("of").saturating_sub(count("changed"))),
            }),
            "pause" => provider().map(Self::Paused),
            "resume" => provider().map(Self::Resumed),
            "nothing" => Some(Self::Nothing),
            "nothing-in-newest" => Some(Self::NothingInNewest(format::count(count("of")))),
            _ => None,
        }
    }
}
