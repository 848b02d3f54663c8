//! The state that the sessions of one account share, and the send results of submits.
//!
//! A receipt may arrive over any session of the account. No lock is held across an await.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use parking_lot::{Mutex, MutexGuard};
use postrider_smpp::alphabet::DefaultAlphabet;
use postrider_smpp::client::{
    BindFailure, ClientHandler, DeferredResponse, DeliverAction, PduTrace, StatusAction, SubmitOutcome,
};
use postrider_smpp::command_status::format_status;
use postrider_smpp::message_id::MessageIdFormat;
use postrider_smpp::pdu::ShortMessage;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::codes::StatusOutcomes;
use super::id_diagnosis::IdFormatDiagnosis;
use super::inbound_state::InboundState;
use super::multipart_receipts::MultipartReceipts;
use super::receipts::ReceiptRules;
use super::settings::SmppSettings;
use super::submissions::{Submission, Submissions};
use crate::outcome_kind::OutcomeKind;
use crate::{AdapterContext, CallLimits, Transcript};
use postrider_core::attempt::{Outcome, SendResult};
use postrider_core::clock::Clock;
use postrider_core::error::{Error, Result};
use postrider_core::inbound::{CallbackItem, LateAcceptance};
use postrider_core::name::ConfigName;

/// Maximum number of received items that wait to be stored. Beyond it, the SMSC is asked to deliver further items
/// later.
const UNSTORED_MAX: usize = 10_000;

/// Number of consecutive messages that must be refused with statuses about one field, with no message accepted in
/// between, before a setting counts as wrong.
const SETTINGS_REFUSALS_MAX: u32 = 5;

/// State that the sessions of one account share.
pub(super) struct SmppAccount {
    pub(super) name: ConfigName,
    pub limits: CallLimits,
    statuses: StatusOutcomes,
    pub(super) message_id_format: MessageIdFormat,
    pub(super) receipt_rules: ReceiptRules,
    pub(super) default_alphabet: DefaultAlphabet,
    transcript: Option<Transcript>,
    pub(super) clock: Clock,
    multipart: Mutex<MultipartReceipts>,
    submissions: Mutex<Submissions>,
    pub(super) inbound: Mutex<InboundState>,
    pub(super) id_diagnosis: Mutex<IdFormatDiagnosis>,
    /// Number of consecutive messages that were refused with statuses about one field.
    settings_refusals: AtomicU32,
    received: UnboundedSender<ReceivedItem>,
    unstored_count: AtomicUsize,
}

/// A received receipt or text.
pub(super) struct ReceivedItem {
    pub item: CallbackItem,
    /// Acknowledges the item to the SMSC; `None` when the item was computed from the receipts of several parts.
    pub response: Option<DeferredResponse>,
}

impl SmppAccount {
    /// Creates the state of an account and the receiver of its items.
    pub fn new(
        context: &AdapterContext,
        smpp_settings: &SmppSettings,
    ) -> Result<(Self, UnboundedReceiver<ReceivedItem>)> {
        let (received, receiver) = unbounded_channel();
        let account = Self {
            name: context.name.clone(),
            limits: context.limits.clone(),
            statuses: StatusOutcomes::parse(&smpp_settings.statuses).map_err(Error::usage)?,
            message_id_format: smpp_settings.message_id_format,
            receipt_rules: ReceiptRules::new(&smpp_settings.invalid_errors, &smpp_settings.receipt_states),
            default_alphabet: smpp_settings.default_alphabet,
            transcript: context.http_clients.transcript(),
            clock: context.clock.clone(),
            multipart: Mutex::default(),
            submissions: Mutex::default(),
            inbound: Mutex::default(),
            id_diagnosis: Mutex::default(),
            settings_refusals: AtomicU32::new(0),
            received,
            unstored_count: AtomicUsize::new(0),
        };
        Ok((account, receiver))
    }

    /// Returns the long messages that still wait for the receipts of some parts.
    pub fn multipart(&self) -> MutexGuard<'_, MultipartReceipts> {
        self.multipart.lock()
    }

    /// Records that items were taken from the receiver.
    pub fn mark_taken(&self, taken_count: usize) {
        self.unstored_count.fetch_sub(taken_count, Ordering::Relaxed);
    }

    /// Returns whether too many items wait to be stored.
    pub(super) fn is_inbound_full(&self) -> bool {
        self.unstored_count.load(Ordering::Relaxed) >= UNSTORED_MAX
    }

    /// Takes out the long message of a delivery of which only some parts were accepted.
    pub fn take_partial(&self, message: &crate::OutboundMessage) -> Option<Submission> {
        self.submissions.lock().take_partial(message.delivery_id)
    }

    /// Adds a message that is about to be submitted. Returns its tag and the indexes of its missing parts.
    pub fn begin(&self, submission: Submission) -> (u64, Vec<usize>) {
        let (tag, missing, forgotten) = self.submissions.lock().begin(submission);
        self.discard(forgotten);
        (tag, missing)
    }

    /// Discards a message that is not sent any more.
    pub fn discard(&self, submission: Option<Submission>) {
        if let Some(group) = submission.and_then(|submission| submission.group) {
            self.multipart().discard(group);
        }
    }

    /// Returns the send result of a submit, and keeps what is needed for a late answer or for the missing parts.
    pub fn finish(&self, submission_tag: u64, submit_outcome: SubmitOutcome) -> SendResult {
        let (accepted, total) = self.submissions.lock().part_counts(submission_tag);
        match submit_outcome {
            SubmitOutcome::Accepted { .. } => {
                let submission = self.submissions.lock().take(submission_tag);
                self.accepted_outcome(submission.as_ref()).into()
            }
            SubmitOutcome::ResponseTimeout => {
                let settled = self.submissions.lock().give_up(submission_tag);
                match settled {
                    Some(submission) => self.accepted_outcome(Some(&submission)).into(),
                    None => self.send_result(SubmitOutcome::ResponseTimeout),
                }
            }
            outcome if accepted == 0 => {
                let submission = self.submissions.lock().take(submission_tag);
                self.discard(submission);
                self.send_result(outcome)
            }
            outcome => {
                let partial_result =
                    self.partial_result(outcome, &format!("{accepted} of {total} parts accepted"));
                if matches!(
                    partial_result.outcome,
                    Outcome::Rejected { .. } | Outcome::InvalidRecipient { .. }
                ) {
                    let submission = self.submissions.lock().take(submission_tag);
                    self.discard(submission);
                }
                partial_result
            }
        }
    }

    fn accepted_outcome(&self, submission: Option<&Submission>) -> Outcome {
        self.settings_refusals.store(0, Ordering::Relaxed);
        Outcome::Accepted { reference: submission.and_then(|submission| self.reference_of(submission)) }
    }

    /// Returns the id of the last part that has one.
    fn reference_of(&self, submission: &Submission) -> Option<String> {
        let reference = submission.ids().find_map(|id| self.message_id_format.normalize_submitted(id));
        if reference.is_none() {
            log::warn!(
                "smpp: message accepted without a message id, no receipt can be matched; provider={}",
                self.name
            );
        }
        reference
    }

    /// Returns the result of a message of which only some parts were accepted. Another provider would send the accepted
    /// parts again. The message therefore waits, and the retry submits only the missing parts.
    fn partial_result(&self, outcome: SubmitOutcome, progress: &str) -> SendResult {
        let wait = |retry_after, smpp_status: Option<u32>| {
            let reason = format!("{progress}; the missing parts are sent later");
            let outcome = Outcome::Deferred { reason, retry_after };
            SendResult { outcome, code: smpp_status.map(format_status) }
        };
        match outcome {
            SubmitOutcome::PartlyAccepted { status: smpp_status, retry_after, .. } => {
                wait(retry_after, smpp_status)
            }
            SubmitOutcome::Throttled { retry_after } => wait(retry_after, None),
            SubmitOutcome::CommandRefused { status: smpp_status } => wait(None, Some(smpp_status)),
            SubmitOutcome::NotBound(_) => wait(None, None),
            SubmitOutcome::SessionLost { may_have_been_sent: true, reason } => {
                Outcome::Unknown { reason: format!("{reason}; {progress}") }.into()
            }
            SubmitOutcome::SessionLost { .. } => wait(None, None),
            SubmitOutcome::Refused { status: smpp_status } => {
                match self.statuses.submit_outcome_kind(smpp_status) {
                    OutcomeKind::Rejected | OutcomeKind::InvalidRecipient => {
                        self.statuses.submit_result(smpp_status)
                    }
                    OutcomeKind::Accepted
                    | OutcomeKind::Deferred
                    | OutcomeKind::Unavailable
                    | OutcomeKind::Throttled
                    | OutcomeKind::Misconfigured
                    | OutcomeKind::Unknown => wait(None, Some(smpp_status)),
                }
            }
            outcome @ (SubmitOutcome::Accepted { .. } | SubmitOutcome::ResponseTimeout) => {
                self.send_result(outcome)
            }
        }
    }

    /// Returns the send result of a message of which no part has been accepted.
    pub fn send_result(&self, submit_outcome: SubmitOutcome) -> SendResult {
        let outcome = match submit_outcome {
            SubmitOutcome::Accepted { message_id } => {
                Outcome::Accepted { reference: self.message_id_format.normalize_submitted(&message_id) }
            }
            SubmitOutcome::Refused { status } => return self.refused_result(status),
            SubmitOutcome::CommandRefused { status } => return self.statuses.nack_result(status),
            SubmitOutcome::PartlyAccepted { status, parts_accepted, parts_total, .. } => {
                let reason = format!("{parts_accepted} of {parts_total} parts accepted");
                return SendResult { outcome: Outcome::Unknown { reason }, code: status.map(format_status) };
            }
            SubmitOutcome::Throttled { retry_after } => Outcome::Throttled { retry_after },
            SubmitOutcome::ResponseTimeout => {
                Outcome::Unknown { reason: "no response to submit_sm within the time limit".to_owned() }
            }
            SubmitOutcome::SessionLost { reason, may_have_been_sent: true } => {
                Outcome::Unknown { reason: format!("{reason} before submit_sm was answered") }
            }
            SubmitOutcome::SessionLost { reason, .. } => Outcome::Unavailable { reason },
            SubmitOutcome::NotBound(bind_failure) => return self.bind_failure_result(bind_failure),
        };
        outcome.into()
    }

    /// Returns the result of a refused submit. A status about one field rejects its message; several in a row with none
    /// accepted are evidence of a wrong setting.
    fn refused_result(&self, smpp_status: u32) -> SendResult {
        let refused_result = self.statuses.submit_result(smpp_status);
        if !self.statuses.is_about_settings(smpp_status) {
            return refused_result;
        }
        let refusals = self.settings_refusals.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        if refusals < SETTINGS_REFUSALS_MAX {
            return refused_result;
        }
        let reason = format!(
            "{SETTINGS_REFUSALS_MAX} messages in a row refused, the last with: {}; check from, to_ton, to_npi and \
             service_type",
            refused_result.outcome.reason().unwrap_or_default()
        );
        SendResult { outcome: Outcome::Misconfigured { reason }, ..refused_result }
    }

    fn bind_failure_result(&self, bind_failure: BindFailure) -> SendResult {
        let reason = match bind_failure {
            BindFailure::Refused { status, is_repeated } => {
                return self.statuses.bind_result(status, is_repeated);
            }
            BindFailure::Connecting => "not bound yet: connecting to the SMSC".to_owned(),
            BindFailure::Unreachable(reason) | BindFailure::SessionEnded(reason) => reason,
        };
        Outcome::Unavailable { reason }.into()
    }

    /// Queues an item. Returns whether it was queued.
    pub(super) fn enqueue(&self, item: CallbackItem, response: Option<DeferredResponse>) -> bool {
        self.unstored_count.fetch_add(1, Ordering::Relaxed);
        self.received.send(ReceivedItem { item, response }).is_ok()
    }
}

impl ClientHandler for SmppAccount {
    fn submit_status_action(&self, status: u32) -> StatusAction {
        match self.statuses.submit_outcome_kind(status) {
            OutcomeKind::Throttled => StatusAction::Throttle,
            OutcomeKind::Rejected | OutcomeKind::InvalidRecipient => StatusAction::FailMessage,
            OutcomeKind::Accepted
            | OutcomeKind::Deferred
            | OutcomeKind::Unavailable
            | OutcomeKind::Misconfigured
            | OutcomeKind::Unknown => StatusAction::FailPart,
        }
    }

    fn is_account_error(&self, status: u32) -> bool {
        self.statuses.is_account_error(status)
    }

    fn bound(&self) {
        self.settings_refusals.store(0, Ordering::Relaxed);
        self.enqueue(CallbackItem::AccountAccepted, None);
    }

    fn part_accepted(&self, tag: u64, part: usize, message_id: &[u8]) {
        let Some(accepted) = self.submissions.lock().part_accepted(tag, part, message_id) else {
            return;
        };
        self.id_diagnosis.lock().record_submitted(message_id);
        if let Some(group) = accepted.group {
            let part_id = self.message_id_format.normalize_submitted(message_id);
            let update = self.multipart().part_accepted(group, accepted.part, part_id);
            if let Some(update) = update {
                self.forward_receipt(update, None, None);
            }
        }
        if let Some(submission) = accepted.settled {
            let late = LateAcceptance {
                delivery: submission.delivery,
                round: submission.round,
                reference: self.reference_of(&submission),
                at: self.clock.now(),
            };
            self.enqueue(CallbackItem::LateAcceptance(late), None);
        }
    }

    fn deliver(&self, message: &ShortMessage, response: DeferredResponse) -> DeliverAction {
        self.receive(message, response)
    }

    fn trace(&self) -> Option<&dyn PduTrace> {
        self.transcript.as_ref().map(|transcript| transcript as &dyn PduTrace)
    }
}

impl PduTrace for Transcript {
    fn record_sent(&self, pdu: &str) {
        Transcript::record_sent(self, pdu);
    }

    fn record_received(&self, pdu: &str) {
        Transcript::record_received(self, pdu);
    }
}
