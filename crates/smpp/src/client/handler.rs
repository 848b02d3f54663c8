//! The interface between a client session and the application that uses it.
//!
//! A leaf module: the application needs only the types of this module.

use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;

use crate::pdu::ShortMessage;

/// Reaction of a session to a refused `submit_sm`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusAction {
    /// The SMSC is receiving too fast: pause and repeat the part.
    Throttle,
    /// The message can never be sent, even if its other parts were accepted.
    FailMessage,
    /// The part was not accepted.
    FailPart,
}

/// Result of submitting one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubmitOutcome {
    /// The SMSC accepted every part.
    Accepted {
        /// Message id of the last part that has one, as the SMSC wrote it.
        message_id: Vec<u8>,
    },
    /// The SMSC refused the message and accepted no part of it.
    Refused {
        /// Status of the refusal.
        status: u32,
    },
    /// The SMSC refused the command of a part with `generic_nack` and accepted no part. The refusal concerns the
    /// command or the session, not the message.
    CommandRefused {
        /// Status of the refusal.
        status: u32,
    },
    /// Some parts were accepted, and the others were refused or not sent. [`ClientHandler::part_accepted`] was called
    /// for each accepted part, so that only the other parts need to be submitted later.
    PartlyAccepted {
        /// Status of the part that was refused; `None` when the rest was not sent before the deadline.
        status: Option<u32>,
        /// Rest of a pause that the SMSC asked for.
        retry_after: Option<Duration>,
        /// Number of accepted parts.
        parts_accepted: usize,
        /// Number of parts of the message.
        parts_total: usize,
    },
    /// Nothing was sent, because the SMSC asked for a slower rate or the window was full until the deadline.
    Throttled {
        /// Rest of the pause; `None` when the window was full.
        retry_after: Option<Duration>,
    },
    /// The SMSC did not respond before the deadline.
    ResponseTimeout,
    /// The session ended before the SMSC responded.
    SessionLost {
        /// Why the session ended.
        reason: String,
        /// True if a part may have reached the SMSC.
        may_have_been_sent: bool,
    },
    /// There is no session, so nothing was sent.
    NotBound(BindFailure),
}

/// Reason why a connection has no session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BindFailure {
    /// The first bind is still under way.
    Connecting,
    /// The SMSC could not be reached or did not respond to the bind.
    Unreachable(String),
    /// The SMSC refused the bind.
    Refused {
        /// Status of the refusal.
        status: u32,
        /// True if the previous bind was refused as well.
        is_repeated: bool,
    },
    /// The session ended; the text is the reason.
    SessionEnded(String),
}

/// A `deliver_sm` or `data_sm` that has not been answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DeliverRequest {
    pub command: u32,
    pub sequence: u32,
}

/// Sends the response to a `deliver_sm` later, when its content is stored.
///
/// If it is dropped without a response, the SMSC delivers the request again.
#[derive(Debug)]
pub struct DeferredResponse {
    pub(super) request: DeliverRequest,
    pub(super) sender: UnboundedSender<DeliverRequest>,
}

impl DeferredResponse {
    /// Sends the response. Does nothing when the session has ended; the SMSC then delivers the message again.
    pub fn send(self) {
        let _ = self.sender.send(self.request);
    }
}

/// Response to a `deliver_sm`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliverAction {
    /// Respond at once with this status.
    Respond(u32),
    /// The handler keeps the [`DeferredResponse`] and sends it.
    Later,
}

/// Records PDUs for an operator.
pub trait PduTrace: Send + Sync {
    /// Records a PDU that was sent. Bind bodies are left out, because they contain the password.
    fn record_sent(&self, pdu: &str);

    /// Records a PDU that was received.
    fn record_received(&self, pdu: &str);
}

/// Takes the events of the sessions of one account. Methods are called on a session's task and must not block.
pub trait ClientHandler: Send + Sync {
    /// Returns the reaction to a `submit_sm` that was refused with `status`.
    fn submit_status_action(&self, status: u32) -> StatusAction;

    /// Returns whether a bind that was refused with `status` fails until the account or its settings are corrected.
    fn is_account_error(&self, status: u32) -> bool;

    /// Called when the SMSC accepted a bind.
    fn bound(&self) {}

    /// Called when the SMSC accepted a part, counted from 0 within the submitted bodies, of the message that was submitted
    /// with this tag. The outcome of the message may have been `ResponseTimeout` already: a late answer is reported as
    /// long as the session lasts.
    fn part_accepted(&self, tag: u64, part: usize, message_id: &[u8]);

    /// Takes a receipt or a text and returns how to respond.
    fn deliver(&self, message: &ShortMessage, response: DeferredResponse) -> DeliverAction;

    /// Returns the recorder of PDUs, if any.
    fn trace(&self) -> Option<&dyn PduTrace> {
        None
    }
}
