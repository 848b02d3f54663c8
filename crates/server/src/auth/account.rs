//! Authorizes requests of the compatible APIs, whose credentials are those of an account.

use std::net::IpAddr;
use std::sync::Arc;

use super::{AuthError, Caller, caller_with_scope};
use postrider_engine::accounts::{Credential, find_account};
use postrider_engine::config::{ApiKey, Scope};
use postrider_engine::gateway::Gateway;

/// Authorizes a credential from this client address. Returns the account's key for its rules, and the caller.
///
/// # Errors
/// In this order: no account has the name, the account may not be used from the address, the secret is wrong, the account
/// lacks the scope. The API marks its response with
/// [`AuthError::denial`], so that the attempt is counted, logged and slowed down like a wrong API key.
pub(crate) fn authorize_account(
    gateway: &Gateway,
    credential: Credential<'_>,
    client: IpAddr,
    scope: Scope,
) -> Result<(Arc<ApiKey>, Caller), AuthError> {
    let key = find_account(gateway, credential).ok_or(AuthError::UnknownKey)?;
    // Before the password, so that an address outside the networks cannot find out the password.
    if !key.account.allows_network(client) {
        return Err(AuthError::NetworkNotAllowed);
    }
    if !credential.has_secret_of(&key) {
        return Err(AuthError::UnknownKey);
    }
    let caller = caller_with_scope(&key, scope)?;
    Ok((key, caller))
}
