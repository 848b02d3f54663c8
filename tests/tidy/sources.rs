//! The tree as the rules see it: which files there are, and which of their lines are code that ships.

use std::path::{Path, PathBuf};

/// A rule: what is wrong with the text of a file, in words.
pub type TidyRule = fn(&str, &str) -> Vec<String>;

pub fn repository_root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file below, by its path from the root, without what is built or kept by git itself.
fn files_below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if !matches!(name.as_str(), "target" | ".git" | "proptest-regressions") {
                files_below(&path, found);
            }
        } else if !name.contains(".db") && name != ".git" {
            found.push(path);
        }
    }
}

/// Path and text of every text file whose path passes.
pub fn text_files(wanted: impl Fn(&str) -> bool) -> Vec<(String, String)> {
    let mut found = Vec::new();
    files_below(repository_root(), &mut found);
    found.sort();
    found
        .into_iter()
        .map(|path| {
            (
                path.strip_prefix(repository_root())
                    .unwrap()
                    .display()
                    .to_string(),
                path,
            )
        })
        .filter(|(shown, _)| wanted(shown))
        .filter_map(|(shown, path)| Some((shown, std::fs::read_to_string(path).ok()?)))
        .collect()
}

pub fn is_source(path: &str) -> bool {
    path.starts_with("src/") && path.ends_with(".rs")
}

pub fn is_rust(path: &str) -> bool {
    path.ends_with(".rs")
}

pub fn expect_no_violations(wanted: impl Fn(&str) -> bool, rule: TidyRule) {
    let texts = text_files(wanted);
    assert!(!texts.is_empty(), "this rule looks at no file at all");
    let faults: Vec<String> = texts
        .iter()
        .flat_map(|(path, text)| {
            rule(path, text)
                .into_iter()
                .map(move |fault| format!("{path}: {fault}"))
        })
        .collect();
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

/// Whether a file holds nothing but tests.
pub fn is_test_file(path: &str, text: &str) -> bool {
    let parts = path.trim_end_matches(".rs").split('/');
    parts
        .into_iter()
        .any(|part| matches!(part, "tests" | "contract" | "stub"))
        || text.contains("#![cfg(test)]")
}

/// Numbered lines (from 1) outside comments and outside what is compiled for tests only.
pub fn code_lines<'a>(path: &str, text: &'a str) -> Vec<(usize, &'a str)> {
    if is_test_file(path, text) {
        return Vec::new();
    }
    let mut lines = text.lines().enumerate();
    let mut kept = Vec::new();
    while let Some((index, line)) = lines.next() {
        if line.trim() == "#[cfg(test)]" {
            skip_item(&mut lines);
        } else if !line.trim_start().starts_with("//") {
            kept.push((index + 1, line));
        }
    }
    kept
}

/// Skips an item with its attributes; rustfmt has put its last brace below its first letter.
fn skip_item<'a>(lines: &mut impl Iterator<Item = (usize, &'a str)>) {
    let mut end = None;
    for (_, line) in lines {
        match &end {
            None if line.trim_start().starts_with("#[") => {}
            None if line.ends_with(';') => return,
            None if line.ends_with('}') => return,
            None => end = Some(format!("{}}}", indent(line))),
            Some(end) if line == end => return,
            Some(_) => {}
        }
    }
}

pub fn indent(line: &str) -> &str {
    &line[..line.len() - line.trim_start().len()]
}

/// The identifier a text begins with.
pub fn leading_identifier(text: &str) -> String {
    text.chars()
        .take_while(|letter| letter.is_alphanumeric() || *letter == '_')
        .collect()
}
