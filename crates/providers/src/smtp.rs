//! Sends mail through a mail server (SMTP submission).
//!
//! Connections are kept open for the next mail. SMTP has no delivery receipts: bounces go to the address in `bounces_to`.

mod codes;
mod message;
mod session;
mod settings;

#[cfg(test)]
mod tests;

use std::time::Duration;

use async_trait::async_trait;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::{AccountCheck, AdapterContext, OutboundMessage, Provider};
use crate::tls::{self, RootCertificates};
use postrider_core::address::AddressKind;
use postrider_core::attempt::{Outcome, SendResult};
use postrider_core::clock::Clock;
use postrider_core::error::Result;

use codes::SmtpReply;
use message::EmailMessage;
use session::{SmtpAuth, SmtpConnector, SmtpError, SmtpSession};
use settings::Encryption;
pub use settings::SmtpSettings;

/// Maximum age of an idle connection: 20 s, less than the idle timeout of common servers.
const IDLE_MAX: Duration = Duration::from_secs(20);

/// An account at a mail server.
pub struct Smtp {
    settings: SmtpSettings,
    connector: SmtpConnector,
    call_timeout: Duration,
    idle_sessions: Mutex<Vec<IdleSession>>,
    clock: Clock,
}

/// A session that waits for the next mail.
struct IdleSession {
    session: SmtpSession,
    idle_since: Instant,
}

impl Smtp {
    /// Creates the adapter. Opens no connection.
    pub(super) fn new(context: &AdapterContext, smtp_settings: &SmtpSettings) -> Result<Self> {
        let roots = match &smtp_settings.ca_file {
            Some(path) => RootCertificates::File(path),
            None => RootCertificates::System,
        };
        let tls_connector = match smtp_settings.tls {
            Encryption::None => None,
            Encryption::Starttls | Encryption::Tls => Some(tls::connector(&roots, "ca_file")?),
        };
        let credentials = smtp_settings.username.clone().zip(smtp_settings.password.clone());
        let mechanisms = match smtp_settings.auth {
            Some(auth) => vec![auth.mechanism()],
            None => vec![Mechanism::Plain, Mechanism::Login],
        };
        Ok(Self {
            connector: SmtpConnector {
                host: smtp_settings.host.clone(),
                port: smtp_settings.port(),
                tls: smtp_settings.tls,
                tls_connector,
                ehlo_name: smtp_settings.ehlo_name().to_owned(),
                auth: credentials.map(|(username, password)| SmtpAuth {
                    credentials: Credentials::new(username, password),
                    mechanisms,
                }),
                connect_timeout: context.limits.connect_timeout,
                data_timeout: smtp_settings.data_timeout,
                transcript: context.http_clients.transcript(),
            },
            settings: smtp_settings.clone(),
            call_timeout: context.limits.call_timeout,
            idle_sessions: Mutex::default(),
            clock: context.clock.clone(),
        })
    }

    /// Sends a mail over an idle session, or over a new one.
    async fn send_email(&self, email: &EmailMessage) -> Result<SmtpReply, SmtpError> {
        let deadline = Instant::now() + self.call_timeout;
        let sender = self.settings.envelope_sender();
        if let Some(mut session) = self.take_idle() {
            session.set_deadline(deadline);
            match session.send_mail(sender, email).await {
                // The server closed the idle connection, so it has received nothing of this mail.
                Err(SmtpError::NotSent(_) | SmtpError::Refused(_, SmtpReply { code: 421, .. })) => {}
                send_result => return self.release_session(session, send_result),
            }
        }
        let mut session = self.connector.open(deadline).await?;
        let send_result = session.send_mail(sender, email).await;
        self.release_session(session, send_result)
    }

    /// Keeps the session for the next mail if the send succeeded, and returns the result of the send.
    fn release_session(
        &self,
        session: SmtpSession,
        send_result: Result<SmtpReply, SmtpError>,
    ) -> Result<SmtpReply, SmtpError> {
        if send_result.is_ok() && session.mails_sent < self.settings.mails_per_connection {
            self.idle_sessions.lock().push(IdleSession { session, idle_since: Instant::now() });
        }
        send_result
    }

    /// Returns the session that became idle last, and closes sessions that were idle for too long.
    fn take_idle(&self) -> Option<SmtpSession> {
        let mut idle_sessions = self.idle_sessions.lock();
        idle_sessions.retain(|idle| idle.idle_since.elapsed() < IDLE_MAX);
        idle_sessions.pop().map(|idle| idle.session)
    }

    /// Logs in and sends nothing.
    async fn check_login(&self) -> Result<(), SmtpError> {
        let mut session = self.connector.open(Instant::now() + self.call_timeout).await?;
        session.noop().await?;
        session.quit().await;
        Ok(())
    }
}

/// Code of a message to a non-ASCII address through a server without SMTPUTF8.
const NON_ASCII_ADDRESS_CODE: &str = "SMTPUTF8";

fn send_result_of_error(error: SmtpError) -> SendResult {
    match error {
        SmtpError::NotSent(reason) => Outcome::Unavailable { reason }.into(),
        SmtpError::Misconfigured(reason) => Outcome::Misconfigured { reason }.into(),
        // Another mail server may support the address; this one works for all others.
        SmtpError::Unsupported(reason) => SendResult {
            outcome: Outcome::Unavailable { reason },
            code: Some(NON_ASCII_ADDRESS_CODE.to_owned()),
        },
        SmtpError::NoReply(reason) => Outcome::Unknown { reason }.into(),
        SmtpError::Refused(stage, reply) => codes::send_result(stage, &reply),
    }
}

#[async_trait]
impl Provider for Smtp {
    async fn send(&self, message: &OutboundMessage) -> SendResult {
        let email = match message::compose(message, &self.settings, self.clock.now()) {
            Ok(email) => email,
            Err(outcome) => return outcome.into(),
        };
        match self.send_email(&email).await {
            Ok(smtp_reply) => {
                log::debug!(
                    "smtp: message accepted message_id={} reply={}",
                    email.id,
                    smtp_reply.joined_text()
                );
                SendResult {
                    outcome: Outcome::Accepted { reference: Some(email.id) },
                    code: Some(smtp_reply.code_text()),
                }
            }
            Err(error) => send_result_of_error(error),
        }
    }

    fn address_kind(&self) -> AddressKind {
        AddressKind::Email
    }

    fn extra_call_time(&self) -> Duration {
        self.settings.data_timeout
    }

    fn repeats_unknown(&self) -> bool {
        false
    }

    fn concerns_destination(&self, code: &str) -> bool {
        code == NON_ASCII_ADDRESS_CODE
    }

    fn endpoint(&self) -> (String, u16) {
        (self.connector.host.clone(), self.connector.port)
    }

    async fn check_account(&self) -> AccountCheck {
        let address = format!("{}:{}", self.connector.host, self.connector.port);
        let login = if self.connector.auth.is_some() { "logged in" } else { "connected without login" };
        let encryption = if self.connector.tls == Encryption::None { "unencrypted" } else { "encrypted" };
        match self.check_login().await.map_err(send_result_of_error) {
            Ok(()) => AccountCheck::Passed(format!(
                "{address}: {login}, {encryption}; the sender {} can only be tested by sending",
                self.settings.envelope_sender()
            )),
            Err(SendResult { outcome, code: smtp_code }) => {
                let smtp_code = smtp_code.map(|smtp_code| format!(" ({smtp_code})")).unwrap_or_default();
                let reason = outcome.reason().unwrap_or_default();
                AccountCheck::Failed(format!(
                    "{address}{smtp_code}: {reason}; check host, port, tls, username and password"
                ))
            }
        }
    }
}
