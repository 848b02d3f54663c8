//! One session: a single task that reads, answers, and writes what has gathered, until the link is lost.
//!
//! What arrives while a write is under way goes into the next one, so many messages share a system call. Nothing here
//! waits for the store: a receipt is answered when whoever took it comes back.

use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::account::{DeliverRequest, SmppAccount};
use super::codes;
use super::pdu::{self, Pdu, PduFrame, ShortMessage, command};
use super::receipt::ShortMessageKind;
use super::window::{SubmitJob, SubmitWindow};
use postrider_core::clock::sleep;

/// How often limits of time are looked at.
const TIMEOUT_CHECK_INTERVAL: Duration = Duration::from_millis(100);

/// Room for what arrives at once.
const READ_BUFFER_BYTES: usize = 32 * 1024;

/// Messages and answers taken in at once.
const BATCH_MAX: usize = 256;

/// How long the last words may take.
const UNBIND_TIMEOUT: Duration = Duration::from_secs(2);

/// A connection, encrypted or not.
pub(super) trait SmppStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> SmppStream for T {}

/// Why a session ended.
pub(super) enum SessionEnd {
    /// The message centre unbound it.
    Unbound,
    /// The link broke, or went silent.
    Lost(String),
    /// Nobody needs it any more.
    Dropped,
}

struct SmppSession<'a> {
    account: &'a SmppAccount,
    window: SubmitWindow,
    /// What is to be written, and how much of it has been.
    write_buffer: Vec<u8>,
    buffer_bytes_written: usize,
    /// Bytes written before `out` began.
    stream_offset: u64,
    /// Something was written that may not have left.
    needs_flush: bool,
    last_received_at: Instant,
    enquire_link_sent_at: Option<Instant>,
    response_tx: UnboundedSender<DeliverRequest>,
}

/// How many bytes were written; what encryption keeps back leaves when there is nothing more.
async fn write_or_flush(writer: &mut WriteHalf<Box<dyn SmppStream>>, out: &[u8]) -> std::io::Result<usize> {
    if out.is_empty() {
        writer.flush().await.map(|()| 0)
    } else {
        writer.write(out).await
    }
}

/// Sends and hears until the link is lost. Everybody who waits for an answer then has one.
pub(super) async fn run_session(
    account: &SmppAccount,
    stream: Box<dyn SmppStream>,
    jobs: &mut UnboundedReceiver<SubmitJob>,
) -> SessionEnd {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let (stored, mut storing) = unbounded_channel();
    let now = Instant::now();
    let mut session = SmppSession {
        account,
        window: SubmitWindow::new(account.window_size, account.throttle_delay),
        write_buffer: Vec::new(),
        buffer_bytes_written: 0,
        stream_offset: 0,
        needs_flush: false,
        last_received_at: now,
        enquire_link_sent_at: None,
        response_tx: stored,
    };
    let ended = session
        .run_loop(&mut reader, &mut writer, jobs, &mut storing)
        .await;
    let why = match &ended {
        SessionEnd::Unbound => "the message centre ended the session",
        SessionEnd::Lost(why) => why,
        SessionEnd::Dropped => "the gateway ended the session",
    };
    let written = session.stream_offset + u64::try_from(session.buffer_bytes_written).unwrap_or(u64::MAX);
    let long = session.window.connection_lost(written, why);
    account.discard_multipart(long);
    if !matches!(ended, SessionEnd::Lost(_)) {
        session.send_unbind(&ended, &mut writer).await;
    }
    ended
}

impl SmppSession<'_> {
    async fn run_loop(
        &mut self,
        reader: &mut ReadHalf<Box<dyn SmppStream>>,
        writer: &mut WriteHalf<Box<dyn SmppStream>>,
        jobs: &mut UnboundedReceiver<SubmitJob>,
        storing: &mut UnboundedReceiver<DeliverRequest>,
    ) -> SessionEnd {
        let mut arrived = Vec::new();
        let mut batch = Vec::new();
        let mut requests = Vec::new();
        let mut tick = Box::pin(sleep(TIMEOUT_CHECK_INTERVAL));
        loop {
            self.fill_window();
            arrived.reserve(READ_BUFFER_BYTES);
            let is_written = self.buffer_bytes_written == self.write_buffer.len();
            tokio::select! {
                read = reader.read_buf(&mut arrived) => match read {
                    Ok(0) => return SessionEnd::Lost("the message centre closed the connection".to_owned()),
                    Ok(_) => {
                        if let Some(ended) = self.process_received(&mut arrived) {
                            return ended;
                        }
                    }
                    Err(error) => return SessionEnd::Lost(format!("the link was lost: {error}")),
                },
                wrote = write_or_flush(writer, &self.write_buffer[self.buffer_bytes_written..]), if !is_written || self.needs_flush => match wrote {
                    Ok(0) if is_written => self.needs_flush = false,
                    Ok(0) => return SessionEnd::Lost("the link takes nothing any more".to_owned()),
                    Ok(count) => self.advance_written(count),
                    Err(error) => return SessionEnd::Lost(format!("the link was lost: {error}")),
                },
                count = jobs.recv_many(&mut batch, BATCH_MAX) => {
                    if count == 0 {
                        return SessionEnd::Dropped;
                    }
                    batch.drain(..).for_each(|job| self.window.push(job));
                }
                _ = storing.recv_many(&mut requests, BATCH_MAX) => {
                    for DeliverRequest { command, sequence } in requests.drain(..) {
                        self.respond_to_deliver(command, codes::ESME_ROK, sequence);
                    }
                }
                () = &mut tick => {
                    tick = Box::pin(sleep(TIMEOUT_CHECK_INTERVAL));
                    if let Some(ended) = self.check_timeouts() {
                        return ended;
                    }
                }
            }
        }
    }

    /// Puts as many parts behind what is to be written as the window has places for.
    fn fill_window(&mut self) {
        let now = Instant::now();
        loop {
            let at = self.stream_offset + u64::try_from(self.write_buffer.len()).unwrap_or(u64::MAX);
            let Some(leaving) = self.window.next_part(now, at) else {
                return;
            };
            let (sequence, body) = (leaving.sequence, leaving.body);
            if let Some(tape) = &self.account.transcript {
                tape.record_sent(&pdu::describe_pdu(
                    command::SUBMIT_SM,
                    codes::ESME_ROK,
                    sequence,
                    body,
                ));
            }
            pdu::encode_pdu(
                &mut self.write_buffer,
                command::SUBMIT_SM,
                codes::ESME_ROK,
                sequence,
                body,
            );
        }
    }

    fn advance_written(&mut self, count: usize) {
        self.buffer_bytes_written += count;
        if self.buffer_bytes_written == self.write_buffer.len() {
            self.stream_offset += u64::try_from(self.buffer_bytes_written).unwrap_or(u64::MAX);
            self.write_buffer.clear();
            self.buffer_bytes_written = 0;
            self.needs_flush = self.account.tls.is_some();
        }
    }

    /// Reads every whole PDU that has arrived; the rest stays. Why the session is over, if it is.
    fn process_received(&mut self, arrived: &mut Vec<u8>) -> Option<SessionEnd> {
        self.last_received_at = Instant::now();
        self.enquire_link_sent_at = None;
        let mut read = 0;
        let mut ended = None;
        while ended.is_none() {
            match pdu::split_frame(&arrived[read..]) {
                PduFrame::Complete(pdu, length) => {
                    ended = self.handle_pdu(pdu);
                    read += length;
                }
                PduFrame::Incomplete => break,
                PduFrame::Invalid => {
                    self.send_without_body(command::GENERIC_NACK, codes::ESME_RINVCMDLEN, 0);
                    ended = Some(SessionEnd::Lost(
                        "the message centre sent a PDU of impossible length".to_owned(),
                    ));
                }
            }
        }
        arrived.drain(..read);
        ended
    }

    fn handle_pdu(&mut self, pdu: Pdu) -> Option<SessionEnd> {
        const SUBMIT_ANSWER: u32 = command::SUBMIT_SM | pdu::RESPONSE_BIT;
        if let Some(tape) = &self.account.transcript {
            tape.record_received(&pdu::describe_pdu(
                pdu.command,
                pdu.status,
                pdu.sequence,
                pdu.body,
            ));
        }
        match pdu.command {
            SUBMIT_ANSWER if pdu.status == codes::ESME_ROK => self.handle_submit_accepted(pdu),
            SUBMIT_ANSWER => {
                self.handle_submit_refused(pdu.sequence, pdu.status);
                if pdu.status == codes::ESME_RINVBNDSTS {
                    return Some(SessionEnd::Lost(
                        "the message centre forgot the session".to_owned(),
                    ));
                }
            }
            command::GENERIC_NACK => {
                let status = if pdu.status == codes::ESME_ROK {
                    codes::ESME_RINVCMDID
                } else {
                    pdu.status
                };
                self.handle_submit_refused(pdu.sequence, status);
            }
            command::DELIVER_SM => self.handle_deliver(pdu, &ShortMessage::parse_deliver_sm(pdu.body)),
            command::DATA_SM => self.handle_deliver(pdu, &ShortMessage::parse_data_sm(pdu.body)),
            command::ENQUIRE_LINK => {
                self.send_without_body(pdu::response_id(pdu.command), codes::ESME_ROK, pdu.sequence)
            }
            command::UNBIND => {
                self.send_without_body(pdu::response_id(pdu.command), codes::ESME_ROK, pdu.sequence);
                return Some(SessionEnd::Unbound);
            }
            command::OUTBIND | command::ALERT_NOTIFICATION => {}
            answer if answer & pdu::RESPONSE_BIT != 0 => {}
            unknown => {
                log::debug!(
                    "{}: {} is not for us",
                    self.account.name,
                    pdu::command_name(unknown)
                );
                self.send_without_body(command::GENERIC_NACK, codes::ESME_RINVCMDID, pdu.sequence);
            }
        }
        None
    }

    fn handle_submit_accepted(&mut self, pdu: Pdu) {
        let id = self
            .account
            .receipt_parser
            .message_id_format
            .normalize_submitted(pdu.first_c_octet_string());
        let Some(taken) = self.window.part_accepted(pdu.sequence, id.clone()) else {
            return;
        };
        if let Some(number) = taken.multipart
            && let Some(id) = id
        {
            let word = self.account.multipart().part_accepted(number, &id, taken.is_last);
            if let Some(word) = word {
                self.account.forward_receipt(word, None);
            }
        }
    }

    fn handle_submit_refused(&mut self, sequence: u32, status: u32) {
        let statuses = &self.account.statuses;
        let long = self
            .window
            .part_refused(sequence, status, statuses, Instant::now());
        self.account.discard_multipart(long);
    }

    /// Everything is answered: at once when it changes nothing, else when it has been stored.
    fn handle_deliver(&mut self, pdu: Pdu, delivered: &ShortMessage) {
        if self.account.is_full() {
            return self.respond_to_deliver(pdu.command, codes::ESME_RX_T_APPN, pdu.sequence);
        }
        let request = DeliverRequest {
            command: pdu.command,
            sequence: pdu.sequence,
        };
        let answer = Some((self.response_tx.clone(), request));
        let will_be_answered = match self.account.receipt_parser.classify(delivered) {
            ShortMessageKind::Receipt(word) => {
                let word = self.account.multipart().apply_receipt(word);
                word.is_some_and(|word| self.account.forward_receipt(word, answer))
            }
            ShortMessageKind::Text => self.account.forward_text(delivered, answer),
            ShortMessageKind::Other => {
                log::debug!(
                    "{}: a delivery is neither a receipt nor a text",
                    self.account.name
                );
                false
            }
        };
        if !will_be_answered {
            self.respond_to_deliver(pdu.command, codes::ESME_ROK, pdu.sequence);
        }
    }

    fn respond_to_deliver(&mut self, command: u32, status: u32, sequence: u32) {
        // An empty message id.
        self.send_pdu(pdu::response_id(command), status, sequence, &[0]);
    }

    fn send_without_body(&mut self, command: u32, status: u32, sequence: u32) {
        self.send_pdu(command, status, sequence, &[]);
    }

    fn send_pdu(&mut self, command: u32, status: u32, sequence: u32, body: &[u8]) {
        if let Some(tape) = &self.account.transcript {
            tape.record_sent(&pdu::describe_pdu(command, status, sequence, body));
        }
        pdu::encode_pdu(&mut self.write_buffer, command, status, sequence, body);
    }

    /// Gives up what takes too long, and tries a link that has gone silent.
    fn check_timeouts(&mut self) -> Option<SessionEnd> {
        let now = Instant::now();
        let long = self.window.expire(now);
        self.account.discard_multipart(long);
        match self.enquire_link_sent_at {
            Some(at) if now - at >= self.account.limits.call_timeout => {
                return Some(SessionEnd::Lost("no answer to enquire_link".to_owned()));
            }
            Some(_) => {}
            None if now - self.last_received_at >= self.account.enquire_link_interval => {
                let sequence = self.window.next_sequence();
                self.send_without_body(command::ENQUIRE_LINK, codes::ESME_ROK, sequence);
                self.enquire_link_sent_at = Some(now);
            }
            None => {}
        }
        None
    }

    /// The last words: our goodbye, or the answer to theirs.
    async fn send_unbind(&mut self, ended: &SessionEnd, writer: &mut WriteHalf<Box<dyn SmppStream>>) {
        if matches!(ended, SessionEnd::Dropped) {
            let sequence = self.window.next_sequence();
            self.send_without_body(command::UNBIND, codes::ESME_ROK, sequence);
        }
        let last = async {
            writer
                .write_all(&self.write_buffer[self.buffer_bytes_written..])
                .await?;
            writer.shutdown().await
        };
        // Whether anybody still listens makes no difference to us.
        let _ = tokio::time::timeout(UNBIND_TIMEOUT, last).await;
    }
}
