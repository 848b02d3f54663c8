//! Maps the segments of a long message to the message: Vonage gives each segment its own id and receipt.
//!
//! The map is in memory. Without an entry (another process sent the message, or the map was full) the failure of an
//! earlier segment is not matched to the message; the last segment's receipt is matched in any case.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use postrider_core::receipt::ReceiptStatus;

/// Maximum number of segments in the map; each takes about 100 bytes.
const SEGMENTS_MAX: usize = 50_000;

/// Segment ids and the id of the last segment of their message.
#[derive(Default)]
pub(super) struct VonageSegments(Mutex<SegmentMap>);

#[derive(Default)]
struct SegmentMap {
    last_segment_of: HashMap<String, String>,
    by_age: VecDeque<String>,
}

impl VonageSegments {
    /// Records that these segments belong to the message whose last segment is `last`.
    pub fn link(&self, others: &[String], last: &str) {
        let mut map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for other in others {
            if map.by_age.len() >= SEGMENTS_MAX
                && let Some(oldest) = map.by_age.pop_front()
            {
                map.last_segment_of.remove(&oldest);
            }
            map.last_segment_of.insert(other.clone(), last.to_owned());
            map.by_age.push_back(other.clone());
        }
    }

    /// Returns the reference of the message that a segment's receipt decides, or None when it decides nothing: an
    /// earlier segment was delivered. A lost segment decides the message.
    pub fn message_of_segment(&self, id: String, status: &ReceiptStatus) -> Option<String> {
        let map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match (map.last_segment_of.get(&id), status) {
            (None, _) => Some(id),
            (Some(_), ReceiptStatus::Delivered | ReceiptStatus::Opened) => None,
            (Some(last), ReceiptStatus::Bounced { .. } | ReceiptStatus::Invalid { .. }) => Some(last.clone()),
        }
    }
}
