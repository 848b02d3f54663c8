//! An SMTP session: connection, TLS, login, commands and replies.
//!
//! A failure before the final dot is written means that the server cannot have accepted the mail; a missing reply after
//! the final dot means that the server may have accepted it. Bytes received before the TLS handshake are discarded, and
//! if TLS is configured, only EHLO and STARTTLS are sent in plain text. lettre's own transport is not used, because it
//! does not distinguish the two failures.

use std::fmt::Display;
use std::io;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use lettre::Address;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::commands::{Data, Ehlo, Mail, Noop, Quit, Rcpt, Starttls};
use lettre::transport::smtp::extension::{ClientId, MailBodyParameter, MailParameter};
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

#[cfg(test)]
mod tests;

/// Maximum length of a reply line, in bytes.
const LINE_BYTES_MAX: u64 = 2_000;

/// Maximum length of a reply, in bytes.
const REPLY_BYTES_MAX: usize = 100_000;

/// Maximum number of challenges during a login.
const CHALLENGES_MAX: usize = 4;

/// A connection, encrypted or not.
trait SmtpStream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> SmtpStream for T {}

/// Opens sessions with one server.
pub(super) struct SmtpConnector {
    pub host: String,
    pub port: u16,
    pub tls: Encryption,
    /// `None` for an unencrypted connection.
    pub tls_connector: Option<TlsConnector>,
    pub ehlo_name: String,
    pub auth: Option<SmtpAuth>,
    pub connect_timeout: Duration,
    /// Maximum wait for the reply to the final dot.
    pub data_timeout: Duration,
    pub transcript: Option<Transcript>,
}

/// Login of a session.
pub(super) struct SmtpAuth {
    pub credentials: Credentials,
    /// In order of preference.
    pub mechanisms: Vec<Mechanism>,
}

/// Reason why a mail was not sent.
#[derive(Debug)]
pub(super) enum SmtpError {
    /// The connection failed before the whole mail was sent, so the server has not accepted it.
    NotSent(String),
    /// The configuration does not match the server: certificate, TLS or login mechanism.
    Misconfigured(String),
    /// The server refused.
    Refused(SmtpStage, SmtpReply),
    /// The server does not support internationalised addresses.
    Unsupported(String),
    /// The mail was sent and no reply arrived.
    NoReply(String),
}

type SmtpResult<T> = Result<T, SmtpError>;

/// An open session.
pub(super) struct SmtpSession {
    stream: BufReader<Box<dyn SmtpStream>>,
    /// Lines of the EHLO reply behind its first line.
    extensions: Vec<String>,
    transcript: Option<Transcript>,
    /// Deadline of the current operation.
    deadline: Instant,
    data_timeout: Duration,
    /// Number of mails sent over this connection.
    pub mails_sent: u32,
}

impl SmtpConnector {
    /// Connects, encrypts, greets and logs in.
    pub async fn open(&self, deadline: Instant) -> SmtpResult<SmtpSession> {
        self.record_note(&format!("connecting to {} port {}", self.host, self.port));
        let connecting = TcpStream::connect((self.host.as_str(), self.port));
        let connect_deadline = deadline.min(Instant::now() + self.connect_timeout);
        let stream = match timeout_at(connect_deadline, connecting).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(cause)) => return Err(self.not_sent(format!("cannot connect: {cause}"))),
            Err(_) => return Err(self.not_sent(format!("no connection within {:?}", self.connect_timeout))),
        };
        stream.set_nodelay(true).ok();
        let smtp_stream: Box<dyn SmtpStream> = match self.tls {
            Encryption::Tls => self.tls_handshake(stream, deadline).await?,
            Encryption::Starttls => {
                let mut plain_session = self.session(stream, deadline);
                plain_session.read_greeting().await?;
                plain_session.ehlo(&self.ehlo_name).await?;
                if !plain_session.has_extension("STARTTLS") {
                    let reason = "the server does not offer STARTTLS, which the setting tls requires";
                    return Err(SmtpError::Misconfigured(reason.to_owned()));
                }
                plain_session.send_command(SmtpStage::Opening, Starttls).await?;
                // The bytes after the reply are discarded, because an attacker may have inserted them.
                self.tls_handshake(plain_session.stream.into_inner(), deadline).await?
            }
            Encryption::None => Box::new(stream),
        };
        let mut session = self.session(smtp_stream, deadline);
        if self.tls != Encryption::Starttls {
            session.read_greeting().await?;
        }
        session.ehlo(&self.ehlo_name).await?;
        if let Some(auth) = &self.auth {
            session.authenticate(auth).await?;
        }
        Ok(session)
    }

    fn session(&self, stream: impl SmtpStream + 'static, deadline: Instant) -> SmtpSession {
        SmtpSession {
            stream: BufReader::new(Box::new(stream)),
            extensions: Vec::new(),
            transcript: self.transcript.clone(),
            deadline,
            data_timeout: self.data_timeout,
            mails_sent: 0,
        }
    }

    async fn tls_handshake(
        &self,
        plain_stream: impl SmtpStream + 'static,
        deadline: Instant,
    ) -> SmtpResult<Box<dyn SmtpStream>> {
        let invalid = |cause: &dyn Display| {
            SmtpError::Misconfigured(format!(
                "invalid certificate of {}: {cause}; check host and ca_file",
                self.host
            ))
        };
        let server_name = ServerName::try_from(self.host.clone()).map_err(|cause| invalid(&cause))?;
        let connector = self.tls_connector.as_ref().ok_or_else(|| invalid(&"TLS is not configured"))?;
        match timeout_at(deadline, connector.connect(server_name, plain_stream)).await {
            Ok(Ok(encrypted_stream)) => {
                self.record_note("TLS");
                Ok(Box::new(encrypted_stream))
            }
            Ok(Err(cause)) => Err(match certificate_error(&cause) {
                Some(error) => invalid(error),
                None => self.not_sent(format!("TLS handshake failed: {cause}")),
            }),
            Err(_) => Err(self.not_sent("TLS handshake timed out".to_owned())),
        }
    }

    fn record_note(&self, text: &str) {
        if let Some(transcript) = &self.transcript {
            transcript.record_note(text);
        }
    }

    fn not_sent(&self, reason: String) -> SmtpError {
        self.record_note(&reason);
        SmtpError::NotSent(reason)
    }
}

/// Returns the certificate error behind a failed handshake, if there is one.
fn certificate_error(cause: &io::Error) -> Option<&rustls::Error> {
    let error = cause.get_ref()?.downcast_ref::<rustls::Error>()?;
    matches!(error, rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented)
        .then_some(error)
}

impl SmtpSession {
    /// Sets the deadline of the next operation.
    pub fn set_deadline(&mut self, deadline: Instant) {
        self.deadline = deadline;
    }

    /// Sends one mail and returns the reply to its final dot.
    pub async fn send_mail(&mut self, sender: &Address, email: &EmailMessage) -> SmtpResult<SmtpReply> {
        let mut parameters = Vec::new();
        if !email.content.is_ascii() {
            parameters.push(MailParameter::Body(MailBodyParameter::EightBitMime));
        }
        if ![sender, &email.to].iter().all(|address| AsRef::<str>::as_ref(*address).is_ascii()) {
            if !self.has_extension("SMTPUTF8") {
                let reason = "the server does not support non-ASCII addresses (SMTPUTF8)";
                return Err(SmtpError::Unsupported(reason.to_owned()));
            }
            parameters.push(MailParameter::SmtpUtfEight);
        }
        if self.has_extension("SIZE") {
            parameters.push(MailParameter::Size(email.content.len()));
        }
        self.send_command(SmtpStage::Sender, Mail::new(Some(sender.clone()), parameters)).await?;
        self.send_command(SmtpStage::Recipient, Rcpt::new(email.to.clone(), Vec::new())).await?;
        self.send_command(SmtpStage::Content, Data).await?;
        self.mails_sent += 1;
        self.send_content(&email.content).await
    }

    /// Sends the content and the final dot. A failure from the dot on is [`SmtpError::NoReply`].
    async fn send_content(&mut self, content: &[u8]) -> SmtpResult<SmtpReply> {
        if let Some(transcript) = &self.transcript {
            transcript.record_sent(&String::from_utf8_lossy(content));
            transcript.record_sent(".");
        }
        self.write_bytes(&dot_stuffed(content), "the mail").await?;
        let no_reply = |error: SmtpError| match error {
            SmtpError::NotSent(reason) | SmtpError::NoReply(reason) => SmtpError::NoReply(reason),
            other => SmtpError::NoReply(format!("{other:?}")),
        };
        self.write_bytes(b".\r\n", "the end of the mail").await.map_err(no_reply)?;
        // A server may check and deliver the mail before it replies (RFC 5321, 4.5.3.2.6), so this wait has its own limit.
        self.deadline = Instant::now() + self.data_timeout;
        let reply = self.await_reply("the mail").await.map_err(no_reply)?;
        require_positive(SmtpStage::Content, reply)
    }

    /// Sends NOOP.
    pub async fn noop(&mut self) -> SmtpResult<SmtpReply> {
        self.send_command(SmtpStage::Opening, Noop).await
    }

    /// Sends QUIT and ignores the reply.
    pub async fn quit(mut self) {
        let _ = self.send_command(SmtpStage::Opening, Quit).await;
    }

    /// Returns whether the server offers an extension.
    fn has_extension(&self, keyword: &str) -> bool {
        self.extension_parameters(keyword).is_some()
    }

    fn extension_parameters(&self, keyword: &str) -> Option<&str> {
        self.extensions.iter().find_map(|line| {
            let (first, rest) = line.split_once([' ', '=']).unwrap_or((line, ""));
            first.eq_ignore_ascii_case(keyword).then_some(rest)
        })
    }

    async fn read_greeting(&mut self) -> SmtpResult<SmtpReply> {
        let reply = self.await_reply("the greeting").await?;
        require_positive(SmtpStage::Opening, reply)
    }

    async fn ehlo(&mut self, name: &str) -> SmtpResult<()> {
        let reply =
            self.send_command(SmtpStage::Opening, Ehlo::new(ClientId::Domain(name.to_owned()))).await?;
        self.extensions = reply.lines.into_iter().skip(1).collect();
        Ok(())
    }

    async fn authenticate(&mut self, auth: &SmtpAuth) -> SmtpResult<()> {
        let offered = self.extension_parameters("AUTH").unwrap_or_default().to_ascii_uppercase();
        let is_offered =
            |mechanism: &&Mechanism| offered.split(' ').any(|name| name == mechanism.to_string());
        let Some(mechanism) = auth.mechanisms.iter().find(is_offered).copied() else {
            let mechanisms = if offered.is_empty() { "none".to_owned() } else { sanitize_text(&offered) };
            return Err(SmtpError::Misconfigured(format!(
                "no common login mechanism, the server offers: {mechanisms}; check tls, port and auth"
            )));
        };
        let response_to = |challenge: Option<&str>| {
            let response = mechanism.response(&auth.credentials, challenge).map(|text| BASE64.encode(text));
            response.map_err(|cause| SmtpError::Misconfigured(cause.to_string()))
        };
        let (command, transcript_text) = if mechanism.supports_initial_response() {
            (format!("AUTH {mechanism} {}\r\n", response_to(None)?), format!("AUTH {mechanism} ***"))
        } else {
            (format!("AUTH {mechanism}\r\n"), format!("AUTH {mechanism}"))
        };
        let mut auth_reply = self.exchange(&command, &transcript_text).await?;
        for _ in 0..CHALLENGES_MAX {
            if auth_reply.code != 334 {
                break;
            }
            let challenge = auth_reply.lines.first().and_then(|line| BASE64.decode(line.trim()).ok());
            let challenge = String::from_utf8_lossy(&challenge.unwrap_or_default()).into_owned();
            // The server explains a rejected token in a challenge. The client must answer the challenge with an empty
            // response.
            let response = response_to(Some(&challenge)).unwrap_or_default();
            auth_reply = self.exchange(&format!("{response}\r\n"), "***").await?;
        }
        require_positive(SmtpStage::Opening, auth_reply).map(drop)
    }

    /// Sends a command and fails unless the reply is positive.
    async fn send_command(&mut self, stage: SmtpStage, command: impl Display) -> SmtpResult<SmtpReply> {
        let command = command.to_string();
        let reply = self.exchange(&command, command.trim_end()).await?;
        require_positive(stage, reply)
    }

    async fn exchange(&mut self, command: &str, transcript_text: &str) -> SmtpResult<SmtpReply> {
        if let Some(transcript) = &self.transcript {
            transcript.record_sent(transcript_text);
        }
        let verb = transcript_text.split(' ').next().unwrap_or_default().to_owned();
        self.write_bytes(command.as_bytes(), &verb).await?;
        self.await_reply(&verb).await
    }

    async fn write_bytes(&mut self, bytes: &[u8], step: &str) -> SmtpResult<()> {
        let writing = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        let write_result = timeout_at(self.deadline, writing).await;
        self.check_io(write_result, step)
    }

    async fn await_reply(&mut self, step: &str) -> SmtpResult<SmtpReply> {
        let read_result = timeout_at(self.deadline, read_reply(&mut self.stream)).await;
        let smtp_reply = self.check_io(read_result, step)?;
        if let Some(transcript) = &self.transcript {
            for (index, line) in smtp_reply.lines.iter().enumerate() {
                let separator = if index + 1 == smtp_reply.lines.len() { ' ' } else { '-' };
                transcript.record_received(&format!("{}{separator}{line}", smtp_reply.code));
            }
        }
        Ok(smtp_reply)
    }

    fn check_io<T>(
        &self,
        io_result: Result<io::Result<T>, tokio::time::error::Elapsed>,
        step: &str,
    ) -> SmtpResult<T> {
        let reason = match io_result {
            Ok(Ok(output)) => return Ok(output),
            Ok(Err(cause)) => sanitize_text(&format!("connection lost at {step}: {cause}")),
            Err(_) => format!("timeout waiting for the reply to {step}"),
        };
        if let Some(transcript) = &self.transcript {
            transcript.record_note(&reason);
        }
        Err(SmtpError::NotSent(reason))
    }
}

fn require_positive(stage: SmtpStage, reply: SmtpReply) -> SmtpResult<SmtpReply> {
    if reply.is_positive() { Ok(reply) } else { Err(SmtpError::Refused(stage, reply)) }
}

async fn read_reply(stream: &mut BufReader<Box<dyn SmtpStream>>) -> io::Result<SmtpReply> {
    let invalid = |reason: &str| io::Error::new(io::ErrorKind::InvalidData, reason.to_owned());
    let mut reply_lines = Vec::new();
    let mut reply_bytes = 0;
    loop {
        let mut reply_line = Vec::new();
        let line_bytes = stream.take(LINE_BYTES_MAX).read_until(b'\n', &mut reply_line).await?;
        reply_bytes += line_bytes;
        if line_bytes == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if !reply_line.ends_with(b"\n") || reply_bytes > REPLY_BYTES_MAX {
            return Err(invalid("reply line or reply too long"));
        }
        let reply_line = String::from_utf8_lossy(&reply_line).trim_end().to_owned();
        let reply_code = reply_line.get(..3).and_then(|digits| digits.parse::<u16>().ok());
        let reply_code = reply_code.filter(|smtp_code| (200..600).contains(smtp_code));
        let smtp_code = reply_code.ok_or_else(|| invalid("reply is not SMTP"))?;
        reply_lines.push(reply_line.get(4..).unwrap_or_default().to_owned());
        match reply_line.as_bytes().get(3) {
            Some(b'-') => {}
            Some(b' ') | None => return Ok(SmtpReply { code: smtp_code, lines: reply_lines }),
            Some(_) => return Err(invalid("reply is not SMTP")),
        }
    }
}

/// Encodes a mail for the wire: every line ends with CR LF, and a dot at the beginning of a line is doubled.
fn dot_stuffed(content: &[u8]) -> Vec<u8> {
    let mut wire_bytes = Vec::with_capacity(content.len() + content.len() / 50 + 2);
    for content_line in content.split_inclusive(|byte| *byte == b'\n') {
        if content_line.first() == Some(&b'.') {
            wire_bytes.push(b'.');
        }
        let text_end =
            content_line.iter().rposition(|byte| !matches!(byte, b'\r' | b'\n')).map_or(0, |last| last + 1);
        wire_bytes
            .extend(content_line[..text_end].iter().map(|byte| if *byte == b'\r' { b' ' } else { *byte }));
        wire_bytes.extend_from_slice(b"\r\n");
    }
    wire_bytes
}
