//! Reads `[[keys]]`.

use data_encoding::HEXLOWER_PERMISSIVE;
use postrider_core::error::Result;
use sha2::{Digest, Sha256};

use super::account::Account;
use super::accounts::{check_unique, read_account};
use super::environment::Environment;
use super::events::read_api_key_events;
use super::secret::SecretResolver;
use super::table_reader::TableReader;
use super::types::{ApiKey, ApiKeyLimits, EventsConfig, Scope};

/// Minimum length of an API key, in bytes.
const KEY_BYTES_MIN: usize = 16;

/// Published keys: the examples of this documentation, now or earlier, and texts that are often chosen as a first key.
/// An attacker tries them first, so they are refused as `key` and as `sha256`.
const PUBLISHED_KEYS: [&str; 9] =
    ["SHOP-KEY-0123456789", "KEY", "test", "secret", "password", "admin", "changeme", "example", "postrider"];

/// Reads `[[keys]]`.
pub(super) fn read_api_keys(
    top: &TableReader<'_>,
    events: &EventsConfig,
    environment: &Environment,
) -> Result<Vec<ApiKey>> {
    let mut keys: Vec<ApiKey> = Vec::new();
    for key_table in top.table_list("keys")? {
        key_table.reject_unknown_keys()?;
        let name = key_table.get::<String>("name")?.unwrap_or_default();
        if name.is_empty() {
            return Err(key_table.error_at("name", "is missing; set the name of the caller"));
        }
        let account = read_account(&key_table, environment)?;
        check_unique(&key_table, &keys, &account)?;
        let sha256 = read_key_digest(&key_table, environment, &account)?;
        if sha256.is_some_and(|digest| is_published(&digest)) {
            let origin = if key_table.get::<String>("key")?.is_some() { "key" } else { "sha256" };
            let problem = "belongs to a published example key, which everyone knows; create a key with: openssl rand -hex 32";
            return Err(key_table.error_at(origin, problem));
        }
        if keys.iter().any(|key| key.name == name || (key.sha256.is_some() && key.sha256 == sha256)) {
            let problem = "or its key is a duplicate; every API key needs its own name and key";
            return Err(key_table.error_at("name", problem));
        }
        keys.push(ApiKey {
            name,
            sha256,
            scopes: read_scopes(&key_table)?,
            user_per_hour: key_table.get("user_per_hour")?,
            limits: ApiKeyLimits {
                per_minute: key_table.get("per_minute")?,
                per_day: key_table.get("per_day")?,
                per_month: key_table.get("per_month")?,
                countries: key_table.countries("countries")?,
            },
            is_shared: key_table.get("shared")?.unwrap_or(false),
            events: read_api_key_events(&key_table, events, environment)?,
            account,
        });
    }
    Ok(keys)
}

/// Returns whether this is the digest of the empty key or of one of [`PUBLISHED_KEYS`].
fn is_published(sha256: &[u8; 32]) -> bool {
    let mut published_keys = PUBLISHED_KEYS.iter().chain([&""]);
    published_keys.any(|key| Sha256::digest(key.as_bytes()).as_slice() == sha256)
}

fn read_scopes(key_table: &TableReader<'_>) -> Result<Vec<Scope>> {
    let scope_names = key_table.list("scopes")?;
    let scopes =
        scope_names.iter().map(|name| name.parse::<Scope>()).collect::<std::result::Result<Vec<_>, _>>();
    match scopes {
        Ok(scopes) if !scopes.is_empty() => Ok(scopes),
        _ => Err(key_table.error_at("scopes", "must contain some of \"send\", \"read\", \"admin\"")),
    }
}

/// Returns the digest of the key, from `key` or from `sha256`. An account with other credentials needs none.
fn read_key_digest(
    key_table: &TableReader<'_>,
    environment: &Environment,
    account: &Account,
) -> Result<Option<[u8; 32]>> {
    let error = |name, problem| Err(key_table.error_at(name, problem));
    match (key_table.get::<String>("sha256")?, key_table.get::<String>("key")?) {
        (Some(hex_digest), None) => {
            match HEXLOWER_PERMISSIVE.decode(hex_digest.as_bytes()).map(<[u8; 32]>::try_from) {
                Ok(Ok(digest)) => Ok(Some(digest)),
                _ => error(
                    "sha256",
                    "must be 64 hexadecimal digits; create them with: printf %s KEY | sha256sum",
                ),
            }
        }
        (None, Some(written_key)) => {
            let api_key = SecretResolver::new(key_table, environment).resolve_text(&written_key, "key")?;
            if api_key.len() < KEY_BYTES_MIN {
                return error("key", "is shorter than 16 characters; create one with: openssl rand -hex 32");
            }
            Ok(Some(Sha256::digest(api_key.as_bytes()).into()))
        }
        (Some(_), Some(_)) => error("key", "and sha256 are both set; keep one of them"),
        (None, None) if !account.login_names().is_empty() => Ok(None),
        (None, None) => error("sha256", "is missing; set sha256, or key = \"${env:NAME}\""),
    }
}
