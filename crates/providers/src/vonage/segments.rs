//! Which message the segments of a long text belong to: Vonage gives each its own id and its own receipt.
//!
//! In memory only. What is forgotten, or was sent by another process, costs a reason: the last segment's receipt still
//! speaks for the whole.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use postrider_core::receipt::ReceiptStatus;

/// How many segments are remembered; each takes about 100 bytes.
const SEGMENTS_MAX: usize = 50_000;

/// Segments by id, with the id of the last one of their message.
#[derive(Default)]
pub(super) struct VonageSegments(Mutex<SegmentMap>);

#[derive(Default)]
struct SegmentMap {
    last_segment_of: HashMap<String, String>,
    by_age: VecDeque<String>,
}

impl VonageSegments {
    /// Notes that these belong to the message whose last segment is `last`.
    pub fn link(&self, others: &[String], last: &str) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for other in others {
            if known.by_age.len() >= SEGMENTS_MAX
                && let Some(oldest) = known.by_age.pop_front()
            {
                known.last_segment_of.remove(&oldest);
            }
            known.last_segment_of.insert(other.clone(), last.to_owned());
            known.by_age.push_back(other.clone());
        }
    }

    /// The message a segment's receipt speaks for. That one of several has arrived says nothing of the message, unless it
    /// is the last; that one is lost says all.
    pub fn message_of_segment(&self, id: String, verdict: &ReceiptStatus) -> Option<String> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match (known.last_segment_of.get(&id), verdict) {
            (None, _) => Some(id),
            (Some(_), ReceiptStatus::Delivered | ReceiptStatus::Opened) => None,
            (Some(last), ReceiptStatus::Bounced { .. } | ReceiptStatus::Invalid { .. }) => Some(last.clone()),
        }
    }
}
