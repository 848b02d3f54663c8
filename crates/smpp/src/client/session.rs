//! A bound session: one task that reads, responds, and writes what has accumulated, until the connection is lost.
//!
//! PDUs queued during a write are sent with the next one, so many messages share a system call. The session never waits
//! for the application: it acknowledges a receipt when the handler sends its [`DeferredResponse`].

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::config::ClientConfig;
use super::handler::{ClientHandler, DeferredResponse, DeliverAction, DeliverRequest};
use super::stream::SmppStream;
use super::window::{OutgoingPart, SubmitJob, SubmitWindow};
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
const BATCH_MAX: usize = 256;

/// Maximum time to write the last PDUs of a session.
const UNBIND_TIMEOUT: Duration = Duration::from_secs(2);

const SUBMIT_RESPONSE: u32 = command::SUBMIT_SM | pdu::RESPONSE_BIT;

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

struct SmppSession<'a> {
    config: &'a ClientConfig,
    handler: &'a dyn ClientHandler,
    window: SubmitWindow,
    /// Bytes to write; the first `buffer_bytes_written` of them are written already.
    write_buffer: Vec<u8>,
    buffer_bytes_written: usize,
    /// Number of bytes of the session that were written before `write_buffer`.
    stream_offset: u64,
    /// Written bytes may still be in the TLS buffer.
    needs_flush: bool,
    last_received_at: Instant,
    enquire_link_sent_at: Option<Instant>,
    response_sender: UnboundedSender<DeliverRequest>,
}

/// Runs a session until it ends. On return, every job in the window has been answered with an outcome.
pub async fn run_session(
    config: &ClientConfig,
    handler: &dyn ClientHandler,
    stream: Box<dyn SmppStream>,
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
        enquire_link_sent_at: None,
        response_sender,
    };
    let end = session.run_loop(&mut reader, &mut writer, jobs, &mut responses).await;
    let reason = match &end {
        SessionEnd::Unbound => "unbound by the SMSC",
        SessionEnd::Lost(reason) => reason,
        SessionEnd::Dropped => "unbound by the gateway",
    };
    let bytes_written = session.stream_offset + byte_count(session.buffer_bytes_written);
    let groups = session.window.session_lost(bytes_written, reason);
    session.discard_groups(groups);
    if !matches!(end, SessionEnd::Lost(_)) {
        session.send_unbind(&end, &mut writer).await;
    }
    end
}

/// Writes bytes and returns their number. With nothing to write, flushes what TLS holds back and returns 0.
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
        jobs: &mut UnboundedReceiver<SubmitJob>,
        responses: &mut UnboundedReceiver<DeliverRequest>,
    ) -> SessionEnd {
        let mut received = Vec::new();
        let mut job_batch = Vec::new();
        let mut response_batch = Vec::new();
        let mut timeout_check = Box::pin(sleep(TIMEOUT_CHECK_INTERVAL));
        loop {
            self.fill_window();
            received.reserve(READ_BUFFER_BYTES);
            let unwritten = &self.write_buffer[self.buffer_bytes_written..];
            let is_written = unwritten.is_empty();
            let end = tokio::select! {
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
                    Ok(count) => {
                        self.advance_written(count);
                        None
                    }
                    Err(error) => Some(connection_lost(&error)),
                },
                count = jobs.recv_many(&mut job_batch, BATCH_MAX) => {
                    job_batch.drain(..).for_each(|job| self.window.push(job));
                    (count == 0).then_some(SessionEnd::Dropped)
                }
                _ = responses.recv_many(&mut response_batch, BATCH_MAX) => {
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
            if let Some(end) = end {
                return end;
            }
        }
    }

    /// Appends as many parts to the write buffer as the window has room for.
    fn fill_window(&mut self) {
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
        self.last_received_at = Instant::now();
        self.enquire_link_sent_at = None;
        let mut bytes_handled = 0;
        let mut end = None;
        while end.is_none() {
            match pdu::split_frame(&received[bytes_handled..]) {
                PduFrame::Complete(pdu, length) => {
                    end = self.receive_pdu(pdu);
                    bytes_handled += length;
                }
                PduFrame::Incomplete => break,
                PduFrame::Invalid => {
                    self.send_pdu(command::GENERIC_NACK, ESME_RINVCMDLEN, 0, &[]);
                    end = Some(lost("invalid command_length from the SMSC"));
                }
            }
        }
        received.drain(..bytes_handled);
        end
    }

    fn receive_pdu(&mut self, pdu: Pdu) -> Option<SessionEnd> {
        if let Some(trace) = self.handler.trace() {
            trace.record_received(&pdu::describe_pdu(pdu.command, pdu.status, pdu.sequence, pdu.body));
        }
        match pdu.command {
            SUBMIT_RESPONSE if pdu.status == ESME_ROK => self.record_accepted_part(pdu),
            SUBMIT_RESPONSE => {
                self.record_refused_part(pdu.sequence, pdu.status);
                if pdu.status == ESME_RINVBNDSTS {
                    return Some(lost("session not bound according to the SMSC (ESME_RINVBNDSTS)"));
                }
            }
            command::GENERIC_NACK if pdu.status == ESME_ROK => {
                self.record_refused_part(pdu.sequence, ESME_RINVCMDID);
            }
            command::GENERIC_NACK => self.record_refused_part(pdu.sequence, pdu.status),
            command::DELIVER_SM => self.receive_message(pdu, &ShortMessage::parse_deliver_sm(pdu.body)),
            command::DATA_SM => self.receive_message(pdu, &ShortMessage::parse_data_sm(pdu.body)),
            command::ENQUIRE_LINK => self.send_response(pdu),
            command::UNBIND => {
                self.send_response(pdu);
                return Some(SessionEnd::Unbound);
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
        let Some(accepted) = self.window.part_accepted(pdu.sequence, message_id) else {
            return;
        };
        if let Some(group) = accepted.group {
            self.handler.part_accepted(group, message_id, accepted.is_last);
        }
    }

    fn record_refused_part(&mut self, sequence: u32, status: u32) {
        let action = self.handler.submit_status_action(status);
        let group = self.window.part_refused(sequence, status, action, Instant::now());
        self.discard_groups(group);
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

    fn send_pdu(&mut self, command: u32, status: u32, sequence: u32, body: &[u8]) {
        if let Some(trace) = self.handler.trace() {
            trace.record_sent(&pdu::describe_pdu(command, status, sequence, body));
        }
        pdu::encode_pdu(&mut self.write_buffer, command, status, sequence, body);
    }

    fn discard_groups(&self, groups: impl IntoIterator<Item = u64>) {
        for group in groups {
            self.handler.discard_group(group);
        }
    }

    /// Ends messages that are past their deadline, and sends `enquire_link` on an idle connection.
    fn check_timeouts(&mut self) -> Option<SessionEnd> {
        let now = Instant::now();
        let groups = self.window.expire(now);
        self.discard_groups(groups);
        match self.enquire_link_sent_at {
            Some(at) if now - at >= self.config.response_timeout => {
                return Some(lost("no response to enquire_link"));
            }
            Some(_) => {}
            None if now - self.last_received_at >= self.config.enquire_link_interval => {
                let sequence = self.window.next_sequence();
                self.send_pdu(command::ENQUIRE_LINK, ESME_ROK, sequence, &[]);
                self.enquire_link_sent_at = Some(now);
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
        // The connection is closed in any case.
        let _ = tokio::time::timeout(UNBIND_TIMEOUT, write).await;
    }
}
