//! A bound session: one task that reads, responds, and writes what has accumulated, until the connection is lost.
//!
//! PDUs that are queued during a write are sent together with the next write, so that many messages share a system
//! call. The session never waits for the application: it acknowledges a receipt when the handler sends its
//! [`DeferredResponse`].

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::config::ClientConfig;
use super::handler::{ClientHandler, DeferredResponse, DeliverAction, DeliverRequest, StatusAction};
use super::stream::SmppStream;
use super::window::{OutgoingPart, Refusal, SubmitJob, SubmitWindow};
use crate::command_status::{ESME_RINVBNDSTS, ESME_RINVCMDID, ESME_RINVCMDLEN, ESME_ROK};
use crate::pdu::{self, Pdu, PduFrame, ShortMessage, command};
use postrider_core::clock::sleep;

#[cfg(test)]
mod tests;

/// Interval between checks of deadlines and of the connection.
const TIMEOUT_CHECK_INTERVAL: Duration = Duration::from_millis(100);

/// Room in the read buffer before each read, in bytes.
const READ_BUFFER_BYTES: usize = 32 * 1024;

/// Maximum number of jobs and of responses taken from their channels at once.
const SESSION_BATCH_MAX: usize = 256;

/// Maximum time to write the last PDUs of a session.
const UNBIND_TIMEOUT: Duration = Duration::from_secs(2);

const SUBMIT_RESPONSE: u32 = command::SUBMIT_SM | pdu::RESPONSE_BIT;

const ENQUIRE_LINK_RESPONSE: u32 = command::ENQUIRE_LINK | pdu::RESPONSE_BIT;

type Reader = ReadHalf<Box<dyn SmppStream>>;
type Writer = WriteHalf<Box<dyn SmppStream>>;

/// Reason why a session ended.
pub enum SessionEnd {
    /// The SMSC unbound it.
    Unbound,
    /// The connection was lost or stopped responding.
    Lost(String),
    /// The connection handle was dropped.
    Dropped,
}

struct EnquireLink {
    sent_at: Instant,
    sequence: u32,
}

struct UnbindRequest {
    received_at: Instant,
    sequence: u32,
}

struct SmppSession<'a> {
    config: &'a ClientConfig,
    handler: &'a dyn ClientHandler,
    window: SubmitWindow,
    /// Bytes to write; the first `buffer_bytes_written` of them are written already.
    write_buffer: Vec<u8>,
    buffer_bytes_written: usize,
    /// Number of bytes of the session that were written before `write_buffer`.
    stream_offset: u64,
    /// True if written bytes may still be in the TLS buffer.
    needs_flush: bool,
    /// Time of the last complete PDU.
    last_received_at: Instant,
    /// Time since which the rest of a PDU has been missing.
    incomplete_since: Option<Instant>,
    /// The unanswered `enquire_link`.
    enquire_link: Option<EnquireLink>,
    /// The unbind request of the SMSC, which is answered after the open responses have arrived.
    unbind: Option<UnbindRequest>,
    /// True if the SMSC sent bytes that are not a PDU.
    is_out_of_step: bool,
    response_sender: UnboundedSender<DeliverRequest>,
}

/// Runs a session until it ends. `early_pdus` were received before the bind response. On return, every job in the window
/// has been answered with an outcome.
pub async fn run_session(
    config: &ClientConfig,
    handler: &dyn ClientHandler,
    stream: Box<dyn SmppStream>,
    early_pdus: Vec<u8>,
    jobs: &mut UnboundedReceiver<SubmitJob>,
) -> SessionEnd {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let (response_sender, mut responses) = unbounded_channel();
    let mut session = SmppSession {
        config,
        handler,
        window: SubmitWindow::new(config.window_size, config.throttle_delay),
        write_buffer: Vec::new(),
        buffer_bytes_written: 0,
        stream_offset: 0,
        needs_flush: false,
        last_received_at: Instant::now(),
        incomplete_since: None,
        enquire_link: None,
        unbind: None,
        is_out_of_step: false,
        response_sender,
    };
    let session_end = session.run_loop(&mut reader, &mut writer, early_pdus, jobs, &mut responses).await;
    if session.is_out_of_step {
        session.flush_buffer(&mut writer).await;
    }
    let reason = match &session_end {
        SessionEnd::Unbound => "unbound by the SMSC",
        SessionEnd::Lost(reason) => reason,
        SessionEnd::Dropped => "unbound by the gateway",
    };
    let bytes_written = session.stream_offset + byte_count(session.buffer_bytes_written);
    session.window.session_lost(bytes_written, reason);
    if !matches!(session_end, SessionEnd::Lost(_)) {
        session.send_unbind(&session_end, &mut writer).await;
    }
    session_end
}

/// Writes bytes and returns their number. If there is nothing to write, flushes the TLS buffer and returns 0.
async fn write_or_flush(writer: &mut Writer, bytes: &[u8]) -> std::io::Result<usize> {
    if bytes.is_empty() { writer.flush().await.map(|()| 0) } else { writer.write(bytes).await }
}

fn byte_count(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

fn connection_lost(error: &std::io::Error) -> SessionEnd {
    SessionEnd::Lost(format!("connection lost: {error}"))
}

fn lost(reason: &str) -> SessionEnd {
    SessionEnd::Lost(reason.to_owned())
}

impl SmppSession<'_> {
    async fn run_loop(
        &mut self,
        reader: &mut Reader,
        writer: &mut Writer,
        early_pdus: Vec<u8>,
        jobs: &mut UnboundedReceiver<SubmitJob>,
        responses: &mut UnboundedReceiver<DeliverRequest>,
    ) -> SessionEnd {
        let mut received = early_pdus;
        if let Some(session_end) = self.receive_pdus(&mut received) {
            return session_end;
        }
        let mut job_batch = Vec::new();
        let mut response_batch = Vec::new();
        let mut timeout_check = Box::pin(sleep(TIMEOUT_CHECK_INTERVAL));
        loop {
            self.fill_window();
            received.reserve(READ_BUFFER_BYTES);
            let unwritten = &self.write_buffer[self.buffer_bytes_written..];
            let is_written = unwritten.is_empty();
            let session_end = tokio::select! {
                read = reader.read_buf(&mut received) => match read {
                    Ok(0) => Some(lost("connection closed by the SMSC")),
                    Ok(_) => self.receive_pdus(&mut received),
                    Err(error) => Some(connection_lost(&error)),
                },
                written = write_or_flush(writer, unwritten), if !is_written || self.needs_flush => match written {
                    Ok(0) if is_written => {
                        self.needs_flush = false;
                        None
                    }
                    Ok(0) => Some(lost("connection closed for writing")),
                    Ok(job_count) => {
                        self.advance_written(job_count);
                        None
                    }
                    Err(error) => Some(connection_lost(&error)),
                },
                job_count = jobs.recv_many(&mut job_batch, SESSION_BATCH_MAX) => {
                    job_batch.drain(..).for_each(|job| self.window.push(job));
                    (job_count == 0).then_some(SessionEnd::Dropped)
                }
                _ = responses.recv_many(&mut response_batch, SESSION_BATCH_MAX) => {
                    for request in response_batch.drain(..) {
                        self.respond_to_deliver(request, ESME_ROK);
                    }
                    None
                }
                () = &mut timeout_check => {
                    timeout_check = Box::pin(sleep(TIMEOUT_CHECK_INTERVAL));
                    self.check_timeouts()
                }
            };
            if let Some(session_end) = session_end.or_else(|| self.unbind_if_answered()) {
                return session_end;
            }
        }
    }

    /// Answers the unbind request of the SMSC when no message waits for its answer, or after a time limit.
    fn unbind_if_answered(&mut self) -> Option<SessionEnd> {
        let UnbindRequest { received_at, sequence } = *self.unbind.as_ref()?;
        if self.window.has_awaited_parts() && received_at.elapsed() < UNBIND_TIMEOUT {
            return None;
        }
        self.send_pdu(pdu::response_id(command::UNBIND), ESME_ROK, sequence, &[]);
        Some(SessionEnd::Unbound)
    }

    /// Writes the buffer, for at most the time of an unbind.
    async fn flush_buffer(&mut self, writer: &mut Writer) {
        let write = async {
            while self.buffer_bytes_written < self.write_buffer.len() {
                match writer.write(&self.write_buffer[self.buffer_bytes_written..]).await {
                    Ok(0) | Err(_) => return,
                    Ok(count) => self.advance_written(count),
                }
            }
            // A failure does not matter, because the connection is closed in any case.
            let _ = writer.shutdown().await;
        };
        let _ = tokio::time::timeout(UNBIND_TIMEOUT, write).await;
    }

    /// Appends as many parts to the write buffer as the window has room for.
    fn fill_window(&mut self) {
        if self.unbind.is_some() {
            return;
        }
        let now = Instant::now();
        loop {
            let pdu_offset = self.stream_offset + byte_count(self.write_buffer.len());
            let Some(OutgoingPart { sequence, body }) = self.window.next_part(now, pdu_offset) else {
                return;
            };
            if let Some(trace) = self.handler.trace() {
                trace.record_sent(&pdu::describe_pdu(command::SUBMIT_SM, ESME_ROK, sequence, body));
            }
            pdu::encode_pdu(&mut self.write_buffer, command::SUBMIT_SM, ESME_ROK, sequence, body);
        }
    }

    fn advance_written(&mut self, count: usize) {
        self.buffer_bytes_written += count;
        if self.buffer_bytes_written == self.write_buffer.len() {
            self.stream_offset += byte_count(self.buffer_bytes_written);
            self.write_buffer.clear();
            self.buffer_bytes_written = 0;
            self.needs_flush = self.config.tls.is_some();
        }
    }

    /// Handles every complete PDU and leaves the rest in the buffer.
    fn receive_pdus(&mut self, received: &mut Vec<u8>) -> Option<SessionEnd> {
        let now = Instant::now();
        let mut bytes_handled = 0;
        let mut session_end = None;
        while session_end.is_none() {
            match pdu::split_frame(&received[bytes_handled..]) {
                PduFrame::Complete(pdu, length) => {
                    session_end = self.receive_pdu(pdu);
                    bytes_handled += length;
                }
                PduFrame::Incomplete => break,
                PduFrame::Invalid => {
                    self.send_pdu(command::GENERIC_NACK, ESME_RINVCMDLEN, 0, &[]);
                    self.is_out_of_step = true;
                    session_end = Some(lost("invalid command_length from the SMSC"));
                }
            }
        }
        received.drain(..bytes_handled);
        if bytes_handled > 0 {
            self.last_received_at = now;
            self.incomplete_since = None;
        }
        if !received.is_empty() {
            self.incomplete_since.get_or_insert(now);
        }
        session_end
    }

    fn receive_pdu(&mut self, pdu: Pdu) -> Option<SessionEnd> {
        if let Some(trace) = self.handler.trace() {
            trace.record_received(&pdu::describe_pdu(pdu.command, pdu.status, pdu.sequence, pdu.body));
        }
        match pdu.command {
            SUBMIT_RESPONSE if pdu.status == ESME_ROK => self.record_accepted_part(pdu),
            SUBMIT_RESPONSE | command::GENERIC_NACK => return self.receive_refusal(pdu),
            ENQUIRE_LINK_RESPONSE => self.enquire_link = None,
            command::DELIVER_SM => self.receive_message(pdu, &ShortMessage::parse_deliver_sm(pdu.body)),
            command::DATA_SM => self.receive_message(pdu, &ShortMessage::parse_data_sm(pdu.body)),
            command::ENQUIRE_LINK => self.send_response(pdu),
            command::UNBIND => {
                let request = UnbindRequest { received_at: Instant::now(), sequence: pdu.sequence };
                self.unbind.get_or_insert(request);
            }
            command::OUTBIND | command::ALERT_NOTIFICATION => {}
            response if response & pdu::RESPONSE_BIT != 0 => {}
            unsupported => {
                log::debug!(
                    "smpp: unsupported command provider={} command={}",
                    self.config.name,
                    pdu::command_name(unsupported)
                );
                self.send_pdu(command::GENERIC_NACK, ESME_RINVCMDID, pdu.sequence, &[]);
            }
        }
        None
    }

    fn record_accepted_part(&mut self, pdu: Pdu) {
        let message_id = pdu.first_c_octet_string();
        if let Some(accepted) = self.window.part_accepted(pdu.sequence, message_id) {
            self.handler.part_accepted(accepted.tag, accepted.part, message_id);
        }
    }

    /// Handles a `submit_sm_resp` with an error, or a `generic_nack`, which may answer any request of ours.
    fn receive_refusal(&mut self, pdu: Pdu) -> Option<SessionEnd> {
        let is_nack = pdu.command == command::GENERIC_NACK;
        let command_status = if pdu.status == ESME_ROK { ESME_RINVCMDID } else { pdu.status };
        if is_nack && self.enquire_link.as_ref().is_some_and(|enquire| enquire.sequence == pdu.sequence) {
            self.enquire_link = None;
            return None;
        }
        let status_action = self.handler.submit_status_action(command_status);
        // A generic_nack says that the command could not be read, so only its throttling statuses have their meaning.
        let action = if is_nack && status_action != StatusAction::Throttle {
            StatusAction::FailPart
        } else {
            status_action
        };
        self.window.part_refused(
            pdu.sequence,
            Refusal { status: command_status, is_nack },
            action,
            Instant::now(),
        );
        (command_status == ESME_RINVBNDSTS)
            .then(|| lost("session not bound according to the SMSC (ESME_RINVBNDSTS)"))
    }

    fn receive_message(&mut self, pdu: Pdu, message: &ShortMessage) {
        let request = DeliverRequest { command: pdu.command, sequence: pdu.sequence };
        let response = DeferredResponse { request, sender: self.response_sender.clone() };
        match self.handler.deliver(message, response) {
            DeliverAction::Respond(status) => self.respond_to_deliver(request, status),
            DeliverAction::Later => {}
        }
    }

    fn respond_to_deliver(&mut self, request: DeliverRequest, status: u32) {
        const EMPTY_MESSAGE_ID: &[u8] = &[0];
        self.send_pdu(pdu::response_id(request.command), status, request.sequence, EMPTY_MESSAGE_ID);
    }

    fn send_response(&mut self, request: Pdu) {
        self.send_pdu(pdu::response_id(request.command), ESME_ROK, request.sequence, &[]);
    }

    fn send_pdu(&mut self, command: u32, command_status: u32, sequence: u32, pdu_body: &[u8]) {
        if let Some(trace) = self.handler.trace() {
            trace.record_sent(&pdu::describe_pdu(command, command_status, sequence, pdu_body));
        }
        pdu::encode_pdu(&mut self.write_buffer, command, command_status, sequence, pdu_body);
    }

    /// Ends messages that are past their deadline, and sends `enquire_link` on an idle connection.
    fn check_timeouts(&mut self) -> Option<SessionEnd> {
        let now = Instant::now();
        self.window.expire(now);
        if self.window.is_stuck(now) {
            return Some(lost("no answer to any submit_sm of a full window"));
        }
        if self.incomplete_since.is_some_and(|since| now - since >= self.config.response_timeout) {
            return Some(lost("the rest of a PDU did not arrive within the time limit"));
        }
        match &self.enquire_link {
            Some(enquire) if now - enquire.sent_at >= self.config.response_timeout => {
                return Some(lost("no response to enquire_link"));
            }
            Some(_) => {}
            None if now - self.last_received_at >= self.config.enquire_link_interval => {
                let enquire_sequence = self.window.next_sequence();
                self.send_pdu(command::ENQUIRE_LINK, ESME_ROK, enquire_sequence, &[]);
                self.enquire_link = Some(EnquireLink { sent_at: now, sequence: enquire_sequence });
            }
            None => {}
        }
        None
    }

    /// Writes the last PDUs: an unbind request, or the response to the SMSC's unbind request.
    async fn send_unbind(&mut self, end: &SessionEnd, writer: &mut Writer) {
        if matches!(end, SessionEnd::Dropped) {
            let sequence = self.window.next_sequence();
            self.send_pdu(command::UNBIND, ESME_ROK, sequence, &[]);
        }
        let write = async {
            writer.write_all(&self.write_buffer[self.buffer_bytes_written..]).await?;
            writer.shutdown().await
        };
        // A failure does not matter, because the connection is closed in any case.
        let _ = tokio::time::timeout(UNBIND_TIMEOUT, write).await;
    }
}
