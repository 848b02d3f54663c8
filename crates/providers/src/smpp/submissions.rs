//! Submitted messages without a final result: messages in flight, messages whose answer is late, and long messages of
//! which only some parts were accepted.
//!
//! The state is in memory. After a restart, a message of which some parts were accepted is sent again as a whole.

use std::collections::BTreeMap;

use postrider_core::id::DeliveryId;

#[cfg(test)]
mod tests;

/// Maximum number of unsettled messages; beyond it the oldest are forgotten.
const SUBMISSIONS_MAX: usize = 10_000;

/// A submitted message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Submission {
    pub delivery: DeliveryId,
    /// The round of the delivery that is submitting now.
    pub round: u32,
    /// The recipient.
    pub to: String,
    /// Number of the message in the concatenation headers of its parts.
    pub reference: u8,
    /// Number of the message among the multipart receipts.
    pub group: Option<u64>,
    /// Message id of each part, as the SMSC wrote it, once the part was accepted.
    pub accepted: Vec<Option<Vec<u8>>>,
    /// Index of each part that was submitted last; the others had been accepted before.
    submitted: Vec<usize>,
    /// True if the outcome was reported as unknown while a late answer can still arrive.
    is_given_up: bool,
}

/// An accepted part.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct AcceptedPart {
    pub part: usize,
    pub group: Option<u64>,
    /// The message, if this late answer completes it.
    pub settled: Option<Submission>,
}

/// The unsettled messages of an account by tag.
#[derive(Debug, Default)]
pub(super) struct Submissions {
    entries: BTreeMap<u64, Submission>,
    last_tag: u64,
}

impl Submission {
    /// Creates a message of which no part was accepted.
    pub fn new(
        delivery: DeliveryId,
        to: &str,
        reference: u8,
        parts_total: usize,
        group: Option<u64>,
    ) -> Self {
        let accepted = vec![None; parts_total];
        let to = to.to_owned();
        Self { delivery, round: 0, to, reference, group, accepted, submitted: Vec::new(), is_given_up: false }
    }

    /// Returns the number of accepted parts.
    pub fn accepted_count(&self) -> usize {
        self.accepted.iter().flatten().count()
    }

    fn is_accepted(&self) -> bool {
        self.accepted.iter().all(Option::is_some)
    }

    /// Returns the ids of the accepted parts, the last one first.
    pub fn ids(&self) -> impl Iterator<Item = &[u8]> {
        self.accepted.iter().rev().flatten().map(Vec::as_slice)
    }
}

impl Submissions {
    /// Adds a message that is about to be submitted. Returns its tag, the indexes of its missing parts, and the message
    /// that was dropped to make room for it, if any.
    pub fn begin(&mut self, mut submission: Submission) -> (u64, Vec<usize>, Option<Submission>) {
        let missing: Vec<usize> =
            (0..submission.accepted.len()).filter(|part| submission.accepted[*part].is_none()).collect();
        submission.submitted.clone_from(&missing);
        submission.is_given_up = false;
        self.last_tag += 1;
        self.entries.insert(self.last_tag, submission);
        let is_over = self.entries.len() > SUBMISSIONS_MAX;
        let forgotten = is_over.then(|| self.entries.pop_first()).flatten().map(|(_, submission)| submission);
        (self.last_tag, missing, forgotten)
    }

    /// Takes the message of a delivery of which some parts were accepted.
    pub fn take_partial(&mut self, delivery: DeliveryId) -> Option<Submission> {
        let is_partial =
            |submission: &Submission| submission.delivery == delivery && submission.accepted_count() > 0;
        let submission_tag = self
            .entries
            .iter()
            .rev()
            .find(|(_, submission)| is_partial(submission))
            .map(|(submission_tag, _)| *submission_tag)?;
        self.entries.remove(&submission_tag)
    }

    /// Records an accepted part; `index` counts the parts that were submitted last.
    pub fn part_accepted(&mut self, tag: u64, index: usize, message_id: &[u8]) -> Option<AcceptedPart> {
        let submission = self.entries.get_mut(&tag)?;
        let part_position = *submission.submitted.get(index)?;
        submission.accepted[part_position] = Some(message_id.to_owned());
        let group = submission.group;
        let is_settled = submission.is_given_up && submission.is_accepted();
        let settled = is_settled.then(|| self.entries.remove(&tag)).flatten();
        Some(AcceptedPart { part: part_position, group, settled })
    }

    /// Takes out a message that expects no further answer.
    pub fn take(&mut self, tag: u64) -> Option<Submission> {
        self.entries.remove(&tag)
    }

    /// Keeps a message whose answer is late. If all its parts were accepted in the meantime, returns the message.
    pub fn give_up(&mut self, tag: u64) -> Option<Submission> {
        let submission = self.entries.get_mut(&tag)?;
        submission.is_given_up = true;
        if submission.is_accepted() { self.entries.remove(&tag) } else { None }
    }

    /// Returns the number of accepted parts and of all parts.
    pub fn part_counts(&self, tag: u64) -> (usize, usize) {
        let counts = |submission: &Submission| (submission.accepted_count(), submission.accepted.len());
        self.entries.get(&tag).map_or((0, 0), counts)
    }
}
