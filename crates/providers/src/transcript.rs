//! A recorded conversation with a provider, for `console send --via` and tests.
//!
//! Secrets are masked before a line is stored: the values of headers and fields that carry credentials, and every
//! configured secret in each of its encodings. The HTTP client records its calls itself; other adapters call
//! [`Transcript::record_sent`] and [`Transcript::record_received`].

use std::sync::{Arc, LazyLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use parking_lot::Mutex;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use regex::Regex;

use crate::json_api::escape_json;
use postrider_core::printable::is_format_character;

/// The text in place of a secret.
const MASK: &str = "***";

/// Fields of JSON, forms and queries that contain a credential at any provider. A push token is not in the list,
/// because it is an address.
static SECRET_FIELDS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let names = "(access_token|refresh_token|id_token|client_secret|api_?key|api_?secret|auth_token|password|assertion|private_key)";
    Regex::new(&format!(r#"(?i)("{names}"\s*:\s*")[^"]*|(\b{names}=)[^&\s]*"#)).ok()
});

/// The recorded lines. Clones append to the same lines.
#[derive(Clone, Default)]
pub struct Transcript {
    lines: Arc<Mutex<Vec<String>>>,
    /// The configured secrets in every encoding, the longest first.
    secrets: Arc<Vec<String>>,
}

impl Transcript {
    /// Returns an empty transcript that masks these secrets.
    pub fn new(secrets: &[String]) -> Self {
        let mut encodings: Vec<String> = secrets.iter().flat_map(|secret| secret_encodings(secret)).collect();
        encodings.sort_by_key(|encoding| std::cmp::Reverse(encoding.len()));
        encodings.dedup();
        Self { lines: Arc::default(), secrets: Arc::new(encodings) }
    }

    /// Records text that the gateway sent.
    pub fn record_sent(&self, text: &str) {
        self.append('>', text);
    }

    /// Records text that the provider sent.
    pub fn record_received(&self, text: &str) {
        self.append('<', text);
    }

    /// Records an event: a connection, an error, an end.
    pub fn record_note(&self, text: &str) {
        self.append('*', text);
    }

    /// Returns all lines so far. Each begins with `>`, `<` or `*`.
    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().clone()
    }

    /// Appends the lines of a text without control and format characters, which could move the cursor of a terminal or change
    /// the order of a line.
    fn append(&self, direction: char, text: &str) {
        let masked_text = self.mask_secrets(text);
        let is_unprintable = |character: char| character.is_control() || is_format_character(character);
        let new_lines = masked_text
            .lines()
            .map(|line| format!("{direction} {}", line.replace(is_unprintable, "\u{fffd}")));
        self.lines.lock().extend(new_lines);
    }

    fn mask_secrets(&self, text: &str) -> String {
        let masked_fields = match SECRET_FIELDS.as_ref() {
            Some(fields) => fields.replace_all(text, format!("${{1}}${{3}}{MASK}")).into_owned(),
            None => MASK.to_owned(),
        };
        self.secrets.iter().fold(masked_fields, |masked, secret| masked.replace(secret.as_str(), MASK))
    }
}

/// Masks the value of a header: `Bearer ***` for `Bearer abc`, `***` for a value without a scheme.
pub(crate) fn mask_credentials(value: &str) -> String {
    let is_scheme_char = |character: char| character.is_ascii_alphanumeric() || character == '-';
    match value.split_once(' ') {
        Some((scheme, _)) if scheme.chars().all(is_scheme_char) => format!("{scheme} {MASK}"),
        _ => MASK.to_owned(),
    }
}

/// Returns a secret as it appears in a URL, a form, JSON and a basic authorization, and its long lines.
fn secret_encodings(secret: &str) -> Vec<String> {
    if secret.is_empty() {
        return Vec::new();
    }
    let mut encodings = vec![
        secret.to_owned(),
        utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string(),
        form_urlencoded::byte_serialize(secret.as_bytes()).collect(),
        escape_json(secret),
        BASE64.encode(secret),
    ];
    encodings.extend(secret.lines().map(str::to_owned).filter(|line| line.len() > 8));
    encodings
}

#[cfg(test)]
mod tests;
