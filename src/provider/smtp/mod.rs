//! Hands mails to a mail server.
//!
//! `letter.rs` writes the mail, `dialogue.rs` speaks to the server, `codes.rs` says what its answers mean. Connections are
//! kept for the next mail. There are no receipts: who bounces a mail later tells the address in `bounces_to`.

mod codes;
mod dialogue;
mod letter;
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

use super::{Call, CallLimits, Checked, Parcel, Provider, Refusal, Tape};
use crate::clock::Clock;
use crate::domain::attempt::{Answer, Outcome};
use crate::domain::inbound::Incoming;
use crate::domain::recipient::AddressKind;
use crate::error::{Error, Kind, Result};

use dialogue::{Dialogue, Door, Fault, SignIn};
use letter::{Letter, Unwritable};
use settings::Encryption;
pub use settings::Settings;

/// How long a connection without work is kept: less than the time after which common servers hang up.
const IDLE_MAX: Duration = Duration::from_secs(20);

/// A mail server.
pub struct Smtp {
    settings: Settings,
    door: Door,
    call: Duration,
    idle: Mutex<Vec<Idle>>,
}

/// A dialogue that waits for the next mail.
struct Idle {
    dialogue: Dialogue,
    since: Instant,
}

impl Smtp {
    /// A server as the settings describe it. Connects nowhere.
    pub(super) fn new(settings: &Settings, limits: &CallLimits, tape: Option<Tape>) -> Result<Self> {
        let connector = match settings.tls {
            Encryption::None => None,
            Encryption::Starttls | Encryption::Tls => Some(
                dialogue::connector(roots(settings)?)
                    .map_err(|cause| Error::because(Kind::Internal, "cannot prepare TLS for mail", cause))?,
            ),
        };
        let credentials = settings.username.clone().zip(settings.password.clone());
        let mechanisms = match settings.auth {
            Some(auth) => vec![auth.mechanism()],
            None => vec![Mechanism::Plain, Mechanism::Login],
        };
        Ok(Self {
            door: Door {
                host: settings.host.clone(),
                port: settings.port(),
                tls: settings.tls,
                connector,
                hello: settings.hello().to_owned(),
                sign_in: credentials.map(|(username, password)| SignIn {
                    credentials: Credentials::new(username, password),
                    mechanisms,
                }),
                connect: limits.connect,
                tape,
            },
            settings: settings.clone(),
            call: limits.call,
            idle: Mutex::default(),
        })
    }

    async fn deliver(&self, letter: &Letter) -> Result<codes::Reply, Fault> {
        let deadline = Instant::now() + self.call;
        if let Some(mut dialogue) = self.kept() {
            dialogue.until(deadline);
            match dialogue.mail(self.settings.sender(), letter).await {
                // A server may close a quiet connection whenever it likes, and then has heard nothing of this mail.
                Err(Fault::NotTaken(_) | Fault::Refused(_, codes::Reply { code: 421, .. })) => {}
                done => return self.done(dialogue, done),
            }
        }
        let mut dialogue = self.door.open(deadline).await?;
        let done = dialogue.mail(self.settings.sender(), letter).await;
        self.done(dialogue, done)
    }

    /// Keeps the dialogue for the next mail, where it can be gone on with.
    fn done(&self, dialogue: Dialogue, done: Result<codes::Reply, Fault>) -> Result<codes::Reply, Fault> {
        if done.is_ok() && dialogue.mails < self.settings.mails_per_connection {
            self.idle().push(Idle {
                dialogue,
                since: Instant::now(),
            });
        }
        done
    }

    /// The dialogue that was quiet for the shortest time; those that were for too long are closed.
    fn kept(&self) -> Option<Dialogue> {
        let mut idle = self.idle();
        idle.retain(|idle| idle.since.elapsed() < IDLE_MAX);
        idle.pop().map(|idle| idle.dialogue)
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn signed_in(&self) -> Result<(), Fault> {
        let mut dialogue = self.door.open(Instant::now() + self.call).await?;
        dialogue.noop().await?;
        dialogue.quit().await;
        Ok(())
    }
}

/// The certificates that the server's must be signed with.
fn roots(settings: &Settings) -> Result<RootCertStore> {
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

fn failed(fault: Fault) -> Answer {
    match fault {
        Fault::NotTaken(reason) => Outcome::Unavailable { reason }.into(),
        Fault::Misconfigured(reason) => Outcome::Misconfigured { reason }.into(),
        Fault::Unsendable(reason) => Outcome::Rejected { reason }.into(),
        Fault::Silence(reason) => Outcome::Unknown { reason }.into(),
        Fault::Refused(stage, reply) => codes::refused(stage, &reply),
    }
}

#[async_trait]
impl Provider for Smtp {
    async fn send(&self, parcel: &Parcel) -> Answer {
        let letter = match letter::write(parcel, &self.settings, Clock::System.now()) {
            Ok(letter) => letter,
            Err(Unwritable::Address) => {
                let reason = "this is no address of a mailbox".to_owned();
                return Outcome::InvalidRecipient { reason }.into();
            }
            Err(Unwritable::Other(reason)) => return Outcome::Rejected { reason }.into(),
        };
        match self.deliver(&letter).await {
            Ok(reply) => {
                log::debug!("mail {} was taken: {}", letter.id, reply.text());
                Answer {
                    outcome: Outcome::Accepted {
                        reference: Some(letter.id),
                    },
                    code: Some(reply.code_text()),
                }
            }
            Err(fault) => failed(fault),
        }
    }

    fn receipts(&self, _: &Call) -> Result<Vec<Incoming>, Refusal> {
        Err(Refusal::NotExpected)
    }

    fn address(&self) -> AddressKind {
        AddressKind::Email
    }

    fn place(&self) -> (String, u16) {
        (self.door.host.clone(), self.door.port)
    }

    async fn check(&self) -> Checked {
        let place = format!("{}:{}", self.door.host, self.door.port);
        let signed_in = match (&self.door.sign_in, self.door.tls) {
            (Some(_), Encryption::None) => "signed in, unencrypted",
            (Some(_), Encryption::Starttls | Encryption::Tls) => "signed in, encrypted",
            (None, Encryption::None) => "it is there, unencrypted and without signing in",
            (None, Encryption::Starttls | Encryption::Tls) => "it is there, encrypted and without signing in",
        };
        match self.signed_in().await.map_err(failed) {
            Ok(()) => Checked::Well(format!(
                "{place}: {signed_in}; whether it takes mail from {} shows only in a send",
                self.settings.sender()
            )),
            Err(answer) => {
                let code = answer.code.map(|code| format!(" ({code})")).unwrap_or_default();
                let reason = answer.outcome.reason().unwrap_or_default();
                Checked::Wrong(format!(
                    "{place}{code}: {reason}; is it running, and are host, port, tls, username and password right?"
                ))
            }
        }
    }
}
