//! Reads the credentials and rules of an account from its table in `[[keys]]`.

use std::collections::HashSet;

use data_encoding::HEXLOWER_PERMISSIVE;
use ipnet::IpNet;
use postrider_core::error::Result;
use postrider_providers::parse_network;
use sha2::{Digest, Sha256};

use super::account::{Account, PasswordDigest, SmppLogin, TwilioLogin, UserLogin, VonageLogin};
use super::environment::Environment;
use super::secret::SecretResolver;
use super::table_reader::TableReader;
use super::types::ApiKey;

/// Longest system_id of an SMPP client: its field has 16 octets with the NUL at the end.
const SYSTEM_ID_CHARS_MAX: usize = 15;

/// Length of a Twilio account SID: `AC` and 32 hexadecimal digits.
const TWILIO_SID_CHARS: usize = 34;

/// Reads the account of one table.
pub(super) fn read_account(key_table: &TableReader<'_>, environment: &Environment) -> Result<Account> {
    let account = Account {
        user: read_login(key_table, environment, "user", "password")?
            .map(|(user, password)| UserLogin { user, password: PasswordDigest::of(&password) }),
        twilio: read_login(key_table, environment, "twilio_sid", "twilio_token")?
            .map(|(sid, token)| TwilioLogin { sid, token }),
        vonage: read_login(key_table, environment, "vonage_key", "vonage_secret")?
            .map(|(key, secret)| VonageLogin { key, secret }),
        smpp: read_login(key_table, environment, "smpp_system_id", "smpp_password")?
            .map(|(system_id, password)| SmppLogin { system_id, password: PasswordDigest::of(&password) }),
        networks: read_networks(key_table)?,
        senders: key_table.list("senders")?,
        default_sender: key_table.get("default_sender")?,
        channel: key_table.get("channel")?,
        prefixes: read_prefixes(key_table)?,
        rate: key_table.get("rate")?,
        smpp_sessions_max: key_table.get("smpp_sessions_max")?.unwrap_or(Account::SMPP_SESSIONS_MAX),
    };
    check_forms(key_table, &account)?;
    Ok(account)
}

/// Reads a name and its secret, which stand together or not at all.
fn read_login(
    key_table: &TableReader<'_>,
    environment: &Environment,
    name_key: &str,
    secret_key: &str,
) -> Result<Option<(String, String)>> {
    let missing =
        |key: &str, other: &str| Err(key_table.error_at(key, &format!("is missing; it belongs to {other}")));
    match (key_table.get::<String>(name_key)?, key_table.get::<String>(secret_key)?) {
        (None, None) => Ok(None),
        (Some(name), Some(_)) if name.is_empty() => Err(key_table.error_at(name_key, "must not be empty")),
        (Some(name), Some(written_secret)) => {
            let secret =
                SecretResolver::new(key_table, environment).resolve_text(&written_secret, secret_key)?;
            if secret.is_empty() {
                return Err(key_table.error_at(secret_key, "must not be empty"));
            }
            Ok(Some((name, secret)))
        }
        (Some(_), None) => missing(secret_key, name_key),
        (None, Some(_)) => missing(name_key, secret_key),
    }
}

fn read_networks(key_table: &TableReader<'_>) -> Result<Vec<IpNet>> {
    let parsed = key_table.list("networks")?.iter().map(|network| parse_network(network)).collect();
    let networks: std::result::Result<Vec<IpNet>, String> = parsed;
    networks.map_err(|cause| key_table.error_at("networks", &format!("is invalid: {cause}")))
}

fn read_prefixes(key_table: &TableReader<'_>) -> Result<Vec<String>> {
    let prefixes = key_table.list("prefixes")?;
    let is_prefix = |prefix: &String| {
        prefix.strip_prefix('+').is_some_and(|digits| {
            !digits.is_empty() && digits.bytes().all(|character| character.is_ascii_digit())
        })
    };
    match prefixes.iter().find(|prefix| !is_prefix(prefix)) {
        Some(prefix) => {
            let problem = format!("lists \"{prefix}\": write a plus and digits, such as \"+98912\"");
            Err(key_table.error_at("prefixes", &problem))
        }
        None => Ok(prefixes),
    }
}

/// Checks names whose form the protocol prescribes.
fn check_forms(key_table: &TableReader<'_>, account: &Account) -> Result<()> {
    if let Some(login) = &account.smpp
        && (login.system_id.len() > SYSTEM_ID_CHARS_MAX || !login.system_id.is_ascii())
    {
        return Err(key_table.error_at("smpp_system_id", "must be at most 15 ASCII characters"));
    }
    let is_sid = |sid: &str| {
        sid.len() == TWILIO_SID_CHARS
            && sid.strip_prefix("AC").is_some_and(|hex| HEXLOWER_PERMISSIVE.decode(hex.as_bytes()).is_ok())
    };
    if account.twilio.as_ref().is_some_and(|login| !is_sid(&login.sid)) {
        return Err(key_table.error_at("twilio_sid", "must be AC and 32 hexadecimal digits"));
    }
    Ok(())
}

/// Checks that a name belongs to one account only.
pub(super) fn check_unique(key_table: &TableReader<'_>, keys: &[ApiKey], account: &Account) -> Result<()> {
    let others: HashSet<(&str, &str)> = keys.iter().flat_map(|key| key.account.login_names()).collect();
    match account.login_names().into_iter().find(|login| others.contains(login)) {
        Some((config_key, _)) => {
            Err(key_table.error_at(config_key, "belongs to two accounts; every account needs its own"))
        }
        None => Ok(()),
    }
}

impl PasswordDigest {
    fn of(password: &str) -> Self {
        Self(Sha256::digest(password.as_bytes()).into())
    }
}
