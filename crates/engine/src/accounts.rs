//! Accounts: finds the API key that belongs to a credential of a compatible API or of the SMPP server.

use std::sync::Arc;

use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use crate::config::ApiKey;
use crate::gateway::Gateway;

/// A name and its secret, as a client presents them.
#[derive(Clone, Copy)]
pub enum Credential<'a> {
    /// User and password of the Kannel and Jasmin APIs.
    Password {
        /// The user.
        user: &'a str,
        /// The password.
        password: &'a str,
    },
    /// Account SID and auth token of the Twilio API.
    Twilio {
        /// The SID.
        sid: &'a str,
        /// The token.
        token: &'a str,
    },
    /// Key and secret of the Vonage API.
    Vonage {
        /// The key.
        key: &'a str,
        /// The secret.
        secret: &'a str,
    },
    /// System id and password of an SMPP client.
    Smpp {
        /// The system id.
        system_id: &'a str,
        /// The password.
        password: &'a str,
    },
}

impl Credential<'_> {
    /// Returns whether the account of a key has this name.
    fn has_name_of(&self, key: &ApiKey) -> bool {
        let account = &key.account;
        match self {
            Self::Password { user, .. } => account.user.as_ref().is_some_and(|login| login.user == *user),
            Self::Twilio { sid, .. } => account.twilio.as_ref().is_some_and(|login| login.sid == *sid),
            Self::Vonage { key, .. } => account.vonage.as_ref().is_some_and(|login| login.key == *key),
            Self::Smpp { system_id, .. } => {
                account.smpp.as_ref().is_some_and(|login| login.system_id == *system_id)
            }
        }
    }

    /// Returns whether the account of a key has this secret, in constant time.
    pub fn has_secret_of(&self, key: &ApiKey) -> bool {
        let account = &key.account;
        match self {
            Self::Password { password, .. } => {
                account.user.as_ref().is_some_and(|login| is_digest_of(&login.password.0, password))
            }
            Self::Twilio { token, .. } => {
                account.twilio.as_ref().is_some_and(|login| are_equal(&login.token, token))
            }
            Self::Vonage { secret, .. } => {
                account.vonage.as_ref().is_some_and(|login| are_equal(&login.secret, secret))
            }
            Self::Smpp { password, .. } => {
                account.smpp.as_ref().is_some_and(|login| is_digest_of(&login.password.0, password))
            }
        }
    }
}

/// Returns the API key whose account has the name of this credential. The caller checks the networks of the account, and
/// then the secret with [`Credential::has_secret_of`].
pub fn find_account(gateway: &Gateway, credential: Credential<'_>) -> Option<Arc<ApiKey>> {
    gateway.api_keys().iter().find(|key| credential.has_name_of(key)).cloned()
}

fn are_equal(expected: &str, presented: &str) -> bool {
    let digests = [expected, presented].map(|text| Sha256::digest(text.as_bytes()));
    bool::from(digests[0].as_slice().ct_eq(digests[1].as_slice()))
}

fn is_digest_of(digest: &[u8; 32], presented: &str) -> bool {
    let presented_digest: [u8; 32] = Sha256::digest(presented.as_bytes()).into();
    let is_equal: Choice = digest.ct_eq(&presented_digest);
    bool::from(is_equal)
}
