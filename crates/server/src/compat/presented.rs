//! The credential that a request to a compatible API presents, for the guard that slows down guesses.
//!
//! It is read where the API itself reads it. Another key of the request says nothing about it.

use axum::body::Body;
use axum::http::{Method, Request};
use sha2::{Digest, Sha256};

use super::account::basic_credentials;
use super::kannel;
use super::query::LenientFields;
use postrider_engine::accounts::{Credential, find_account};
use postrider_engine::config::CompatConfig;
use postrider_engine::gateway::Gateway;

/// An API that takes the credentials of accounts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum CredentialApi {
    Kannel,
    Jasmin,
    JasminRest,
    Twilio,
    Vonage,
}

/// A name and its secret in a request, before the body is read.
pub(crate) struct PresentedCredential {
    api: CredentialApi,
    name: String,
    secret: String,
}

impl CredentialApi {
    /// Returns the enabled API of a path.
    pub(crate) fn of_path(compat: CompatConfig, path: &str) -> Option<Self> {
        let is_twilio = || ["/2010-04-01/", "/api/laml/"].iter().any(|prefix| path.starts_with(prefix));
        match path {
            "/cgi-bin/sendsms" => compat.kannel.then_some(Self::Kannel),
            "/send" | "/rate" | "/balance" => compat.jasmin.then_some(Self::Jasmin),
            "/sms/json" | "/account/get-balance" => compat.vonage.then_some(Self::Vonage),
            _ if path.starts_with("/secure/") => compat.jasmin.then_some(Self::JasminRest),
            _ => (compat.twilio && is_twilio()).then_some(Self::Twilio),
        }
    }

    /// Returns the credential of a request; `None` if the body may contain it.
    pub(crate) fn presented(self, request: &Request<Body>) -> Option<PresentedCredential> {
        let in_query = |names: &[&str], secrets: &[&str]| {
            let query = request.uri().query().filter(|_| request.method() != Method::POST)?;
            let fields = LenientFields::parse(query.as_bytes());
            Some((fields.text(names)?, fields.text(secrets)?))
        };
        let in_header = || basic_credentials(request.headers());
        let (name, secret) = match self {
            Self::Kannel => in_query(&kannel::USERNAME, &kannel::PASSWORD),
            Self::Jasmin => in_query(&["username"], &["password"]),
            Self::JasminRest | Self::Twilio => in_header(),
            Self::Vonage => in_header().or_else(|| in_query(&["api_key"], &["api_secret"])),
        }?;
        Some(PresentedCredential { api: self, name, secret })
    }
}

impl PresentedCredential {
    /// Returns a SHA-256 that differs from those of API keys and of the credentials of other APIs.
    pub(crate) fn digest(&self) -> [u8; 32] {
        let api: &[u8] = match self.api {
            CredentialApi::Kannel | CredentialApi::Jasmin | CredentialApi::JasminRest => b"user",
            CredentialApi::Twilio => b"twilio",
            CredentialApi::Vonage => b"vonage",
        };
        let mut hash = Sha256::new();
        for text in [api, self.name.as_bytes(), self.secret.as_bytes()] {
            hash.update(text.len().to_le_bytes());
            hash.update(text);
        }
        hash.finalize().into()
    }

    /// Returns whether an account has this name and secret.
    pub(crate) fn is_right(&self, gateway: &Gateway) -> bool {
        let (name, secret) = (self.name.as_str(), self.secret.as_str());
        let credential = match self.api {
            CredentialApi::Kannel | CredentialApi::Jasmin | CredentialApi::JasminRest => {
                Credential::Password { user: name, password: secret }
            }
            CredentialApi::Twilio => Credential::Twilio { sid: name, token: secret },
            CredentialApi::Vonage => Credential::Vonage { key: name, secret },
        };
        find_account(gateway, credential).is_some_and(|key| credential.has_secret_of(&key))
    }
}
