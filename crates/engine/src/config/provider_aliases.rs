//! The class names of the notification service that Postrider takes the place of, and the accounts they stand for.
//!
//! An alias becomes the real provider as soon as its credentials are there: as a table `[providers.NAME]` of the file, or
//! in the variables that people set for such an account anyway. Half an account stops the start, because messages that
//! quietly go to a mock are lost. Secrets are named here, never read.

use toml::{Table, Value};

use super::environment::Environment;
use postrider_core::error::{Error, Result};

/// A class name of that service.
pub(super) struct ProviderAlias {
    pub name: &'static str,
    /// What its addresses look like; none for one that never sends.
    pub address: Option<&'static str>,
    /// How often its mock fails.
    pub failure_rate: f64,
    /// What it really is.
    pub account: Option<AccountVariables>,
}

/// An account by its variables.
pub(super) struct AccountVariables {
    /// The adapter that speaks to it.
    pub kind: &'static str,
    /// The variable that can mean nothing but this account; with it the others must be there.
    pub marker_variable: &'static str,
    /// The adapter's keys and the variables they come from, in the order in which they are looked for.
    keys: &'static [AccountKey],
}

/// One key of an adapter.
struct AccountKey {
    name: &'static str,
    variables: &'static [&'static str],
    kind: AccountKeyKind,
    is_required: bool,
}

/// What a variable's text becomes.
#[derive(Clone, Copy)]
enum AccountKeyKind {
    Text,
    /// A text that is never written anywhere: only its variable's name is.
    Secret,
    Number,
    List,
}

const fn required(
    name: &'static str,
    variables: &'static [&'static str],
    shape: AccountKeyKind,
) -> AccountKey {
    AccountKey {
        name,
        variables,
        kind: shape,
        is_required: true,
    }
}

const fn optional(
    name: &'static str,
    variables: &'static [&'static str],
    shape: AccountKeyKind,
) -> AccountKey {
    AccountKey {
        name,
        variables,
        kind: shape,
        is_required: false,
    }
}

const TWILIO: AccountVariables = AccountVariables {
    kind: "twilio",
    marker_variable: "TWILIO_AUTH_TOKEN",
    keys: &[
        required("account_sid", &["TWILIO_ACCOUNT_SID"], AccountKeyKind::Text),
        required("auth_token", &["TWILIO_AUTH_TOKEN"], AccountKeyKind::Secret),
        optional(
            "messaging_service_sid",
            &["TWILIO_MESSAGING_SERVICE_SID"],
            AccountKeyKind::Text,
        ),
        optional(
            "from",
            &["TWILIO_FROM", "TWILIO_PHONE_NUMBER"],
            AccountKeyKind::Text,
        ),
    ],
};

const VONAGE: AccountVariables = AccountVariables {
    kind: "vonage",
    marker_variable: "VONAGE_API_SECRET",
    keys: &[
        required("api_key", &["VONAGE_API_KEY"], AccountKeyKind::Secret),
        required("api_secret", &["VONAGE_API_SECRET"], AccountKeyKind::Secret),
        required("from", &["VONAGE_FROM"], AccountKeyKind::Text),
        optional(
            "signature_secret",
            &["VONAGE_SIGNATURE_SECRET"],
            AccountKeyKind::Secret,
        ),
    ],
};

const SES: AccountVariables = AccountVariables {
    kind: "ses",
    marker_variable: "SES_FROM",
    keys: &[
        required("access_key_id", &["AWS_ACCESS_KEY_ID"], AccountKeyKind::Text),
        required(
            "secret_access_key",
            &["AWS_SECRET_ACCESS_KEY"],
            AccountKeyKind::Secret,
        ),
        required(
            "region",
            &["AWS_REGION", "AWS_DEFAULT_REGION"],
            AccountKeyKind::Text,
        ),
        required("from", &["SES_FROM"], AccountKeyKind::Text),
        optional("session_token", &["AWS_SESSION_TOKEN"], AccountKeyKind::Secret),
        optional(
            "configuration_set",
            &["SES_CONFIGURATION_SET"],
            AccountKeyKind::Text,
        ),
        optional("topics", &["SES_TOPICS"], AccountKeyKind::List),
        optional(
            "base_url",
            &["AWS_ENDPOINT_URL_SESV2", "AWS_ENDPOINT_URL"],
            AccountKeyKind::Text,
        ),
    ],
};

const SMTP: AccountVariables = AccountVariables {
    kind: "smtp",
    marker_variable: "SMTP_HOST",
    keys: &[
        required("host", &["SMTP_HOST"], AccountKeyKind::Text),
        required("from", &["SMTP_FROM"], AccountKeyKind::Text),
        optional("port", &["SMTP_PORT"], AccountKeyKind::Number),
        optional("tls", &["SMTP_TLS"], AccountKeyKind::Text),
        optional("username", &["SMTP_USERNAME", "SMTP_USER"], AccountKeyKind::Text),
        optional("password", &["SMTP_PASSWORD"], AccountKeyKind::Secret),
    ],
};

const PUSHY: AccountVariables = AccountVariables {
    kind: "pushy",
    marker_variable: "PUSHY_API_KEY",
    keys: &[required("api_key", &["PUSHY_API_KEY"], AccountKeyKind::Secret)],
};

const fn alias(name: &'static str, address: &'static str, real: AccountVariables) -> ProviderAlias {
    ProviderAlias {
        name,
        address: Some(address),
        failure_rate: 0.0,
        account: Some(real),
    }
}

/// The class names.
pub(super) const PROVIDER_ALIASES: [ProviderAlias; 6] = [
    alias("TwilioSmsService", "phone", TWILIO),
    alias("BackupSmsService", "phone", VONAGE),
    alias("AmazonSimpleEmailService", "email", SES),
    alias("BackupEmailService", "email", SMTP),
    alias("PushyService", "push", PUSHY),
    ProviderAlias {
        name: "AlwaysFailService",
        address: None,
        failure_rate: 1.0,
        account: None,
    },
];

impl AccountVariables {
    /// The account's table as the file would have it; none when its variables are not there.
    pub fn read_account(&self, alias: &str, environment: &Environment) -> Result<Option<Table>> {
        if environment.get(self.marker_variable).is_none() {
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
                    table.insert(key.name.to_owned(), key.kind.parse(variable, text)?);
                }
                None if key.is_required => {
                    let (sign, missing) = (self.marker_variable, key.variables.join(" or "));
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
    pub fn required_variables(&self) -> String {
        let needed = self.keys.iter().filter(|key| key.is_required);
        needed.map(|key| key.variables[0]).collect::<Vec<_>>().join(", ")
    }
}

impl AccountKeyKind {
    fn parse(self, variable: &str, text: &str) -> Result<Value> {
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
                let words = super::legacy_environment::split_list(text).map(Value::from);
                Value::from(words.collect::<Vec<_>>())
            }
        })
    }
}
