//! Hands mails to a mail server.
//!
//! `letter.rs` writes the mail, `dialogue.rs` speaks to the server, `codes.rs` says what its answers mean. Connections are
//! kept for the next mail. There are no receipts: who bounces a mail later tells the address in `bounces_to`.

mod codes;
mod message;
mod session;
mod settings;

#[cfg(test)]
mod tests;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::time::Instant;

use super::{AccountCheck, AdapterContext, CallbackError, CallbackRequest, OutboundMessage, Provider};
use postrider_core::attempt::{Outcome, SendResult};
use postrider_core::clock::Clock;
use postrider_core::error::{Error, ErrorKind, Result};
use postrider_core::inbound::CallbackItem;
use postrider_core::recipient::AddressKind;

use message::{ComposeError, EmailMessage};
use session::{SmtpAuth, SmtpConnector, SmtpError, SmtpSession};
use settings::Encryption;
pub use settings::SmtpSettings;

/// How long a connection without work is kept: less than the time after which common servers hang up.
const IDLE_MAX: Duration = Duration::from_secs(20);

/// A mail server.
pub struct Smtp {
    settings: SmtpSettings,
    connector: SmtpConnector,
    call_timeout: Duration,
    idle: Mutex<Vec<IdleSession>>,
}

/// A dialogue that waits for the next mail.
struct IdleSession {
    session: SmtpSession,
    idle_since: Instant,
}

impl Smtp {
    /// A server as the settings describe it. Connects nowhere.
    pub(super) fn new(context: &AdapterContext, settings: &SmtpSettings) -> Result<Self> {
        let connector = match settings.tls {
            Encryption::None => None,
            Encryption::Starttls | Encryption::Tls => Some(
                session::tls_connector(root_certificates(settings)?).map_err(|cause| {
                    Error::with_source(ErrorKind::Internal, "cannot prepare TLS for mail", cause)
                })?,
            ),
        };
        let credentials = settings.username.clone().zip(settings.password.clone());
        let mechanisms = match settings.auth {
            Some(auth) => vec![auth.mechanism()],
            None => vec![Mechanism::Plain, Mechanism::Login],
        };
        Ok(Self {
            connector: SmtpConnector {
                host: settings.host.clone(),
                port: settings.port(),
                tls: settings.tls,
                tls_connector: connector,
                ehlo_name: settings.ehlo_name().to_owned(),
                auth: credentials.map(|(username, password)| SmtpAuth {
                    credentials: Credentials::new(username, password),
                    mechanisms,
                }),
                connect_timeout: context.limits.connect_timeout,
                transcript: context.http_clients.transcript(),
            },
            settings: settings.clone(),
            call_timeout: context.limits.call_timeout,
            idle: Mutex::default(),
        })
    }

    async fn send_email(&self, letter: &EmailMessage) -> Result<codes::SmtpReply, SmtpError> {
        let deadline = Instant::now() + self.call_timeout;
        if let Some(mut dialogue) = self.take_idle() {
            dialogue.set_deadline(deadline);
            match dialogue.send_mail(self.settings.envelope_sender(), letter).await {
                // A server may close a quiet connection whenever it likes, and then has heard nothing of this mail.
                Err(SmtpError::NotSent(_) | SmtpError::Refused(_, codes::SmtpReply { code: 421, .. })) => {}
                done => return self.release_session(dialogue, done),
            }
        }
        let mut dialogue = self.connector.open(deadline).await?;
        let done = dialogue.send_mail(self.settings.envelope_sender(), letter).await;
        self.release_session(dialogue, done)
    }

    /// Keeps the dialogue for the next mail, where it can be gone on with.
    fn release_session(
        &self,
        dialogue: SmtpSession,
        done: Result<codes::SmtpReply, SmtpError>,
    ) -> Result<codes::SmtpReply, SmtpError> {
        if done.is_ok() && dialogue.mails_sent < self.settings.mails_per_connection {
            self.lock_idle().push(IdleSession {
                session: dialogue,
                idle_since: Instant::now(),
            });
        }
        done
    }

    /// The dialogue that was quiet for the shortest time; those that were for too long are closed.
    fn take_idle(&self) -> Option<SmtpSession> {
        let mut idle = self.lock_idle();
        idle.retain(|idle| idle.idle_since.elapsed() < IDLE_MAX);
        idle.pop().map(|idle| idle.session)
    }

    fn lock_idle(&self) -> std::sync::MutexGuard<'_, Vec<IdleSession>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn check_login(&self) -> Result<(), SmtpError> {
        let mut dialogue = self.connector.open(Instant::now() + self.call_timeout).await?;
        dialogue.noop().await?;
        dialogue.quit().await;
        Ok(())
    }
}

/// The certificates that the server's must be signed with.
fn root_certificates(settings: &SmtpSettings) -> Result<RootCertStore> {
    let (certificates, place) = match &settings.ca_file {
        Some(file) => {
            let fault = |cause: &dyn std::fmt::Display| {
                Error::usage(format!("ca_file: {} cannot be read: {cause}", file.display()))
            };
            let found = CertificateDer::pem_file_iter(file).map_err(|cause| fault(&cause))?;
            let found = found
                .collect::<Result<Vec<_>, _>>()
                .map_err(|cause| fault(&cause))?;
            (found, "in ca_file; it must be in PEM form")
        }
        None => (
            rustls_native_certs::load_native_certs().certs,
            "on this machine: install them (package ca-certificates), or name a file with ca_file",
        ),
    };
    let mut roots = RootCertStore::empty();
    match roots.add_parsable_certificates(certificates) {
        (0, _) => Err(Error::usage(format!("there is no root certificate {place}"))),
        _ => Ok(roots),
    }
}

fn send_result_of_error(fault: SmtpError) -> SendResult {
    match fault {
        SmtpError::NotSent(reason) => Outcome::Unavailable { reason }.into(),
        SmtpError::Misconfigured(reason) => Outcome::Misconfigured { reason }.into(),
        SmtpError::Unsupported(reason) => Outcome::Rejected { reason }.into(),
        SmtpError::NoReply(reason) => Outcome::Unknown { reason }.into(),
        SmtpError::Refused(stage, reply) => codes::send_result(stage, &reply),
    }
}

#[async_trait]
impl Provider for Smtp {
    async fn send(&self, parcel: &OutboundMessage) -> SendResult {
        let letter = match message::compose(parcel, &self.settings, Clock::System.now()) {
            Ok(letter) => letter,
            Err(ComposeError::InvalidAddress) => {
                let reason = "this is no address of a mailbox".to_owned();
                return Outcome::InvalidRecipient { reason }.into();
            }
            Err(ComposeError::Other(reason)) => return Outcome::Rejected { reason }.into(),
        };
        match self.send_email(&letter).await {
            Ok(reply) => {
                log::debug!("mail {} was taken: {}", letter.id, reply.joined_text());
                SendResult {
                    outcome: Outcome::Accepted {
                        reference: Some(letter.id),
                    },
                    code: Some(reply.code_text()),
                }
            }
            Err(fault) => send_result_of_error(fault),
        }
    }

    fn parse_callback_sync(&self, _: &CallbackRequest) -> Result<Vec<CallbackItem>, CallbackError> {
        Err(CallbackError::NotSupported)
    }

    fn address_kind(&self) -> AddressKind {
        AddressKind::Email
    }

    fn endpoint(&self) -> (String, u16) {
        (self.connector.host.clone(), self.connector.port)
    }

    async fn check_account(&self) -> AccountCheck {
        let place = format!("{}:{}", self.connector.host, self.connector.port);
        let signed_in = match (&self.connector.auth, self.connector.tls) {
            (Some(_), Encryption::None) => "signed in, unencrypted",
            (Some(_), Encryption::Starttls | Encryption::Tls) => "signed in, encrypted",
            (None, Encryption::None) => "it is there, unencrypted and without signing in",
            (None, Encryption::Starttls | Encryption::Tls) => "it is there, encrypted and without signing in",
        };
        match self.check_login().await.map_err(send_result_of_error) {
            Ok(()) => AccountCheck::Passed(format!(
                "{place}: {signed_in}; whether it takes mail from {} shows only in a send",
                self.settings.envelope_sender()
            )),
            Err(answer) => {
                let code = answer.code.map(|code| format!(" ({code})")).unwrap_or_default();
                let reason = answer.outcome.reason().unwrap_or_default();
                AccountCheck::Failed(format!(
                    "{place}{code}: {reason}; is it running, and are host, port, tls, username and password right?"
                ))
            }
        }
    }
}
