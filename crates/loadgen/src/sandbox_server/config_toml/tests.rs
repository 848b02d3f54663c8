use super::*;
use postrider_engine::config::{Config, Environment};
use postrider_providers::ProviderSettings;

#[test]
fn the_printed_configuration_loads() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("console.toml");
    let text = render("0.0.0.0:8090".parse().unwrap(), "http://127.0.0.1:8080", "t-1");
    assert!(text.contains("base_url = \"http://127.0.0.1:8090\""), "{text}");
    std::fs::write(&file, &text).unwrap();
    let (config, warnings) = Config::load(Some(&file), &Environment::default(), &[]).unwrap();
    assert_eq!(warnings, Vec::<String>::new());
    assert_eq!(config.providers.len(), SandboxApi::ALL.len());
    for provider in &config.providers {
        ProviderSettings::read(&provider.kind, provider.settings.clone()).unwrap();
    }
}
