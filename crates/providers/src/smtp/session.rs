//! The dialogue with a mail server: connecting, TLS, signing in, commands and answers.
//!
//! Knows at every moment whether the mail can have been taken: until the final dot is written it cannot, from then on
//! silence is unknown. What stood unread before TLS began is thrown away, and where TLS is wanted nothing goes out
//! without it.

use std::fmt::Display;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::commands::{Data, Ehlo, Mail, Noop, Quit, Rcpt, Starttls};
use lettre::transport::smtp::extension::{ClientId, MailParameter};
use lettre::{Address, transport::smtp::extension::MailBodyParameter};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;

use super::codes::{SmtpReply, SmtpStage};
use super::message::EmailMessage;
use super::settings::Encryption;
use crate::Transcript;
use crate::provider_text::sanitize_text;

/// The longest line of an answer, and the longest answer, in bytes.
const LINE_BYTES_MAX: u64 = 2_000;
const REPLY_BYTES_MAX: usize = 100_000;

/// How often a server may ask back while we sign in.
const CHALLENGES_MAX: usize = 4;

/// A connection, encrypted or not.
trait SmtpStream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> SmtpStream for T {}

/// Whom we speak to, and how.
pub(super) struct SmtpConnector {
    pub host: String,
    pub port: u16,
    pub tls: Encryption,
    /// None where nothing is encrypted.
    pub tls_connector: Option<TlsConnector>,
    pub ehlo_name: String,
    pub auth: Option<SmtpAuth>,
    pub connect_timeout: Duration,
    pub transcript: Option<Transcript>,
}

/// Who we are.
pub(super) struct SmtpAuth {
    pub credentials: Credentials,
    /// In the order in which we would like them.
    pub mechanisms: Vec<Mechanism>,
}

/// Why a dialogue did not come to its end.
#[derive(Debug)]
pub(super) enum SmtpError {
    /// Nobody was reached, or the line broke or fell silent before the mail had left: nothing was taken.
    NotSent(String),
    /// It will be the same next time: a wrong certificate, no TLS, no way to sign in.
    Misconfigured(String),
    /// The server said no.
    Refused(SmtpStage, SmtpReply),
    /// It says that it does not take such an address.
    Unsupported(String),
    /// The mail had left, and no answer came.
    NoReply(String),
}

type SmtpResult<T> = Result<T, SmtpError>;

/// An open dialogue.
pub(super) struct SmtpSession {
    stream: BufReader<Box<dyn SmtpStream>>,
    /// What the server offers, as it wrote it.
    extensions: Vec<String>,
    transcript: Option<Transcript>,
    /// Until when this piece of the dialogue must be done.
    deadline: Instant,
    /// How many mails it has carried.
    pub mails_sent: u32,
}

impl SmtpConnector {
    /// Opens a dialogue: connects, encrypts, greets and signs in.
    pub async fn open(&self, deadline: Instant) -> SmtpResult<SmtpSession> {
        self.record_note(&format!("connecting to {} port {}", self.host, self.port));
        let connecting = TcpStream::connect((self.host.as_str(), self.port));
        let limit = deadline.min(Instant::now() + self.connect_timeout);
        let stream = match timeout_at(limit, connecting).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(cause)) => return Err(self.not_sent(format!("no connection: {cause}"))),
            Err(_) => return Err(self.not_sent(format!("no connection within {:?}", self.connect_timeout))),
        };
        stream.set_nodelay(true).ok();
        let wire: Box<dyn SmtpStream> = match self.tls {
            Encryption::Tls => self.tls_handshake(stream, deadline).await?,
            Encryption::Starttls => {
                let mut plain = self.session(stream, deadline);
                plain.read_greeting().await?;
                plain.ehlo(&self.ehlo_name).await?;
                if !plain.has_extension("STARTTLS") {
                    let text = "the server offers no STARTTLS, and nothing is sent without: put tls right";
                    return Err(SmtpError::Misconfigured(text.to_owned()));
                }
                plain.send_command(SmtpStage::Opening, Starttls).await?;
                // What an attacker put behind that answer must not pass for the encrypted server's.
                self.tls_handshake(plain.stream.into_inner(), deadline).await?
            }
            Encryption::None => Box::new(stream),
        };
        let mut dialogue = self.session(wire, deadline);
        if self.tls != Encryption::Starttls {
            dialogue.read_greeting().await?;
        }
        dialogue.ehlo(&self.ehlo_name).await?;
        if let Some(sign_in) = &self.auth {
            dialogue.authenticate(sign_in).await?;
        }
        Ok(dialogue)
    }

    fn session<W: SmtpStream + 'static>(&self, wire: W, deadline: Instant) -> SmtpSession {
        SmtpSession {
            stream: BufReader::new(Box::new(wire)),
            extensions: Vec::new(),
            transcript: self.transcript.clone(),
            deadline,
            mails_sent: 0,
        }
    }

    async fn tls_handshake<W: SmtpStream + 'static>(
        &self,
        wire: W,
        deadline: Instant,
    ) -> SmtpResult<Box<dyn SmtpStream>> {
        let wrong = |cause: &dyn Display| {
            SmtpError::Misconfigured(format!(
                "{} cannot be trusted: {cause}; put host or ca_file right",
                self.host
            ))
        };
        let name = ServerName::try_from(self.host.clone()).map_err(|cause| wrong(&cause))?;
        let connector = self
            .tls_connector
            .as_ref()
            .ok_or_else(|| wrong(&"there are no certificates"))?;
        match timeout_at(deadline, connector.connect(name, wire)).await {
            Ok(Ok(encrypted)) => {
                self.record_note("TLS");
                Ok(Box::new(encrypted))
            }
            Ok(Err(cause)) => Err(match certificate_error(&cause) {
                Some(fault) => wrong(fault),
                None => self.not_sent(format!("no TLS: {cause}")),
            }),
            Err(_) => Err(self.not_sent("no TLS in time".to_owned())),
        }
    }

    fn record_note(&self, text: &str) {
        if let Some(tape) = &self.transcript {
            tape.record_note(text);
        }
    }

    fn not_sent(&self, why: String) -> SmtpError {
        self.record_note(&why);
        SmtpError::NotSent(why)
    }
}

/// What is wrong with the certificate, if that is what is wrong.
fn certificate_error(cause: &io::Error) -> Option<&rustls::Error> {
    let fault = cause.get_ref()?.downcast_ref::<rustls::Error>()?;
    matches!(
        fault,
        rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented
    )
    .then_some(fault)
}

impl SmtpSession {
    /// Goes on with a deadline of its own.
    pub fn set_deadline(&mut self, deadline: Instant) {
        self.deadline = deadline;
    }

    /// Hands over one mail.
    pub async fn send_mail(&mut self, sender: &Address, letter: &EmailMessage) -> SmtpResult<SmtpReply> {
        let mut parameters = Vec::new();
        if !letter.content.is_ascii() {
            parameters.push(MailParameter::Body(MailBodyParameter::EightBitMime));
        }
        if ![sender, &letter.to]
            .iter()
            .all(|address| AsRef::<str>::as_ref(*address).is_ascii())
        {
            if !self.has_extension("SMTPUTF8") {
                let text = "the server takes no addresses with letters beyond ASCII (SMTPUTF8)";
                return Err(SmtpError::Unsupported(text.to_owned()));
            }
            parameters.push(MailParameter::SmtpUtfEight);
        }
        if self.has_extension("SIZE") {
            parameters.push(MailParameter::Size(letter.content.len()));
        }
        self.send_command(SmtpStage::Sender, Mail::new(Some(sender.clone()), parameters))
            .await?;
        self.send_command(SmtpStage::Recipient, Rcpt::new(letter.to.clone(), Vec::new()))
            .await?;
        self.send_command(SmtpStage::Content, Data).await?;
        self.mails_sent += 1;
        self.send_content(&letter.content).await
    }

    /// The mail itself and its final dot. Until the dot is written the server cannot have taken it.
    async fn send_content(&mut self, content: &[u8]) -> SmtpResult<SmtpReply> {
        if let Some(tape) = &self.transcript {
            tape.record_sent(&String::from_utf8_lossy(content));
            tape.record_sent(".");
        }
        self.write_bytes(&dot_stuffed(content), "the mail").await?;
        let silence = |why: &SmtpError| match why {
            SmtpError::NotSent(why) | SmtpError::NoReply(why) => SmtpError::NoReply(why.clone()),
            other => SmtpError::NoReply(format!("{other:?}")),
        };
        self.write_bytes(b".\r\n", "the end of the mail")
            .await
            .map_err(|fault| silence(&fault))?;
        let reply = self
            .await_reply("the mail")
            .await
            .map_err(|fault| silence(&fault))?;
        require_positive(SmtpStage::Content, reply)
    }

    /// Asks whether the server is there.
    pub async fn noop(&mut self) -> SmtpResult<SmtpReply> {
        self.send_command(SmtpStage::Opening, Noop).await
    }

    /// Says good-bye; whether it is heard does not matter.
    pub async fn quit(mut self) {
        let _ = self.send_command(SmtpStage::Opening, Quit).await;
    }

    /// What the server offers under that word.
    fn has_extension(&self, word: &str) -> bool {
        self.extension_parameters(word).is_some()
    }

    fn extension_parameters(&self, word: &str) -> Option<&str> {
        self.extensions.iter().find_map(|offer| {
            let (first, rest) = offer.split_once([' ', '=']).unwrap_or((offer, ""));
            first.eq_ignore_ascii_case(word).then_some(rest)
        })
    }

    async fn read_greeting(&mut self) -> SmtpResult<SmtpReply> {
        let reply = self.await_reply("its greeting").await?;
        require_positive(SmtpStage::Opening, reply)
    }

    async fn ehlo(&mut self, name: &str) -> SmtpResult<()> {
        let reply = self
            .send_command(SmtpStage::Opening, Ehlo::new(ClientId::Domain(name.to_owned())))
            .await?;
        self.extensions = reply.lines.into_iter().skip(1).collect();
        Ok(())
    }

    async fn authenticate(&mut self, sign_in: &SmtpAuth) -> SmtpResult<()> {
        let offered = self
            .extension_parameters("AUTH")
            .unwrap_or_default()
            .to_ascii_uppercase();
        let is_offered = |wanted: &&Mechanism| offered.split(' ').any(|word| word == wanted.to_string());
        let Some(mechanism) = sign_in.mechanisms.iter().find(is_offered).copied() else {
            let offers = if offered.is_empty() {
                "none".to_owned()
            } else {
                sanitize_text(&offered)
            };
            return Err(SmtpError::Misconfigured(format!(
                "the server offers no way to sign in that we know (it offers: {offers}); put tls, port or auth right"
            )));
        };
        let answer = |challenge: Option<&str>| {
            let answer = mechanism.response(&sign_in.credentials, challenge);
            answer
                .map(|text| BASE64.encode(text))
                .map_err(|cause| SmtpError::Misconfigured(cause.to_string()))
        };
        let (command, shown) = if mechanism.supports_initial_response() {
            (
                format!("AUTH {mechanism} {}\r\n", answer(None)?),
                format!("AUTH {mechanism} ***"),
            )
        } else {
            (format!("AUTH {mechanism}\r\n"), format!("AUTH {mechanism}"))
        };
        let mut reply = self.exchange(&command, &shown).await?;
        for _ in 0..CHALLENGES_MAX {
            if reply.code != 334 {
                break;
            }
            let challenge = reply
                .lines
                .first()
                .and_then(|line| BASE64.decode(line.trim()).ok());
            let challenge = String::from_utf8_lossy(&challenge.unwrap_or_default()).into_owned();
            // A token that is not liked comes with an explanation that wants an empty answer.
            let text = answer(Some(&challenge)).unwrap_or_default();
            reply = self.exchange(&format!("{text}\r\n"), "***").await?;
        }
        require_positive(SmtpStage::Opening, reply).map(drop)
    }

    /// Says a command, and fails when the answer is no.
    async fn send_command(&mut self, stage: SmtpStage, command: impl Display) -> SmtpResult<SmtpReply> {
        let command = command.to_string();
        let reply = self.exchange(&command, command.trim_end()).await?;
        require_positive(stage, reply)
    }

    async fn exchange(&mut self, command: &str, shown: &str) -> SmtpResult<SmtpReply> {
        if let Some(tape) = &self.transcript {
            tape.record_sent(shown);
        }
        let verb = shown.split(' ').next().unwrap_or_default().to_owned();
        self.write_bytes(command.as_bytes(), &verb).await?;
        self.await_reply(&verb).await
    }

    async fn write_bytes(&mut self, bytes: &[u8], what: &str) -> SmtpResult<()> {
        let writing = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        let written = timeout_at(self.deadline, writing).await;
        self.check_io(written, what)
    }

    async fn await_reply(&mut self, what: &str) -> SmtpResult<SmtpReply> {
        let read = timeout_at(self.deadline, read_reply(&mut self.stream)).await;
        let reply = self.check_io(read, what)?;
        if let Some(tape) = &self.transcript {
            let last = reply.lines.len().saturating_sub(1);
            for (at, line) in reply.lines.iter().enumerate() {
                let glue = if at == last { ' ' } else { '-' };
                tape.record_received(&format!("{}{glue}{line}", reply.code));
            }
        }
        Ok(reply)
    }

    fn check_io<T>(
        &self,
        done: Result<io::Result<T>, tokio::time::error::Elapsed>,
        what: &str,
    ) -> SmtpResult<T> {
        let why = match done {
            Ok(Ok(done)) => return Ok(done),
            Ok(Err(cause)) => sanitize_text(&format!("the connection was lost at {what}: {cause}")),
            Err(_) => format!("no answer in time to {what}"),
        };
        if let Some(tape) = &self.transcript {
            tape.record_note(&why);
        }
        Err(SmtpError::NotSent(why))
    }
}

fn require_positive(stage: SmtpStage, reply: SmtpReply) -> SmtpResult<SmtpReply> {
    if reply.is_positive() {
        Ok(reply)
    } else {
        Err(SmtpError::Refused(stage, reply))
    }
}

async fn read_reply(stream: &mut BufReader<Box<dyn SmtpStream>>) -> io::Result<SmtpReply> {
    let broken = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let mut lines = Vec::new();
    let mut bytes = 0;
    loop {
        let mut line = Vec::new();
        let count = stream.take(LINE_BYTES_MAX).read_until(b'\n', &mut line).await?;
        bytes += count;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if !line.ends_with(b"\n") || bytes > REPLY_BYTES_MAX {
            return Err(broken("an answer without an end"));
        }
        let line = String::from_utf8_lossy(&line).trim_end().to_owned();
        let code = line.get(..3).and_then(|code| code.parse::<u16>().ok());
        let code = code
            .filter(|code| (200..600).contains(code))
            .ok_or_else(|| broken("it does not speak SMTP"))?;
        lines.push(line.get(4..).unwrap_or_default().to_owned());
        match line.as_bytes().get(3) {
            Some(b'-') => {}
            Some(b' ') | None => return Ok(SmtpReply { code, lines }),
            Some(_) => return Err(broken("it does not speak SMTP")),
        }
    }
}

/// The mail as it goes over the wire: every line ends with CR LF, and a dot at its beginning is doubled.
fn dot_stuffed(content: &[u8]) -> Vec<u8> {
    let mut wire = Vec::with_capacity(content.len() + content.len() / 50 + 2);
    for line in content.split_inclusive(|byte| *byte == b'\n') {
        if line.first() == Some(&b'.') {
            wire.push(b'.');
        }
        let end = line
            .iter()
            .rposition(|byte| !matches!(byte, b'\r' | b'\n'))
            .map_or(0, |last| last + 1);
        wire.extend(
            line[..end]
                .iter()
                .map(|byte| if *byte == b'\r' { b' ' } else { *byte }),
        );
        wire.extend_from_slice(b"\r\n");
    }
    wire
}

/// What servers' certificates are checked with.
pub(super) fn tls_connector(roots: rustls::RootCertStore) -> Result<TlsConnector, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config =
        rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let config = config.with_root_certificates(roots).with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_of_a_mail_ends_it() {
        assert_eq!(dot_stuffed(b"a\r\n.\r\n..b\n.c"), b"a\r\n..\r\n...b\r\n..c\r\n");
        assert_eq!(dot_stuffed(b"a\r.\r\n"), b"a .\r\n");
        assert_eq!(dot_stuffed(b""), b"");
    }
}
