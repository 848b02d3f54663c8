//! The documents match the program: example configurations, commands, links and anchors.
//!
//! `tests/e2e/docs_walkthrough.rs` runs the commands of the quick start and the tutorials.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
// A test may stop at the first surprise.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::CommandFactory;
use postrider::cli::Cli;
use postrider_engine::config::{Config, Environment};
use postrider_providers::ProviderSettings;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Returns all Markdown files of the project.
fn documents() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = ["README", "ARCHITECTURE", "CONTRIBUTING", "SECURITY", "CHANGELOG"]
        .map(|name| root().join(format!("{name}.md")))
        .to_vec();
    let mut folders = vec![root().join("docs/src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                folders.push(entry);
            } else if entry.extension().is_some_and(|extension| extension == "md") {
                found.push(entry);
            }
        }
    }
    assert!(found.len() > 40, "only {} documents", found.len());
    found
}

/// Returns the fenced blocks of one language.
fn code_blocks(text: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    let block = |part: &str| part.split("```").next().unwrap_or_default().to_owned();
    text.split(&fence).skip(1).map(block).collect()
}

/// Returns a value for each variable that a configuration block reads.
fn environment_of(block: &str) -> Environment {
    let names = block.split("${env:").skip(1).map(|rest| rest.split('}').next().unwrap());
    let value = |name: &str| match name {
        "WEBHOOK_SECRET" => "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned(),
        _ => format!("secret-value-of-{}", name.to_lowercase()),
    };
    let values: Vec<(String, String)> = names.map(|name| (name.to_owned(), value(name))).collect();
    Environment::from_iter(values)
}

#[test]
fn every_configuration_in_the_documents_loads_and_its_providers_can_be_built() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("console.toml");
    let mut seen = 0;
    for document in documents() {
        for block in code_blocks(&read(&document), "toml") {
            // Keys and certificates in files are specific to an account.
            if block.lines().any(|line| !line.trim_start().starts_with('#') && line.contains("${file:")) {
                continue;
            }
            seen += 1;
            std::fs::write(&file, &block).unwrap();
            let loaded = Config::load(Some(&file), &environment_of(&block), &[]);
            let (config, warnings) =
                loaded.unwrap_or_else(|error| panic!("{}: {error}\n{block}", document.display()));
            assert!(warnings.is_empty(), "{}: {warnings:?}", document.display());
            assert_eq!(config.is_test_mode, !block.contains("[providers."));
            for provider in &config.providers {
                ProviderSettings::read(&provider.kind, provider.settings.clone())
                    .unwrap_or_else(|error| panic!("{}: {error}\n{block}", document.display()));
            }
        }
    }
    assert!(seen >= 10, "only {seen} configurations found");
}

#[test]
fn every_command_in_the_documents_exists() {
    let known = Cli::command();
    let mut seen = 0;
    for document in documents() {
        let text = read(&document);
        let in_text = text.split("`console ").skip(1);
        let in_blocks = code_blocks(&text, "sh").concat();
        let lines = in_blocks.lines().filter_map(|line| line.trim().strip_prefix("console "));
        for part in in_text.chain(lines) {
            let name = part.split(|c: char| c.is_whitespace() || c == '`').next().unwrap();
            if name.starts_with(['-', '…']) || name.chars().all(char::is_uppercase) {
                continue;
            }
            assert!(
                known.find_subcommand(name).is_some(),
                "{}: there is no `console {name}`",
                document.display()
            );
            seen += 1;
        }
    }
    assert!(seen >= 60, "only {seen} commands found");
}

/// Returns the anchors of a page, as forges and mdBook make them from headings.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let slug = |heading: &str| {
        let plain = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = plain.chars().filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    headings.map(slug).collect()
}

/// Returns the targets of the links and pictures outside code blocks.
fn link_targets(text: &str) -> Vec<String> {
    let prose: String = text.split("```").step_by(2).collect();
    prose.split("](").skip(1).filter_map(|rest| rest.split(')').next()).map(str::to_owned).collect()
}

/// Returns what is wrong with a link of a document, if anything.
fn link_fault(document: &Path, target: &str) -> Option<String> {
    if target.starts_with("http://") || target.starts_with("https://") {
        return None;
    }
    let (file, anchor) = target.split_once('#').map_or((target, None), |(file, anchor)| (file, Some(anchor)));
    let path = if file.is_empty() { document.to_owned() } else { document.parent().unwrap().join(file) };
    if !path.exists() {
        return Some(format!("{}: {target} does not exist", document.display()));
    }
    let anchor = anchor?;
    let is_known = anchors(&read(&path)).contains(anchor);
    (!is_known).then(|| format!("{}: {target} has no such heading", document.display()))
}

#[test]
fn every_relative_link_and_anchor_resolves() {
    let mut seen = 0;
    let mut faults = Vec::new();
    for document in documents() {
        for target in link_targets(&read(&document)) {
            seen += 1;
            faults.extend(link_fault(&document, &target));
        }
    }
    assert!(seen > 150, "only {seen} links found");
    assert_eq!(faults, Vec::<String>::new());
    assert!(link_fault(&root().join("README.md"), "docs/none.md").is_some());
    assert!(link_fault(&root().join("README.md"), "ARCHITECTURE.md#none").is_some());
}

#[test]
fn every_page_of_the_book_is_in_its_summary() {
    let book = root().join("docs/src");
    let summary = read(&book.join("SUMMARY.md"));
    for document in documents() {
        let Ok(page) = document.strip_prefix(&book) else {
            continue;
        };
        let page = page.to_string_lossy();
        if page != "SUMMARY.md" && !page.starts_with("decisions/0") {
            assert!(summary.contains(&format!("]({page})")), "SUMMARY.md lacks {page}");
        }
    }
}

#[test]
fn the_readme_fits_in_150_lines() {
    let lines = read(&root().join("README.md")).lines().count();
    assert!(lines <= 150, "{lines} lines");
}
