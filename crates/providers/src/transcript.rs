//! A conversation with a provider, written down line by line for an operator who asked to see it.
//!
//! What was said is kept as it was said, but for secrets: values of headers and fields that carry one are masked here,
//! at the door, and every text the configuration calls a secret is masked wherever it turns up, however it is written.
//! Adapters that speak over [`Outbound`](super::Outbound) need do nothing; others call [`Tape::sent`] and
//! [`Tape::heard`].

use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use regex::Regex;
use reqwest::Request;
use reqwest::header::HeaderMap;

use super::http_client::{BodyEnd, HttpCallResult};

/// What stands in place of a secret.
const MASK: &str = "***";

/// Parts of header names whose values are never written down.
const SECRET_HEADERS: [&str; 7] = [
    "authorization",
    "cookie",
    "key",
    "password",
    "secret",
    "signature",
    "token",
];

/// Fields of JSON, forms and queries that hold a credential, whatever the provider. The device token that a push is for
/// is an address and stays.
static SECRET_FIELDS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let names = "(access_token|refresh_token|id_token|client_secret|api_?key|api_?secret|auth_token|password|assertion|private_key)";
    Regex::new(&format!(r#"(?i)("{names}"\s*:\s*")[^"]*|(\b{names}=)[^&\s]*"#)).ok()
});

/// Where a conversation is written down. Copies write on the same tape.
#[derive(Clone, Default)]
pub struct Transcript {
    lines: Arc<Mutex<Vec<String>>>,
    /// The configuration's secrets in every spelling, the longest first.
    secrets: Arc<Vec<String>>,
}

impl Transcript {
    /// An empty tape that masks these texts wherever they turn up.
    pub fn new(secrets: &[String]) -> Self {
        let mut spellings: Vec<String> = secrets
            .iter()
            .flat_map(|secret| secret_spellings(secret))
            .collect();
        spellings.sort_by_key(|spelling| std::cmp::Reverse(spelling.len()));
        spellings.dedup();
        Self {
            lines: Arc::default(),
            secrets: Arc::new(spellings),
        }
    }

    /// Writes down what we said.
    pub fn record_sent(&self, text: &str) {
        self.append('>', text);
    }

    /// Writes down what the provider said.
    pub fn record_received(&self, text: &str) {
        self.append('<', text);
    }

    /// Writes down what happened beside the words: a connection made, an end.
    pub fn record_note(&self, text: &str) {
        self.append('*', text);
    }

    /// All lines so far; each begins with `>`, `<` or `*`.
    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn append(&self, side: char, text: &str) {
        let text = self.mask_secrets(text);
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.extend(
            text.lines()
                .map(|line| format!("{side} {}", replace_control_chars(line))),
        );
    }

    fn mask_secrets(&self, text: &str) -> String {
        let mut text = match SECRET_FIELDS.as_ref() {
            Some(fields) => fields
                .replace_all(text, format!("${{1}}${{3}}{MASK}"))
                .into_owned(),
            None => MASK.to_owned(),
        };
        for secret in self.secrets.iter() {
            text = text.replace(secret.as_str(), MASK);
        }
        text
    }

    /// Writes down an HTTP request.
    pub(super) fn record_request(&self, request: &Request) {
        let url = request.url();
        let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
        self.record_note(&format!(
            "{} port {}",
            url.host_str().unwrap_or_default(),
            url.port_or_known_default().unwrap_or_default()
        ));
        self.record_sent(&format!("{} {}{query}", request.method(), url.path()));
        self.record_headers('>', request.headers());
        if let Some(body) = request.body().and_then(reqwest::Body::as_bytes) {
            self.record_sent(&format!(" \n{}", String::from_utf8_lossy(body)));
        }
    }

    /// Writes down what an HTTP call came to.
    pub(super) fn record_response(&self, reply: &HttpCallResult) {
        let answered = match reply {
            HttpCallResult::Response(answered) => answered,
            HttpCallResult::NotSent(why) | HttpCallResult::InvalidRequest(why) => {
                return self.record_note(&format!("nothing was sent: {why}"));
            }
            HttpCallResult::NoResponse(why) => return self.record_note(why),
        };
        self.record_received(&format!("{}", answered.status));
        self.record_headers('<', &answered.headers);
        if !answered.body.is_empty() {
            self.record_received(&format!(" \n{}", String::from_utf8_lossy(&answered.body)));
        }
        match answered.body_end {
            BodyEnd::Complete => {}
            BodyEnd::Truncated => self.record_note("the answer is longer than what is read of one"),
            BodyEnd::Interrupted => self.record_note("the connection was lost in the middle of the answer"),
        }
    }

    fn record_headers(&self, side: char, headers: &HeaderMap) {
        for (name, value) in headers {
            let secret = SECRET_HEADERS.iter().any(|word| name.as_str().contains(word));
            let shown = String::from_utf8_lossy(value.as_bytes());
            let shown = if secret {
                mask_credentials(&shown)
            } else {
                shown.into_owned()
            };
            self.append(side, &format!("{name}: {shown}"));
        }
    }
}

/// `Bearer ***` for `Bearer abc`, `***` for anything else.
fn mask_credentials(value: &str) -> String {
    match value.split_once(' ') {
        Some((scheme, _))
            if scheme
                .chars()
                .all(|letter| letter.is_ascii_alphanumeric() || letter == '-') =>
        {
            format!("{scheme} {MASK}")
        }
        _ => MASK.to_owned(),
    }
}

/// A strange line must not move the operator's cursor.
fn replace_control_chars(line: &str) -> String {
    line.chars()
        .map(|letter| if letter.is_control() { '\u{fffd}' } else { letter })
        .collect()
}

/// A secret as it may stand in a URL, a form, JSON, or a basic authorization.
fn secret_spellings(secret: &str) -> Vec<String> {
    if secret.is_empty() {
        return Vec::new();
    }
    let json = serde_json::Value::from(secret).to_string();
    let mut spellings = vec![
        secret.to_owned(),
        utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string(),
        form_urlencoded::byte_serialize(secret.as_bytes()).collect(),
        json.trim_matches('"').to_owned(),
        BASE64.encode(secret),
    ];
    spellings.extend(secret.lines().map(str::to_owned).filter(|line| line.len() > 8));
    spellings
}

#[cfg(test)]
mod tests;
