//! The README matches the program: settings table, example configuration with its providers, and commands.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
// Tests may panic.

use clap::CommandFactory;
use postrider::cli::Cli;
use postrider_engine::config::{Config, Environment, keys};
use postrider_providers::ProviderSettings;

fn readme() -> String {
    std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap()
}

/// Returns the fenced code blocks of a language.
fn code_blocks(text: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    let block = |part: &str| part.split("```").next().unwrap_or_default().to_owned();
    text.split(&fence).skip(1).map(block).collect()
}

#[test]
fn the_settings_table_equals_the_code() {
    let table = keys::markdown_table();
    assert!(
        readme().contains(table.trim()),
        "README.md must contain:\n{table}"
    );
}

#[test]
fn the_example_configuration_loads() {
    let folder = tempfile::tempdir().unwrap();
    let blocks = code_blocks(&readme(), "toml");
    assert!(!blocks.is_empty());
    for block in blocks {
        let file = folder.path().join("console.toml");
        std::fs::write(&file, &block).unwrap();
        let environment = Environment::from([("BLUE_TOKEN", "secret")]);
        let (config, warnings) = Config::load(Some(&file), &environment, &[]).unwrap();
        assert!(warnings.is_empty(), "{warnings:?}");
        assert_eq!(config.is_test_mode, !block.contains("[providers."));
        for provider in &config.providers {
            ProviderSettings::read(&provider.kind, provider.settings.clone()).unwrap();
        }
    }
}

#[test]
fn the_commands_exist() {
    let cli = Cli::command();
    let text = readme();
    let mut seen = 0;
    for part in text.split("`console ").skip(1) {
        let word = part
            .split(|letter: char| letter.is_whitespace() || letter == '`')
            .next()
            .unwrap();
        assert!(
            cli.find_subcommand(word).is_some(),
            "unknown command `console {word}`"
        );
        seen += 1;
    }
    assert!(
        seen >= 10,
        "only {seen} commands found; has the format of the README changed?"
    );
}
