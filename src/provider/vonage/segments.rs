//! Which message the segments of a long text belong to: Vonage gives each its own id and its own receipt.
//!
//! In memory only. What is forgotten, or was sent by another process, costs a reason: the last segment's receipt still
//! speaks for the whole.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use crate::domain::receipt::Verdict;

/// How many segments are remembered; each takes about 100 bytes.
const KEPT_MAX: usize = 50_000;

/// Segments by id, with the id of the last one of their message.
#[derive(Default)]
pub(super) struct Segments(Mutex<Known>);

#[derive(Default)]
struct Known {
    last_of: HashMap<String, String>,
    order: VecDeque<String>,
}

impl Segments {
    /// Notes that these belong to the message whose last segment is `last`.
    pub fn belong(&self, others: &[String], last: &str) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for other in others {
            if known.order.len() >= KEPT_MAX
                && let Some(oldest) = known.order.pop_front()
            {
                known.last_of.remove(&oldest);
            }
            known.last_of.insert(other.clone(), last.to_owned());
            known.order.push_back(other.clone());
        }
    }

    /// The message a segment's receipt speaks for. That one of several has arrived says nothing of the message, unless it
    /// is the last; that one is lost says all.
    pub fn speaks_for(&self, id: String, verdict: &Verdict) -> Option<String> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match (known.last_of.get(&id), verdict) {
            (None, _) => Some(id),
            (Some(_), Verdict::Delivered | Verdict::Opened) => None,
            (Some(last), Verdict::Bounced { .. } | Verdict::Invalid { .. }) => Some(last.clone()),
        }
    }
}
