//! Tests of the settings.

use super::*;

#[test]
fn invalid_settings_are_rejected_with_the_remedy_and_without_secrets() {
    let whole = service_account_json();
    let without = |field: &str| {
        let mut account: Value = serde_json::from_str(&whole).unwrap();
        account.as_object_mut().unwrap().remove(field);
        account.to_string()
    };
    let broken_key = whole.replace("BEGIN PRIVATE", "BEGIN BROKEN");
    for (account, overrides, expected) in [
        ("service-account.json".to_owned(), "", "service_account: is not JSON; write"),
        (without("private_key"), "", "service_account: has no private_key"),
        (without("client_email"), "", "service_account: has no client_email"),
        (without("project_id"), "", "service_account: has no project_id"),
        (without("token_uri"), "", "service_account: has no token_uri"),
        (broken_key, "", "its private_key is not a private key in PEM"),
        (whole.clone(), "[data]\ngoogle.a = \"b\"", "data"),
        (whole.clone(), "[data]\ngw_id = \"b\"", "data.gw_id"),
        (whole.clone(), "base_url = \"fcm\"", "base_url: invalid base URL"),
        (whole.clone(), "titel = \"a\"", "titel"),
    ] {
        let mut table: toml::Table = overrides.parse().unwrap();
        table.insert("service_account".to_owned(), toml::Value::from(account));
        let error = FcmSettings::read(table).err().unwrap().to_string();
        assert!(error.contains(expected), "{error}");
        assert!(!error.contains("sender@demo"), "{error}");
    }
    let table =
        toml::Table::from_iter([("service_account".to_owned(), toml::Value::from(service_account_json()))]);
    let shown = format!("{:?}", crate::ProviderSettings::read("fcm", table).unwrap());
    assert!(!shown.contains("PRIVATE"), "{shown}");
}
