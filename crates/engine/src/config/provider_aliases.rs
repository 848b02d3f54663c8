//! Maps the class names of the replaced notification service to the accounts that they stand for.
//!
//! An alias is a real provider if its credentials are set: in a table `[providers.NAME]` of the file, or in the variables
//! that are customary for such an account. Without credentials an alias is a mock provider, with a warning. If the marker
//! variable is set and a required variable is missing, the program does not start, because a mock would silently lose the
//! messages. Settings refer to secrets by variable name and never contain the secrets.

use postrider_core::error::{Error, Result};
use toml::{Table, Value};

use super::{environment::Environment, text::split_list};

/// A class name of the replaced notification service.
pub(super) struct ProviderAlias {
    pub name: &'static str,
    /// Kind of address; `None` for the class that never sends.
    pub address: Option<&'static str>,
    /// Failure rate of the mock provider, from 0 to 1.
    pub failure_rate: f64,
    /// The account that the class name stands for.
    pub account: Option<AccountVariables>,
}

/// An account that is configured by environment variables.
pub(super) struct AccountVariables {
    /// Name of the adapter.
    pub kind: &'static str,
    /// Variable that identifies this account; if this variable is set, all required variables must be set.
    pub marker_variable: &'static str,
    /// Settings of the adapter and their variables, in the order of lookup.
    keys: &'static [AccountKey],
}

/// Names of environment variables, in the order of lookup.
type VariableNames = &'static [&'static str];

/// A setting of an adapter.
struct AccountKey {
    name: &'static str,
    variables: VariableNames,
    kind: AccountKeyKind,
    is_required: bool,
}

/// Kind of a variable's value.
#[derive(Clone, Copy)]
enum AccountKeyKind {
    Text,
    /// A secret: the setting becomes `${env:NAME}` instead of the value.
    Secret,
    Number,
    List,
}

const fn required(name: &'static str, variables: VariableNames, kind: AccountKeyKind) -> AccountKey {
    AccountKey { name, variables, kind, is_required: true }
}

const fn optional(name: &'static str, variables: VariableNames, kind: AccountKeyKind) -> AccountKey {
    AccountKey { name, variables, kind, is_required: false }
}

const TWILIO: AccountVariables = AccountVariables {
    kind: "twilio",
    marker_variable: "TWILIO_AUTH_TOKEN",
    keys: &[
        required("account_sid", &["TWILIO_ACCOUNT_SID"], AccountKeyKind::Text),
        required("auth_token", &["TWILIO_AUTH_TOKEN"], AccountKeyKind::Secret),
        optional("messaging_service_sid", &["TWILIO_MESSAGING_SERVICE_SID"], AccountKeyKind::Text),
        optional("from", &["TWILIO_FROM", "TWILIO_PHONE_NUMBER"], AccountKeyKind::Text),
    ],
};

const VONAGE: AccountVariables = AccountVariables {
    kind: "vonage",
    marker_variable: "VONAGE_API_SECRET",
    keys: &[
        required("api_key", &["VONAGE_API_KEY"], AccountKeyKind::Secret),
        required("api_secret", &["VONAGE_API_SECRET"], AccountKeyKind::Secret),
        required("from", &["VONAGE_FROM"], AccountKeyKind::Text),
        optional("signature_secret", &["VONAGE_SIGNATURE_SECRET"], AccountKeyKind::Secret),
    ],
};

const SES: AccountVariables = AccountVariables {
    kind: "ses",
    marker_variable: "SES_FROM",
    keys: &[
        required("access_key_id", &["AWS_ACCESS_KEY_ID"], AccountKeyKind::Text),
        required("secret_access_key", &["AWS_SECRET_ACCESS_KEY"], AccountKeyKind::Secret),
        required("region", &["AWS_REGION", "AWS_DEFAULT_REGION"], AccountKeyKind::Text),
        required("from", &["SES_FROM"], AccountKeyKind::Text),
        optional("session_token", &["AWS_SESSION_TOKEN"], AccountKeyKind::Secret),
        optional("configuration_set", &["SES_CONFIGURATION_SET"], AccountKeyKind::Text),
        optional("topics", &["SES_TOPICS"], AccountKeyKind::List),
        optional("base_url", &["AWS_ENDPOINT_URL_SESV2", "AWS_ENDPOINT_URL"], AccountKeyKind::Text),
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

const fn alias(name: &'static str, address: &'static str, account: AccountVariables) -> ProviderAlias {
    ProviderAlias { name, address: Some(address), failure_rate: 0.0, account: Some(account) }
}

/// All class names.
pub(super) const PROVIDER_ALIASES: [ProviderAlias; 6] = [
    alias("TwilioSmsService", "phone", TWILIO),
    alias("BackupSmsService", "phone", VONAGE),
    alias("AmazonSimpleEmailService", "email", SES),
    alias("BackupEmailService", "email", SMTP),
    alias("PushyService", "push", PUSHY),
    ProviderAlias { name: "AlwaysFailService", address: None, failure_rate: 1.0, account: None },
];

impl AccountVariables {
    /// Returns the table of the account as in the file, or `None` if its marker variable is not set.
    pub fn read_account(&self, alias: &str, environment: &Environment) -> Result<Option<Table>> {
        if environment.get(self.marker_variable).is_none() {
            return Ok(None);
        }
        let mut account = Table::from_iter([("kind".to_owned(), Value::from(self.kind))]);
        for account_key in self.keys {
            let set_variable =
                account_key.variables.iter().find_map(|name| Some((*name, environment.get(name)?)));
            match set_variable {
                Some((variable, text)) => {
                    account.insert(account_key.name.to_owned(), account_key.kind.parse(variable, text)?);
                }
                None if account_key.is_required => {
                    let (marker, missing) = (self.marker_variable, account_key.variables.join(" or "));
                    return Err(Error::usage(format!(
                        "{marker} is set but {missing} is not: set {missing} to use {alias}, or unset {marker}"
                    )));
                }
                None => {}
            }
        }
        Ok(Some(account))
    }

    /// Returns the names of the required variables, for messages.
    pub fn required_variables(&self) -> String {
        let required_keys = self.keys.iter().filter(|key| key.is_required);
        required_keys.map(|key| key.variables[0]).collect::<Vec<_>>().join(", ")
    }
}

impl AccountKeyKind {
    fn parse(self, variable: &str, variable_text: &str) -> Result<Value> {
        Ok(match self {
            Self::Text => Value::from(variable_text),
            Self::Secret => Value::from(format!("${{env:{variable}}}")),
            Self::Number => Value::Integer(
                variable_text
                    .parse()
                    .map_err(|_| Error::usage(format!("{variable}: must be a whole number")))?,
            ),
            Self::List => split_list(variable_text).collect::<Vec<_>>().into(),
        })
    }
}
