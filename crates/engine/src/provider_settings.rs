//! Errors in the settings of an adapter: all of them at once, each with its place in the configuration file.
//!
//! An adapter's settings are read by serde, which stops at the first missing or unknown key. The settings are therefore read
//! again without the unknown keys and with stand-ins for the missing ones, until nothing of that kind is left.

use crate::config::ProviderConfig;
use postrider_core::error::Error;
use postrider_providers::ProviderSettings;

/// Maximum number of errors of one provider that are listed.
const ERRORS_MAX: usize = 20;

/// Stand-in for a missing value. It is only read, never used.
const STAND_IN: &str = "0";

/// Returns `first` with its place in the file, and the further errors of the same settings.
pub(crate) fn locate_errors(config: &ProviderConfig, first: Error) -> Error {
    let mut settings = config.settings.clone();
    let mut further = Vec::<String>::new();
    let mut last = first.to_string();
    while further.len() < ERRORS_MAX && remove_error(&mut settings, &last) {
        match ProviderSettings::read(&config.kind, settings.clone()) {
            Ok(_) => break,
            Err(error) => last = error.to_string(),
        }
        let key = last.split([':', '.', '[']).next().unwrap_or_default();
        let is_about_stand_in = settings.contains_key(key) && !config.settings.contains_key(key);
        if is_about_stand_in {
            break;
        }
        further.push(with_place(config, &last));
    }
    let origin = config.setting_origins.find(&first.to_string()).map(|origin| format!("{origin}: "));
    let located = first.with_context(&format!("{}[providers.{}]", origin.unwrap_or_default(), config.name));
    further.iter().fold(located, |error, problem| error.with_more(problem))
}

fn with_place(config: &ProviderConfig, error: &str) -> String {
    let origin = config.setting_origins.find(error).map(|origin| format!("{origin}: "));
    format!("{}[providers.{}] {error}", origin.unwrap_or_default(), config.name)
}

/// Removes the cause of an error about a missing or unknown key. Returns false for an error of another kind.
fn remove_error(settings: &mut toml::Table, error: &str) -> bool {
    let quoted = |text: &str| text.split('`').nth(1).map(str::to_owned);
    if let Some(missing) = error.strip_prefix("missing field ").and_then(quoted) {
        return settings.insert(missing, toml::Value::from(STAND_IN)).is_none();
    }
    let Some((_, unknown)) = error.split_once("unknown field ") else {
        return false;
    };
    quoted(unknown).is_some_and(|unknown| settings.remove(&unknown).is_some())
}
