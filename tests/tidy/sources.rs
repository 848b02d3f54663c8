//! The files of the repository, and the lines of a source file that are part of the product.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// A rule: returns the violations in the text of a file.
pub type TidyRule = fn(&str, &str) -> Vec<String>;

pub fn repository_root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Collects all files below a folder except build output, databases and Git's own files.
fn files_below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if !matches!(name.as_str(), "target" | ".git" | "node_modules" | "proptest-regressions") {
                files_below(&path, found);
            }
        } else if !name.contains(".db") && name != ".git" {
            found.push(path);
        }
    }
}

/// Returns relative path and text of every text file whose path is selected.
pub fn text_files(is_selected: impl Fn(&str) -> bool) -> Vec<(String, String)> {
    let mut found = Vec::new();
    files_below(repository_root(), &mut found);
    found.sort();
    let relative = |path: &PathBuf| path.strip_prefix(repository_root()).unwrap().display().to_string();
    found
        .into_iter()
        .map(|path| (relative(&path), path))
        .filter(|(shown, _)| is_selected(shown))
        .filter_map(|(shown, path)| Some((shown, std::fs::read_to_string(path).ok()?)))
        .collect()
}

/// Returns whether the file is product or unit test source of the program or of a crate.
pub fn is_source(path: &str) -> bool {
    source_root(path).is_some() && path.ends_with(".rs")
}

/// Returns the `src` folder of the crate that a source file belongs to.
pub fn source_root(path: &str) -> Option<&str> {
    if path.starts_with("src/") {
        return Some("src");
    }
    let inside = path.strip_prefix("crates/")?;
    let end = "crates/".len() + inside.find("/src/")? + "/src".len();
    path.get(..end)
}

pub fn is_rust(path: &str) -> bool {
    path.ends_with(".rs")
}

pub fn expect_no_violations(is_selected: impl Fn(&str) -> bool, rule: TidyRule) {
    let texts = text_files(is_selected);
    assert!(!texts.is_empty(), "the rule selects no file");
    let violations: Vec<String> = texts
        .iter()
        .flat_map(|(path, text)| {
            rule(path, text).into_iter().map(move |violation| format!("{path}: {violation}"))
        })
        .collect();
    assert!(violations.is_empty(), "\n{}", violations.join("\n"));
}

/// Returns whether a file is compiled for tests only.
pub fn is_test_file(path: &str, text: &str) -> bool {
    let stem = path.trim_end_matches(".rs");
    let mut parents = stem.match_indices('/').map(|(end, _)| &stem[..end]);
    stem.split('/').any(|part| part == "tests")
        || text.contains("#![cfg(test)]")
        || test_modules().contains(stem)
        || parents.any(|parent| test_modules().contains(parent))
}

/// Modules that their parent declares with `cfg(test)` or the feature `testing`, as paths without `.rs`.
fn test_modules() -> &'static BTreeSet<String> {
    static MODULES: OnceLock<BTreeSet<String>> = OnceLock::new();
    MODULES.get_or_init(|| {
        let sources = text_files(is_source);
        sources.iter().flat_map(|(path, text)| declared_test_modules(path, text)).collect()
    })
}

fn declared_test_modules(path: &str, text: &str) -> Vec<String> {
    let folder = child_folder(path);
    let mut modules = Vec::new();
    let mut is_test_only = false;
    for line in text.lines().map(str::trim) {
        if is_test_attribute(line) {
            is_test_only = true;
        } else if !line.starts_with("#[") && !line.starts_with("//") {
            let name = line.split("mod ").nth(1).and_then(|rest| rest.strip_suffix(';'));
            modules.extend(name.filter(|_| is_test_only).map(|name| format!("{folder}/{name}")));
            is_test_only = false;
        }
    }
    modules
}

fn is_test_attribute(line: &str) -> bool {
    line.starts_with("#[cfg(")
        && (line.contains("test)") || line.contains("test,") || line.contains("\"testing\""))
        && !line.contains("not(")
}

/// Returns the folder of the child modules of a source file.
pub fn child_folder(path: &str) -> String {
    let stem = path.trim_end_matches(".rs");
    let is_root = ["/lib", "/main"].iter().any(|root| stem.ends_with(root));
    match stem.rsplit_once('/') {
        Some((folder, _)) if is_root => folder.to_owned(),
        _ => stem.to_owned(),
    }
}

/// Returns the numbered lines (from 1) that are neither comments nor compiled for tests only.
pub fn code_lines<'a>(path: &str, text: &'a str) -> Vec<(usize, &'a str)> {
    if is_test_file(path, text) {
        return Vec::new();
    }
    let mut lines = text.lines().enumerate();
    let mut kept = Vec::new();
    while let Some((index, line)) = lines.next() {
        if is_test_attribute(line.trim()) {
            skip_item(&mut lines);
        } else if !line.trim_start().starts_with("//") {
            kept.push((index + 1, line));
        }
    }
    kept
}

/// Skips an item with its attributes. rustfmt aligns the closing brace of an item with its first letter.
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

/// Returns the identifier at the start of a text.
pub fn leading_identifier(text: &str) -> String {
    text.chars().take_while(|character| character.is_alphanumeric() || *character == '_').collect()
}
