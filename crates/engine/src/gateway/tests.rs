use super::*;
use crate::config::Environment;

#[test]
fn an_error_in_provider_settings_names_the_table() {
    let clients = HttpClientPool::new().unwrap();
    let settings = toml::toml! { latencyy = "3ms" };
    for (kind, expected) in [("mock", "latencyy"), ("pigeon", "pigeon")] {
        let config = ProviderConfig::new("blue".parse().unwrap(), kind, settings.clone());
        let error = build_provider(&config, "http://127.0.0.1", "", &clients).err().unwrap().to_string();
        assert!(error.starts_with("[providers.blue] ") && error.contains(expected), "{error}");
    }
}

#[test]
fn all_missing_and_unknown_settings_of_a_provider_are_listed_with_their_lines() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("console.toml");
    let settings_error = |text: &str| {
        std::fs::write(&file, format!("{text}\n[channels.sms]\nproviders = [\"blue\"]\n")).unwrap();
        let (config, _) = Config::load(Some(&file), &Environment::default(), &[]).unwrap();
        let clients = HttpClientPool::new().unwrap();
        let error = build_provider(&config.providers[0], "http://127.0.0.1", "", &clients).err().unwrap();
        error.to_string().replace(&format!("{}/", folder.path().display()), "")
    };
    let twilio = settings_error("\n[providers.blue]\nkind = \"twilio\"\n");
    assert!(
        twilio.starts_with("console.toml line 2: [providers.blue] missing field `account_sid`; "),
        "{twilio}"
    );
    assert!(twilio.contains("line 2: [providers.blue] missing field `auth_token`"), "{twilio}");
    let http = settings_error(
        "[providers.blue]\nkind = \"http\"\nurl = \"http://127.0.0.1:9/\"\ntimeot = \"3s\"\nmethd = \"GET\"\n",
    );
    for expected in [
        "console.toml line 5: [providers.blue] methd: unknown field `methd`",
        "console.toml line 4: [providers.blue] timeot: unknown field `timeot`",
        "keys of every provider: kind, enabled, rate, concurrency, connect_timeout, timeout",
    ] {
        assert!(http.contains(expected), "{http}");
    }
    let wrong = settings_error("[providers.blue]\nkind = \"smtp\"\nhost = \"localhost\"\nport = \"x\"\n");
    assert!(wrong.starts_with("console.toml line 4: [providers.blue] port: "), "{wrong}");
}
