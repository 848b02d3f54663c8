//! Maps the segments of a long message to the message: Vonage gives each segment its own id and receipt.
//!
//! The map is in memory. If an entry is missing (another process sent the message, or newer segments displaced the
//! entry), the failure of an earlier segment is not applied to the message. The receipt of the last segment is always
//! applied.

use lru::LruCache;
use parking_lot::Mutex;

use postrider_core::receipt::ReceiptStatus;

/// Maximum number of segments in the map; each takes about 100 bytes.
const SEGMENTS_MAX: usize = 50_000;

/// The id of the last segment of the message, by the id of each earlier segment.
pub(super) struct VonageSegments(Mutex<LruCache<String, String>>);

impl Default for VonageSegments {
    fn default() -> Self {
        Self(Mutex::new(LruCache::unbounded()))
    }
}

impl VonageSegments {
    /// Records that the earlier segments belong to the message whose last segment is `last`.
    pub fn link(&self, earlier_segments: &[String], last: &str) {
        let mut last_segments = self.0.lock();
        for segment in earlier_segments {
            last_segments.put(segment.clone(), last.to_owned());
            if last_segments.len() > SEGMENTS_MAX {
                last_segments.pop_lru();
            }
        }
    }

    /// Returns the reference of the message about which a segment's receipt decides: the failure of any segment, or the
    /// receipt of the last one. Returns None if an earlier segment was delivered, because that decides nothing.
    pub fn message_of_segment(&self, segment_id: String, status: &ReceiptStatus) -> Option<String> {
        match (self.0.lock().peek(&segment_id), status) {
            (None, _) => Some(segment_id),
            (Some(_), ReceiptStatus::Delivered | ReceiptStatus::Opened) => None,
            (Some(last), ReceiptStatus::Bounced { .. } | ReceiptStatus::Invalid { .. }) => Some(last.clone()),
        }
    }
}
