//! The class names of the notification service that Postrider takes the place of, and the accounts they stand for.
//!
//! An alias becomes the real provider as soon as its credentials are there: as a table `[providers.NAME]` of the file, or
//! in the variables that people set for such an account anyway. Half an account stops the start, because messages that
//! quietly go to a mock are lost. Secrets are named here, never read.

use toml::{Table, Value};

use super::environment::Environment;
use crate::error::{Error, Result};

/// A class name of that service.
pub(super) struct Alias {
    pub name: &'static str,
    /// What its addresses look like; none for one that never sends.
    pub address: Option<&'static str>,
    /// How often its mock fails.
    pub failure_rate: f64,
    /// What it really is.
    pub real: Option<Real>,
}

/// An account by its variables.
pub(super) struct Real {
    /// The adapter that speaks to it.
    pub kind: &'static str,
    /// The variable that can mean nothing but this account; with it the others must be there.
    pub sign: &'static str,
    /// The adapter's keys and the variables they come from, in the order in which they are looked for.
    keys: &'static [Key],
}

/// One key of an adapter.
struct Key {
    name: &'static str,
    variables: &'static [&'static str],
    shape: Shape,
    needed: bool,
}

/// What a variable's text becomes.
#[derive(Clone, Copy)]
enum Shape {
    Text,
    /// A text that is never written anywhere: only its variable's name is.
    Secret,
    Number,
    List,
}

const fn needed(name: &'static str, variables: &'static [&'static str], shape: Shape) -> Key {
    Key {
        name,
        variables,
        shape,
        needed: true,
    }
}

const fn wanted(name: &'static str, variables: &'static [&'static str], shape: Shape) -> Key {
    Key {
        name,
        variables,
        shape,
        needed: false,
    }
}

const TWILIO: Real = Real {
    kind: "twilio",
    sign: "TWILIO_AUTH_TOKEN",
    keys: &[
        needed("account_sid", &["TWILIO_ACCOUNT_SID"], Shape::Text),
        needed("auth_token", &["TWILIO_AUTH_TOKEN"], Shape::Secret),
        wanted(
            "messaging_service_sid",
            &["TWILIO_MESSAGING_SERVICE_SID"],
            Shape::Text,
        ),
        wanted("from", &["TWILIO_FROM", "TWILIO_PHONE_NUMBER"], Shape::Text),
    ],
};

const VONAGE: Real = Real {
    kind: "vonage",
    sign: "VONAGE_API_SECRET",
    keys: &[
        needed("api_key", &["VONAGE_API_KEY"], Shape::Secret),
        needed("api_secret", &["VONAGE_API_SECRET"], Shape::Secret),
        needed("from", &["VONAGE_FROM"], Shape::Text),
        wanted("signature_secret", &["VONAGE_SIGNATURE_SECRET"], Shape::Secret),
    ],
};

const SES: Real = Real {
    kind: "ses",
    sign: "SES_FROM",
    keys: &[
        needed("access_key_id", &["AWS_ACCESS_KEY_ID"], Shape::Text),
        needed("secret_access_key", &["AWS_SECRET_ACCESS_KEY"], Shape::Secret),
        needed("region", &["AWS_REGION", "AWS_DEFAULT_REGION"], Shape::Text),
        needed("from", &["SES_FROM"], Shape::Text),
        wanted("session_token", &["AWS_SESSION_TOKEN"], Shape::Secret),
        wanted("configuration_set", &["SES_CONFIGURATION_SET"], Shape::Text),
        wanted("topics", &["SES_TOPICS"], Shape::List),
        wanted(
            "base_url",
            &["AWS_ENDPOINT_URL_SESV2", "AWS_ENDPOINT_URL"],
            Shape::Text,
        ),
    ],
};

const SMTP: Real = Real {
    kind: "smtp",
    sign: "SMTP_HOST",
    keys: &[
        needed("host", &["SMTP_HOST"], Shape::Text),
        needed("from", &["SMTP_FROM"], Shape::Text),
        wanted("port", &["SMTP_PORT"], Shape::Number),
        wanted("tls", &["SMTP_TLS"], Shape::Text),
        wanted("username", &["SMTP_USERNAME", "SMTP_USER"], Shape::Text),
        wanted("password", &["SMTP_PASSWORD"], Shape::Secret),
    ],
};

const PUSHY: Real = Real {
    kind: "pushy",
    sign: "PUSHY_API_KEY",
    keys: &[needed("api_key", &["PUSHY_API_KEY"], Shape::Secret)],
};

const fn alias(name: &'static str, address: &'static str, real: Real) -> Alias {
    Alias {
        name,
        address: Some(address),
        failure_rate: 0.0,
        real: Some(real),
    }
}

/// The class names.
pub(super) const ALIASES: [Alias; 6] = [
    alias("TwilioSmsService", "phone", TWILIO),
    alias("BackupSmsService", "phone", VONAGE),
    alias("AmazonSimpleEmailService", "email", SES),
    alias("BackupEmailService", "email", SMTP),
    alias("PushyService", "push", PUSHY),
    Alias {
        name: "AlwaysFailService",
        address: None,
        failure_rate: 1.0,
        real: None,
    },
];

impl Real {
    /// The account's table as the file would have it; none when its variables are not there.
    pub fn account(&self, alias: &str, environment: &Environment) -> Result<Option<Table>> {
        if environment.get(self.sign).is_none() {
            return Ok(None);
        }
        let mut table = Table::from_iter([("kind".to_owned(), Value::from(self.kind))]);
        for key in self.keys {
            let found = key
                .variables
                .iter()
                .find_map(|name| Some((*name, environment.get(name)?)));
            match found {
                Some((variable, text)) => {
                    table.insert(key.name.to_owned(), key.shape.value(variable, text)?);
                }
                None if key.needed => {
                    let (sign, missing) = (self.sign, key.variables.join(" or "));
                    return Err(Error::usage(format!(
                        "{sign}: is set, so that {alias} is a real account, but {missing} is not: set it, or unset {sign}"
                    )));
                }
                None => {}
            }
        }
        Ok(Some(table))
    }

    /// The variables without which there is no account, for whoever wants one.
    pub fn wishes(&self) -> String {
        let needed = self.keys.iter().filter(|key| key.needed);
        needed.map(|key| key.variables[0]).collect::<Vec<_>>().join(", ")
    }
}

impl Shape {
    fn value(self, variable: &str, text: &str) -> Result<Value> {
        Ok(match self {
            Self::Text => Value::from(text),
            Self::Secret => Value::from(format!("${{env:{variable}}}")),
            Self::Number => {
                let number = text.parse::<i64>();
                let number =
                    number.map_err(|_| Error::usage(format!("{variable}: must be a whole number")))?;
                Value::from(number)
            }
            Self::List => {
                let words = super::inherited::words(text).map(Value::from);
                Value::from(words.collect::<Vec<_>>())
            }
        })
    }
}
