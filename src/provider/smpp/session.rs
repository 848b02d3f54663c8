//! One session: a single task that reads, answers, and writes what has gathered, until the link is lost.
//!
//! What arrives while a write is under way goes into the next one, so many messages share a system call. Nothing here
//! waits for the store: a receipt is answered when whoever took it comes back.

use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::account::{Account, Request};
use super::codes;
use super::receipt::Kind;
use super::window::{Job, Window};
use super::wire::{self, Cut, Delivered, Pdu, command};
use crate::clock::pause;

/// How often limits of time are looked at.
const TICK: Duration = Duration::from_millis(100);

/// Room for what arrives at once.
const READ_BYTES: usize = 32 * 1024;

/// Messages and answers taken in at once.
const BATCH: usize = 256;

/// How long the last words may take.
const GOODBYE_LIMIT: Duration = Duration::from_secs(2);

/// A connection, encrypted or not.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Why a session ended.
pub(super) enum Ended {
    /// The message centre unbound it.
    Goodbye,
    /// The link broke, or went silent.
    Lost(String),
    /// Nobody needs it any more.
    Dropped,
}

struct Session<'a> {
    account: &'a Account,
    window: Window,
    /// What is to be written, and how much of it has been.
    out: Vec<u8>,
    done: usize,
    /// Bytes written before `out` began.
    written: u64,
    /// Something was written that may not have left.
    flush: bool,
    heard_at: Instant,
    enquired_at: Option<Instant>,
    stored: UnboundedSender<Request>,
}

/// How many bytes were written; what encryption keeps back leaves when there is nothing more.
async fn write_or_flush(writer: &mut WriteHalf<Box<dyn Stream>>, out: &[u8]) -> std::io::Result<usize> {
    if out.is_empty() {
        writer.flush().await.map(|()| 0)
    } else {
        writer.write(out).await
    }
}

/// Sends and hears until the link is lost. Everybody who waits for an answer then has one.
pub(super) async fn run(
    account: &Account,
    stream: Box<dyn Stream>,
    jobs: &mut UnboundedReceiver<Job>,
) -> Ended {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let (stored, mut storing) = unbounded_channel();
    let now = Instant::now();
    let mut session = Session {
        account,
        window: Window::new(account.window, account.throttle),
        out: Vec::new(),
        done: 0,
        written: 0,
        flush: false,
        heard_at: now,
        enquired_at: None,
        stored,
    };
    let ended = session
        .converse(&mut reader, &mut writer, jobs, &mut storing)
        .await;
    let why = match &ended {
        Ended::Goodbye => "the message centre ended the session",
        Ended::Lost(why) => why,
        Ended::Dropped => "the gateway ended the session",
    };
    let written = session.written + u64::try_from(session.done).unwrap_or(u64::MAX);
    let long = session.window.lost(written, why);
    account.forget(long);
    if !matches!(ended, Ended::Lost(_)) {
        session.say_goodbye(&ended, &mut writer).await;
    }
    ended
}

impl Session<'_> {
    async fn converse(
        &mut self,
        reader: &mut ReadHalf<Box<dyn Stream>>,
        writer: &mut WriteHalf<Box<dyn Stream>>,
        jobs: &mut UnboundedReceiver<Job>,
        storing: &mut UnboundedReceiver<Request>,
    ) -> Ended {
        let mut arrived = Vec::new();
        let mut batch = Vec::new();
        let mut requests = Vec::new();
        let mut tick = Box::pin(pause(TICK));
        loop {
            self.fill();
            arrived.reserve(READ_BYTES);
            let is_written = self.done == self.out.len();
            tokio::select! {
                read = reader.read_buf(&mut arrived) => match read {
                    Ok(0) => return Ended::Lost("the message centre closed the connection".to_owned()),
                    Ok(_) => {
                        if let Some(ended) = self.hear(&mut arrived) {
                            return ended;
                        }
                    }
                    Err(error) => return Ended::Lost(format!("the link was lost: {error}")),
                },
                wrote = write_or_flush(writer, &self.out[self.done..]), if !is_written || self.flush => match wrote {
                    Ok(0) if is_written => self.flush = false,
                    Ok(0) => return Ended::Lost("the link takes nothing any more".to_owned()),
                    Ok(count) => self.wrote(count),
                    Err(error) => return Ended::Lost(format!("the link was lost: {error}")),
                },
                count = jobs.recv_many(&mut batch, BATCH) => {
                    if count == 0 {
                        return Ended::Dropped;
                    }
                    batch.drain(..).for_each(|job| self.window.take(job));
                }
                _ = storing.recv_many(&mut requests, BATCH) => {
                    for Request { command, sequence } in requests.drain(..) {
                        self.answer_delivery(command, codes::OK, sequence);
                    }
                }
                () = &mut tick => {
                    tick = Box::pin(pause(TICK));
                    if let Some(ended) = self.look_at_time() {
                        return ended;
                    }
                }
            }
        }
    }

    /// Puts as many parts behind what is to be written as the window has places for.
    fn fill(&mut self) {
        let now = Instant::now();
        loop {
            let at = self.written + u64::try_from(self.out.len()).unwrap_or(u64::MAX);
            let Some(leaving) = self.window.leaving(now, at) else {
                return;
            };
            let (sequence, body) = (leaving.sequence, leaving.body);
            if let Some(tape) = &self.account.tape {
                tape.sent(&wire::spoken(command::SUBMIT_SM, codes::OK, sequence, body));
            }
            wire::put(&mut self.out, command::SUBMIT_SM, codes::OK, sequence, body);
        }
    }

    fn wrote(&mut self, count: usize) {
        self.done += count;
        if self.done == self.out.len() {
            self.written += u64::try_from(self.done).unwrap_or(u64::MAX);
            self.out.clear();
            self.done = 0;
            self.flush = self.account.tls.is_some();
        }
    }

    /// Reads every whole PDU that has arrived; the rest stays. Why the session is over, if it is.
    fn hear(&mut self, arrived: &mut Vec<u8>) -> Option<Ended> {
        self.heard_at = Instant::now();
        self.enquired_at = None;
        let mut read = 0;
        let mut ended = None;
        while ended.is_none() {
            match wire::cut(&arrived[read..]) {
                Cut::Whole(pdu, length) => {
                    ended = self.take(pdu);
                    read += length;
                }
                Cut::Part => break,
                Cut::Garbage => {
                    self.put(command::GENERIC_NACK, codes::BAD_LENGTH, 0);
                    ended = Some(Ended::Lost(
                        "the message centre sent a PDU of impossible length".to_owned(),
                    ));
                }
            }
        }
        arrived.drain(..read);
        ended
    }

    fn take(&mut self, pdu: Pdu) -> Option<Ended> {
        const SUBMIT_ANSWER: u32 = command::SUBMIT_SM | wire::ANSWER;
        if let Some(tape) = &self.account.tape {
            tape.heard(&wire::spoken(pdu.command, pdu.status, pdu.sequence, pdu.body));
        }
        match pdu.command {
            SUBMIT_ANSWER if pdu.status == codes::OK => self.accepted(pdu),
            SUBMIT_ANSWER => {
                self.refused(pdu.sequence, pdu.status);
                if pdu.status == codes::BAD_STATE {
                    return Some(Ended::Lost("the message centre forgot the session".to_owned()));
                }
            }
            command::GENERIC_NACK => {
                let status = if pdu.status == codes::OK {
                    codes::UNKNOWN_COMMAND
                } else {
                    pdu.status
                };
                self.refused(pdu.sequence, status);
            }
            command::DELIVER_SM => self.delivered(pdu, &Delivered::by_deliver_sm(pdu.body)),
            command::DATA_SM => self.delivered(pdu, &Delivered::by_data_sm(pdu.body)),
            command::ENQUIRE_LINK => self.put(wire::answer_to(pdu.command), codes::OK, pdu.sequence),
            command::UNBIND => {
                self.put(wire::answer_to(pdu.command), codes::OK, pdu.sequence);
                return Some(Ended::Goodbye);
            }
            command::OUTBIND | command::ALERT_NOTIFICATION => {}
            answer if answer & wire::ANSWER != 0 => {}
            unknown => {
                log::debug!("{}: {} is not for us", self.account.name, wire::name(unknown));
                self.put(command::GENERIC_NACK, codes::UNKNOWN_COMMAND, pdu.sequence);
            }
        }
        None
    }

    fn accepted(&mut self, pdu: Pdu) {
        let id = self.account.reading.ids.sent(pdu.first_text());
        let Some(taken) = self.window.accepted(pdu.sequence, id.clone()) else {
            return;
        };
        if let Some(number) = taken.long
            && let Some(id) = id
        {
            let word = self.account.long().accepted(number, &id, taken.is_last);
            if let Some(word) = word {
                self.account.pass_on(word, None);
            }
        }
    }

    fn refused(&mut self, sequence: u32, status: u32) {
        let statuses = &self.account.statuses;
        let long = self.window.refused(sequence, status, statuses, Instant::now());
        self.account.forget(long);
    }

    /// Everything is answered: at once when it changes nothing, else when it has been stored.
    fn delivered(&mut self, pdu: Pdu, delivered: &Delivered) {
        if self.account.is_full() {
            return self.answer_delivery(pdu.command, codes::TRY_AGAIN, pdu.sequence);
        }
        let request = Request {
            command: pdu.command,
            sequence: pdu.sequence,
        };
        let answer = Some((self.stored.clone(), request));
        let will_be_answered = match self.account.reading.kind(delivered) {
            Kind::Word(word) => {
                let word = self.account.long().heard(word);
                word.is_some_and(|word| self.account.pass_on(word, answer))
            }
            Kind::Text => self.account.pass_on_text(delivered, answer),
            Kind::Other => {
                log::debug!(
                    "{}: a delivery is neither a receipt nor a text",
                    self.account.name
                );
                false
            }
        };
        if !will_be_answered {
            self.answer_delivery(pdu.command, codes::OK, pdu.sequence);
        }
    }

    fn answer_delivery(&mut self, command: u32, status: u32, sequence: u32) {
        // An empty message id.
        self.say(wire::answer_to(command), status, sequence, &[0]);
    }

    fn put(&mut self, command: u32, status: u32, sequence: u32) {
        self.say(command, status, sequence, &[]);
    }

    fn say(&mut self, command: u32, status: u32, sequence: u32, body: &[u8]) {
        if let Some(tape) = &self.account.tape {
            tape.sent(&wire::spoken(command, status, sequence, body));
        }
        wire::put(&mut self.out, command, status, sequence, body);
    }

    /// Gives up what takes too long, and tries a link that has gone silent.
    fn look_at_time(&mut self) -> Option<Ended> {
        let now = Instant::now();
        let long = self.window.give_up(now);
        self.account.forget(long);
        match self.enquired_at {
            Some(at) if now - at >= self.account.limits.call => {
                return Some(Ended::Lost("no answer to enquire_link".to_owned()));
            }
            Some(_) => {}
            None if now - self.heard_at >= self.account.enquire_link => {
                let sequence = self.window.sequence();
                self.put(command::ENQUIRE_LINK, codes::OK, sequence);
                self.enquired_at = Some(now);
            }
            None => {}
        }
        None
    }

    /// The last words: our goodbye, or the answer to theirs.
    async fn say_goodbye(&mut self, ended: &Ended, writer: &mut WriteHalf<Box<dyn Stream>>) {
        if matches!(ended, Ended::Dropped) {
            let sequence = self.window.sequence();
            self.put(command::UNBIND, codes::OK, sequence);
        }
        let last = async {
            writer.write_all(&self.out[self.done..]).await?;
            writer.shutdown().await
        };
        // Whether anybody still listens makes no difference to us.
        let _ = tokio::time::timeout(GOODBYE_LIMIT, last).await;
    }
}
