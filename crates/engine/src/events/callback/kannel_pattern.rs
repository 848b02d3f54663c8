//! The escapes of a `dlr-url` of Kannel 1.4.5.
//!
//! A report is seen from the handset: `%p` is the number that we sent to, `%P` our sender. Unknown escapes stay as they are.
//! Values are URL-encoded, so a value cannot add a parameter. Kannel does not encode the value of `%S`; here the characters
//! that would change the URL are encoded.

use postrider_core::callback::Callback;
use postrider_core::event::Event;
use postrider_providers::EgressPolicy;
use postrider_providers::webhook;

/// Name of the callback field that says that the client wrote its numbers without the plus that they have now.
pub const ADDED_PLUS: &str = "+";

/// Facts that escapes stand for.
pub struct PatternValues<'a> {
    /// The event.
    pub event: &'a Event,
    /// The callback, whose fields are values of escapes that the request has set.
    pub callback: &'a Callback,
    /// The value of `%d`.
    pub dlr_value: u8,
    /// The text of the report.
    pub text: &'a str,
    /// The provider's id of the message.
    pub reference: &'a str,
    /// Our sender; empty if the provider has chosen it.
    pub sender: &'a str,
    /// A UUID for the event.
    pub uuid: &'a str,
}

/// Expands the escapes of a pattern.
pub fn expand(pattern: &str, values: &PatternValues<'_>) -> String {
    let mut url = String::with_capacity(pattern.len() + 128);
    let mut words = Words { words: values.text.split_whitespace().collect(), next: 1 };
    let mut rest = pattern;
    while let Some(position) = rest.find('%') {
        url.push_str(&rest[..position]);
        let escape = &rest[position..];
        let Some(letter) = escape[1..].chars().next() else {
            url.push('%');
            return url;
        };
        let mut escape_length = 1 + letter.len_utf8();
        if let Some(name) = meta_data_name(escape) {
            escape_length = name.len() + 3;
            let meta_data = field(values, "D");
            url.push_str(&encode(meta_data_value(meta_data, name).unwrap_or_default()));
        } else {
            match expand_letter(letter, pattern, values, &mut words) {
                Some(text) => url.push_str(&text),
                None => url.push_str(&escape[..escape_length]),
            }
        }
        rest = &escape[escape_length..];
    }
    url.push_str(rest);
    url
}

/// The words of a report; `%s` and `%S` take them one after the other, beginning with the second.
struct Words<'a> {
    words: Vec<&'a str>,
    next: usize,
}

impl Words<'_> {
    fn take_next(&mut self) -> &str {
        self.next += 1;
        self.words.get(self.next - 1).copied().unwrap_or_default()
    }

    fn join_from(&self, first: usize) -> String {
        let words = self.words.iter().skip(first);
        words.map(|word| encode(word)).collect::<Vec<_>>().join("+")
    }
}

/// Returns the text for an escape; none for an unknown one.
fn expand_letter(
    letter: char,
    pattern: &str,
    values: &PatternValues<'_>,
    words: &mut Words<'_>,
) -> Option<String> {
    let event = values.event;
    Some(match letter {
        '%' => "%".to_owned(),
        'd' => values.dlr_value.to_string(),
        'p' => encode(receiver(values)),
        'P' => encode(values.sender),
        'q' => encode_number(receiver(values)),
        'Q' => encode_number(values.sender),
        't' => event.at.format("%Y-%m-%d+%H:%M:%S").to_string(),
        'T' => event.at.timestamp().to_string(),
        'i' => encode(event.provider.as_ref().map_or("", |provider| provider.as_str())),
        'I' => values.uuid.to_owned(),
        'F' => encode(values.reference),
        'A' | 'b' => encode(values.text),
        'a' => words.join_from(0),
        'k' => encode(words.words.first().copied().unwrap_or_default()),
        's' => encode(words.take_next()),
        'S' => encode_except(&words.take_next().replace('*', "~"), b":/,;=@$"),
        'r' => words.join_from(words.next),
        'n' => encode(values.callback.field("n").unwrap_or(&values.callback.api_key)),
        'c' | 'm' | 'M' => encode(values.callback.field(&letter.to_string()).unwrap_or("-1")),
        'C' => encode(values.callback.field("C").unwrap_or("UTF-8")),
        'O' => encode(values.callback.field("O").unwrap_or("0000")),
        'u' | 'B' | 'D' => encode(field(values, &letter.to_string())),
        // The login at the provider is not told to clients; the last three are empty in Kannel too.
        'o' | 'f' | 'v' | 'V' => String::new(),
        'R' => encode(pattern),
        'e' => values.text.bytes().map(|byte| format!("{byte:02X}")).collect(),
        _ => return None,
    })
}

/// Returns the number that the message was sent to, without the plus if the client wrote it so.
fn receiver<'a>(values: &PatternValues<'a>) -> &'a str {
    let spelling = values.event.spelling.as_str();
    match values.callback.field(ADDED_PLUS) {
        Some(_) => spelling.strip_prefix('+').unwrap_or(spelling),
        None => spelling,
    }
}

fn field<'a>(values: &PatternValues<'a>, name: &str) -> &'a str {
    values.callback.field(name).unwrap_or_default()
}

/// Returns `group#key` of an escape `%#group#key#`.
fn meta_data_name(escape: &str) -> Option<&str> {
    let after_mark = escape.strip_prefix("%#")?;
    let (group, after_group) = after_mark.split_once('#')?;
    let (key, _) = after_group.split_once('#')?;
    Some(&after_mark[..group.len() + 1 + key.len()])
}

/// Returns the encoded value of `group#key` in meta-data such as `?smpp?key=value&?other?key=value&`.
fn meta_data_value<'a>(meta_data: &'a str, name: &str) -> Option<&'a str> {
    let (group, key) = name.split_once('#')?;
    let mut parts = meta_data.split('?').skip(1);
    while let (Some(group_name), Some(pairs)) = (parts.next(), parts.next()) {
        if group_name == group {
            let pair = pairs.split('&').filter_map(|pair| pair.split_once('='));
            return pair.into_iter().find(|(name, _)| *name == key).map(|(_, value)| value);
        }
    }
    None
}

/// Encodes a number, with `+` for a leading `00`.
fn encode_number(number: &str) -> String {
    number.strip_prefix("00").map_or_else(|| encode(number), |digits| format!("%2B{}", encode(digits)))
}

/// Encodes a text as Kannel does: a blank is `+`, every byte but letters, digits and `-_.!~*'()` is escaped.
fn encode(text: &str) -> String {
    encode_except(text, b"")
}

fn encode_except(text: &str, kept_bytes: &[u8]) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' ' => encoded.push('+'),
            b'-' | b'_' | b'.' | b'!' | b'~' | b'*' | b'\'' | b'(' | b')' => encoded.push(char::from(byte)),
            _ if byte.is_ascii_alphanumeric() || kept_bytes.contains(&byte) => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

/// Returns the pattern of a `dlr-url`, with blanks escaped.
///
/// # Errors
///
/// Returns a text that says why its URLs can never be called. The host must not contain an escape, because it names the
/// queue of the events.
pub fn validate_pattern(egress_policy: &EgressPolicy, text: &str) -> Result<String, String> {
    if text.contains(char::is_control) {
        return Err("must not contain a control character".to_owned());
    }
    let pattern = text.replace(' ', "%20");
    let after_scheme = pattern.split_once("://").map_or("", |(_, rest)| rest);
    let authority = after_scheme.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('%') {
        return Err("must not contain an escape in the host".to_owned());
    }
    webhook::parse_url(egress_policy, &pattern)?;
    Ok(pattern)
}

#[cfg(test)]
mod tests;
