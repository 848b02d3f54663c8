//! Collects the secrets among resolved settings: masked values, and values that came from a variable or a
//! file.
//!
//! Collects too much rather than too little: the result is used to mask transcripts that an operator asked
//! for.

use toml::{Table, Value};

use super::{mask::is_secret_name, placeholder::next_placeholder};

/// Minimum length of a word of a secret text that is masked separately, in bytes.
const PIECE_BYTES_MIN: usize = 8;

/// Returns the secrets in `settings`; `masked` is the same table with secrets masked.
pub fn collect_secrets(settings: &Table, masked: &Table) -> Vec<String> {
    let mut secrets = Vec::new();
    for (key, value) in settings {
        collect_value(value, masked.get(key), &mut secrets);
    }
    secrets.retain(|secret| !secret.trim().is_empty());
    secrets
}

fn collect_value(value: &Value, masked: Option<&Value>, secrets: &mut Vec<String>) {
    match (value, masked) {
        (Value::Table(table), Some(Value::Table(masked))) => {
            for (key, value) in table {
                collect_value(value, masked.get(key), secrets);
            }
        }
        (Value::Array(values), Some(Value::Array(masked))) => {
            for (value, masked) in values.iter().zip(masked) {
                collect_value(value, Some(masked), secrets);
            }
        }
        (Value::String(text), Some(Value::String(masked))) if text == masked => {}
        (Value::String(text), Some(Value::String(masked))) => collect_text(text, masked, secrets),
        (Value::Integer(_) | Value::Float(_), Some(Value::String(_))) => secrets.push(value.to_string()),
        _ => {}
    }
}

fn collect_text(text: &str, masked: &str, secrets: &mut Vec<String>) {
    if next_placeholder(masked).is_some() {
        secrets.extend(placeholder_contents(text, masked));
    } else if let Some((_, rest)) = text.split_once("://") {
        secrets.extend(url_secrets(rest));
    } else {
        // `Bearer abc` is a secret, and so is `abc` alone.
        let words = text.split_whitespace().filter(|piece| piece.len() >= PIECE_BYTES_MIN);
        secrets.extend(words.map(str::to_owned));
        secrets.push(text.to_owned());
    }
}

/// Returns the parts of `text` that stand for the placeholders of `written`.
fn placeholder_contents(text: &str, written: &str) -> Vec<String> {
    let mut contents = Vec::new();
    let (mut text, mut written) = (text, written);
    while let Some(start) = next_placeholder(written) {
        let Some(end) = written[start..].find('}').map(|end| start + end + 1) else {
            break;
        };
        text = text.get(start..).unwrap_or_default();
        written = &written[end..];
        let literal = &written[..next_placeholder(written).unwrap_or(written.len())];
        let length = match literal {
            "" => text.len(),
            literal => text.find(literal).unwrap_or(text.len()),
        };
        contents.push(text[..length].to_owned());
        text = &text[length..];
    }
    contents
}

/// Returns the password of a URL and the secret values of its query.
fn url_secrets(rest: &str) -> Vec<String> {
    let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    let login = authority.rsplit_once('@').map(|(login, _)| login);
    let password = login.and_then(|login| login.split_once(':')).map(|(_, password)| password.to_owned());
    let query = rest.split_once('?').map_or("", |(_, query)| query);
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let values = pairs.filter(|(name, _)| is_secret_name(name)).map(|(_, value)| value.to_owned());
    password.into_iter().chain(values).collect()
}

#[cfg(test)]
mod tests;
