//! Reads `[[keys]]`.

use postrider_core::error::Result;
use sha2::{Digest, Sha256};

use super::environment::Environment;
use super::events::read_api_key_events;
use super::secret::resolve_text;
use super::table_reader::TableReader;
use super::types::{ApiKey, EventsConfig, Scope};

/// Minimum length of an API key, in bytes.
const KEY_BYTES_MIN: usize = 16;

/// Reads `[[keys]]`.
pub(super) fn read_api_keys(
    top: &TableReader<'_>,
    events: &EventsConfig,
    environment: &Environment,
) -> Result<Vec<ApiKey>> {
    let mut keys: Vec<ApiKey> = Vec::new();
    for values in top.table_list("keys")? {
        values.reject_unknown_keys()?;
        let name = values.text("name")?.unwrap_or_default().to_owned();
        if name.is_empty() {
            return Err(values.error_at("name", "is missing; set the name of the caller"));
        }
        let sha256 = read_key_digest(&values, environment)?;
        if keys.iter().any(|key| key.name == name || key.sha256 == sha256) {
            return Err(values
                .error_at("name", "or its key is a duplicate; every API key needs its own name and key"));
        }
        let scopes = read_scopes(&values)?;
        keys.push(ApiKey {
            name,
            sha256,
            scopes,
            user_per_hour: values.count("user_per_hour")?,
            events: read_api_key_events(&values, events, environment)?,
        });
    }
    Ok(keys)
}

fn read_scopes(values: &TableReader<'_>) -> Result<Vec<Scope>> {
    let scope_of = |text: &str| Scope::ALL.into_iter().find(|scope| scope.as_str() == text);
    let scopes = values.list("scopes")?.into_iter().map(scope_of);
    match scopes.collect::<Option<Vec<_>>>() {
        Some(scopes) if !scopes.is_empty() => Ok(scopes),
        _ => Err(values.error_at("scopes", "must contain some of \"send\", \"read\", \"admin\"")),
    }
}

/// Returns the digest of the key, from `key` or from `sha256`.
fn read_key_digest(values: &TableReader<'_>, environment: &Environment) -> Result<[u8; 32]> {
    match (values.text("sha256")?, values.text("key")?) {
        (Some(hex), None) => parse_hex_digest(hex).ok_or_else(|| {
            values.error_at(
                "sha256",
                "must be 64 hexadecimal digits; create them with: printf %s KEY | sha256sum",
            )
        }),
        (None, Some(text)) => {
            let key = resolve_text(text, "key", values, environment)?;
            if key.len() < KEY_BYTES_MIN {
                return Err(values.error_at(
                    "key",
                    "is shorter than 16 characters; create one with: openssl rand -hex 32",
                ));
            }
            Ok(Sha256::digest(key.as_bytes()).into())
        }
        (Some(_), Some(_)) => Err(values.error_at("key", "and sha256 are both set; keep one of them")),
        (None, None) => Err(values.error_at("sha256", "is missing; set sha256, or key = \"${env:NAME}\"")),
    }
}

fn parse_hex_digest(hex: &str) -> Option<[u8; 32]> {
    let mut digest = [0; 32];
    if hex.len() != 64 || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (index, byte) in digest.iter_mut().enumerate() {
        *byte = u8::from_str_radix(hex.get(index * 2..index * 2 + 2)?, 16).ok()?;
    }
    Some(digest)
}
