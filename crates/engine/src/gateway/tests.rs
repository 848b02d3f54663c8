use super::*;

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
