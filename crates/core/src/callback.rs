//! Callbacks in the form of another gateway: how the events of a message are told to the URL that came with it.
//!
//! Clients of the compatible APIs expect the delivery reports of the system that they were written for. A message keeps
//! the form, the URL and the fields of the request that the callback repeats. The engine builds the requests.

use std::fmt;

use form_urlencoded::Serializer;
use strum::{EnumString, IntoStaticStr, VariantArray};

use crate::id::MessageId;
use crate::text_enum::text_enum;

/// The form in which the events of a message are told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum CallbackFormat {
    /// A signed webhook of this gateway.
    #[default]
    Webhook,
    /// A status callback of Twilio: a signed form for each change of the status.
    Twilio,
    /// A `dlr-url` of Kannel: a GET with the escapes of the URL expanded.
    Kannel {
        /// The events to tell, as in `dlr-mask`: 1 delivered, 2 failed, 4 waits again, 8 accepted by the provider, 16
        /// refused by the provider.
        mask: u8,
    },
    /// A `dlr-url` of Jasmin, which has to answer `ACK/Jasmin`.
    Jasmin {
        /// The events to tell.
        level: JasminLevel,
        /// The method of the request.
        method: CallbackMethod,
    },
    /// A delivery receipt of Vonage: JSON for each final state.
    Vonage,
}

/// The `dlr-level` of Jasmin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumString, IntoStaticStr, VariantArray)]
pub enum JasminLevel {
    /// The answer of the provider.
    #[strum(serialize = "1")]
    Provider,
    /// The final state.
    #[strum(serialize = "2")]
    Terminal,
    /// Both.
    #[strum(serialize = "3")]
    Both,
}

/// The HTTP method of a callback.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "UPPERCASE")]
pub enum CallbackMethod {
    /// The fields are in the query.
    Get,
    /// The fields are a form.
    Post,
}

text_enum!(JasminLevel, CallbackMethod);

impl CallbackFormat {
    /// Parses what [`fmt::Display`] writes.
    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(':');
        let format = match words.next()? {
            "webhook" => Self::Webhook,
            "twilio" => Self::Twilio,
            "kannel" => Self::Kannel { mask: words.next()?.parse().ok()? },
            "jasmin" => Self::Jasmin {
                level: JasminLevel::parse(words.next()?)?,
                method: CallbackMethod::parse(words.next()?)?,
            },
            "vonage" => Self::Vonage,
            _ => return None,
        };
        words.next().is_none().then_some(format)
    }
}

impl fmt::Display for CallbackFormat {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Webhook => out.write_str("webhook"),
            Self::Twilio => out.write_str("twilio"),
            Self::Kannel { mask } => write!(out, "kannel:{mask}"),
            Self::Jasmin { level, method } => write!(out, "jasmin:{}:{}", level.as_str(), method.as_str()),
            Self::Vonage => out.write_str("vonage"),
        }
    }
}

/// Where and how the events of a message are told in the form of another gateway.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Callback {
    /// The form; never [`CallbackFormat::Webhook`].
    pub format: CallbackFormat,
    /// The validated URL, without blanks; with Kannel's form a pattern with escapes.
    pub url: String,
    /// The API key that the message came with; empty without keys.
    pub api_key: String,
    /// Fields of the request that the callback repeats. With Twilio's and Vonage's forms: names and values of the callback,
    /// such as `From`. With Kannel's form: the letter of an escape and its value, such as `P` and the sender.
    pub fields: Vec<(String, String)>,
}

/// The character with which the text of a [`Callback`] begins. No URL begins with it.
const MARK: char = '~';

impl Callback {
    /// Encodes the callback for the store: mark and format, fields as a form, URL, API key, separated by blanks.
    ///
    /// The claim of events in SQL depends on the mark at the beginning.
    pub fn encode(&self) -> String {
        let fields = Serializer::new(String::new()).extend_pairs(&self.fields).finish();
        format!("{MARK}{} {fields} {} {}", self.format, self.url, self.api_key)
    }

    /// Decodes what [`Callback::encode`] wrote.
    pub fn decode(text: &str) -> Option<Self> {
        let mut words = text.strip_prefix(MARK)?.splitn(4, ' ');
        let format = CallbackFormat::parse(words.next()?)?;
        let fields = form_urlencoded::parse(words.next()?.as_bytes()).into_owned().collect();
        let url = words.next()?.to_owned();
        Some(Self { format, url, api_key: words.next()?.to_owned(), fields })
    }

    /// Returns the value of the first field with this name.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(field_name, _)| field_name == name).map(|(_, value)| value.as_str())
    }
}

impl MessageId {
    /// Returns the id as Twilio writes it: `SM` and 32 hexadecimal digits.
    pub fn to_twilio_sid(self) -> String {
        format!("SM{}", self.to_string().replace('-', ""))
    }

    /// Parses an id that [`MessageId::to_twilio_sid`] wrote.
    pub fn from_twilio_sid(sid: &str) -> Option<Self> {
        let digits = sid.strip_prefix("SM").filter(|digits| digits.len() == 32)?;
        digits.parse().ok()
    }

    /// Returns the id as Vonage writes it: upper-case hexadecimal digits.
    pub fn to_vonage_id(self) -> String {
        self.to_string().replace('-', "").to_uppercase()
    }
}

#[cfg(test)]
mod tests;
