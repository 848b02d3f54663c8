//! Rules of the code base as tests: module cycles, sizes, module comments, language, names, SQL files, forbidden texts.
//!
//! A rule is a function from path and text of a file to its violations, and is itself tested with a bad sample.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]
// Tests may panic.

#[path = "tidy/language.rs"]
mod language;
#[path = "tidy/module_cycles.rs"]
mod module_cycles;
#[path = "tidy/sources.rs"]
mod sources;

use std::path::Path;

use sources::{
    code_lines, expect_no_violations, indent, is_rust, is_source, is_test_file, leading_identifier,
    repository_root, text_files,
};

const FILE_LINES_MAX: usize = 500;
const FUNCTION_LINES_MAX: usize = 70;

fn file_too_long(_path: &str, text: &str) -> Vec<String> {
    let lines = text.lines().count();
    if lines > FILE_LINES_MAX {
        vec![format!("{lines} lines, more than {FILE_LINES_MAX}: split it")]
    } else {
        Vec::new()
    }
}

#[test]
fn no_file_is_too_long() {
    expect_no_violations(is_rust, file_too_long);
    assert_eq!(file_too_long("src/a.rs", &"line\n".repeat(501)).len(), 1);
}

fn is_function(line: &str) -> bool {
    let mut words = line.split_whitespace();
    let qualifiers = ["pub", "pub(super)", "pub(crate)", "async", "const"];
    words.find(|word| !qualifiers.contains(word)) == Some("fn")
}

fn functions_too_long(path: &str, text: &str) -> Vec<String> {
    let code = code_lines(path, text);
    let mut violations = Vec::new();
    for (start, line) in code.iter().filter(|(_, line)| is_function(line)) {
        let indent = indent(line);
        let (end, signature_end) = (format!("{indent}}}"), format!("{indent})"));
        // A trait method without a body ends with its signature.
        let is_end = |line: &str| line == end || line.starts_with(&signature_end) && line.ends_with(';');
        let last = code.iter().find(|(at, line)| at > start && is_end(line));
        let lines = last.map_or(1, |(last, _)| last - start + 1);
        if lines > FUNCTION_LINES_MAX && !line.ends_with(';') {
            violations.push(format!("line {start}: function of {lines} lines"));
        }
    }
    violations
}

#[test]
fn no_function_is_too_long() {
    expect_no_violations(is_source, functions_too_long);
    let long = format!("impl A {{\n    pub async fn b() {{\n{}    }}\n}}\n", "        c();\n".repeat(70));
    assert_eq!(functions_too_long("src/a.rs", &long).len(), 1);
    let declared =
        format!("trait A {{\n    fn b(\n        c: D,\n    ) -> E;\n{}}}\n", "    fn f();\n".repeat(70));
    for short in ["fn a() {\n    b();\n}\n", &declared] {
        assert_eq!(functions_too_long("src/a.rs", short), Vec::<String>::new());
    }
}

fn missing_module_comment(path: &str, text: &str) -> Vec<String> {
    if is_test_file(path, text) {
        return Vec::new();
    }
    let opening = text.lines().take_while(|line| line.starts_with("//!")).count();
    if opening < 1 { vec!["must begin with a module comment (//!)".to_owned()] } else { Vec::new() }
}

#[test]
fn every_file_begins_with_a_module_comment() {
    expect_no_violations(is_source, missing_module_comment);
    assert_eq!(missing_module_comment("src/a.rs", "use b;\n").len(), 1);
    assert_eq!(missing_module_comment("src/a.rs", "use b;\n//! Late.\n//! Too late.\n").len(), 1);
}

fn panicking_calls(path: &str, text: &str) -> Vec<String> {
    let calls = [".unwrap()", ".expect(", "panic!(", "unreachable!(", "process::exit("];
    let lines = code_lines(path, text).into_iter();
    let panicking = lines.filter(|(_, line)| calls.iter().any(|call| line.contains(call)));
    panicking.map(|(at, line)| format!("line {at}: {}", line.trim())).collect()
}

#[test]
fn product_code_does_not_panic() {
    expect_no_violations(is_source, panicking_calls);
    assert_eq!(panicking_calls("src/a.rs", "let a = b.unwrap();\n").len(), 1);
    let tested = "#[cfg(test)]\nmod tests {\n    fn a() {\n        b.unwrap();\n    }\n}\n";
    assert_eq!(panicking_calls("src/a.rs", tested), Vec::<String>::new());
    assert_eq!(panicking_calls("src/a.rs", &format!("{tested}\nc.expect(\"d\");\n")).len(), 1);
}

/// Words that make a name vague at any position.
const VAGUE_WORDS: [&str; 6] = ["util", "utils", "helper", "helpers", "manager", "common"];

/// Words that make a name vague at its start.
const VAGUE_PREFIXES: [&str; 4] = ["data", "info", "process", "handle"];

/// Names of operating-system processes.
const PROCESS_NAMES: [&str; 4] = ["process_id", "process_kills", "process_name", "process_tree"];

fn is_vague_name(name: &str) -> bool {
    if PROCESS_NAMES.contains(&name) {
        return false;
    }
    let mut words = name.split('_');
    let first = words.clone().next().unwrap_or_default();
    VAGUE_PREFIXES.contains(&first) || words.any(|word| VAGUE_WORDS.contains(&word))
}

fn vague_names(path: &str, text: &str) -> Vec<String> {
    let stem = Path::new(path).file_stem().unwrap().to_string_lossy();
    let mut violations = Vec::new();
    if is_vague_name(&stem) {
        violations.push("the file name is vague".to_owned());
    }
    for (index, line) in text.lines().enumerate().filter(|(_, line)| is_function(line)) {
        let name = line.split("fn ").nth(1).map(leading_identifier).unwrap_or_default();
        if is_vague_name(&name) {
            violations.push(format!("line {}: the name {name} is vague", index + 1));
        }
    }
    violations
}

#[test]
fn names_are_not_vague() {
    expect_no_violations(is_rust, vague_names);
    assert_eq!(vague_names("src/utils.rs", "").len(), 1);
    assert_eq!(vague_names("src/a.rs", "    pub async fn handle_request(b: C) {").len(), 1);
    assert_eq!(vague_names("src/a.rs", "fn of_process() {"), Vec::<String>::new());
}

/// Crates that the sandbox server must not share code with, because it tests them.
const SUBJECTS_OF_SANDBOX: [&str; 5] =
    ["postrider_engine", "postrider_providers", "postrider_store", "postrider_queue", "postrider_cache"];

fn shared_with_subject(path: &str, text: &str) -> Vec<String> {
    let lines = code_lines(path, text).into_iter();
    let shared = lines.filter(|(_, line)| SUBJECTS_OF_SANDBOX.iter().any(|name| line.contains(name)));
    shared.map(|(at, line)| format!("line {at}: {}", line.trim())).collect()
}

#[test]
fn the_sandbox_server_shares_no_code_with_what_it_tests() {
    let folder = "crates/loadgen/src/sandbox_server";
    expect_no_violations(|path| path.starts_with(folder), shared_with_subject);
    let path = format!("{folder}/twilio.rs");
    assert_eq!(shared_with_subject(&path, "use postrider_providers::sms;").len(), 1);
    assert_eq!(shared_with_subject(&path, "use postrider_core::clock;"), Vec::<String>::new());
}

fn misplaced_tests(path: &str, text: &str) -> Vec<String> {
    let mut violations = Vec::new();
    if path.ends_with("/mod.rs") {
        violations.push("name the file after its module, beside its folder".to_owned());
    }
    if text.lines().any(|line| line.trim_end() == "mod tests {") {
        violations.push("move the tests to a file tests.rs in the folder of the module".to_owned());
    }
    violations
}

#[test]
fn unit_tests_are_in_a_file_beside_their_module() {
    expect_no_violations(is_source, misplaced_tests);
    assert_eq!(misplaced_tests("src/a.rs", "#[cfg(test)]\nmod tests {\n}\n").len(), 1);
    assert_eq!(misplaced_tests("src/a/mod.rs", "").len(), 1);
    assert_eq!(misplaced_tests("src/a.rs", "#[cfg(test)]\nmod tests;\n"), Vec::<String>::new());
}

fn stray_sql(path: &str, text: &str) -> Vec<String> {
    let verbs = ["SELECT ", "INSERT INTO ", "\"UPDATE ", "DELETE FROM ", "CREATE TABLE "];
    let lines = code_lines(path, text).into_iter();
    let stray = lines.filter(|(_, line)| verbs.iter().any(|verb| line.contains(verb)));
    stray.map(|(at, line)| format!("line {at}: {}", line.trim())).collect()
}

#[test]
fn sql_is_in_sql_files() {
    expect_no_violations(is_source, stray_sql);
    assert_eq!(stray_sql("crates/store/src/a.rs", "run(\"SELECT id FROM message\")").len(), 1);
}

/// Returns whether a source embeds this SQL file, by its path or as `sql!("BACKEND/SUBJECT/NAME")`.
///
/// The list of statements that both backends have names only `SUBJECT/NAME`. A file of the same name in another subject
/// does not count.
fn is_used(sql: &str, sources: &[(String, String)]) -> bool {
    let name = sql.trim_start_matches("sql/").trim_end_matches(".sql");
    let shared_name = name.split_once('/').map_or(name, |(_, rest)| rest);
    let forms = [format!("{sql}\""), format!("sql!(\"{name}\")")];
    let shared_forms = [format!("\"{shared_name}\""), format!("\"/{shared_name}.sql\"")];
    sources.iter().any(|(path, text)| {
        forms.iter().any(|form| text.contains(form))
            || path.ends_with("copy/statements.rs") && shared_forms.iter().any(|form| text.contains(form))
    })
}

#[test]
fn every_sql_file_is_used() {
    let sources = text_files(is_source);
    let unused: Vec<String> = text_files(|path| path.starts_with("sql/") && path.ends_with(".sql"))
        .into_iter()
        .map(|(path, _)| path)
        .filter(|path| !is_used(path, &sources))
        .collect();
    assert_eq!(unused, Vec::<String>::new());
    assert!(!is_used(
        "sql/sqlite/forgotten.sql",
        &[("src/a.rs".to_owned(), "include_str!(\"b.sql\")".to_owned())]
    ));
}

/// Machine paths and hosts of registries, each split in two so that this file does not contain them.
const FORBIDDEN_TEXTS: [(&str, &str); 10] = [
    ("/wo", "rk/"),
    ("/fa", "rm/"),
    ("/ro", "ot/"),
    ("static.crates", ".io"),
    ("index.crates", ".io"),
    ("registry.npm", "js"),
    ("pypi", ".org"),
    ("python", "hosted"),
    ("deb.debian", ".org"),
    ("arti", "factory"),
];

fn forbidden_texts(_path: &str, text: &str) -> Vec<String> {
    let found = FORBIDDEN_TEXTS.iter().map(|(start, end)| format!("{start}{end}"));
    found.filter(|part| mentions(text, part)).map(|part| format!("contains {part}")).collect()
}

/// Returns whether a text contains a part; a path counts only at its start: `/a/b/` is not in `x/a/b/`.
fn mentions(text: &str, part: &str) -> bool {
    text.match_indices(part).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        !part.starts_with('/')
            || !before.is_some_and(|before| before.is_alphanumeric() || "._-".contains(before))
    })
}

#[test]
fn no_file_contains_a_machine_path_or_a_registry() {
    expect_no_violations(|path| path != "Cargo.lock", forbidden_texts);
    let path = ["cd /wo", "rk/main"].concat();
    assert_eq!(forbidden_texts("start.sh", &path).len(), 1);
    assert_eq!(forbidden_texts("a.md", "https://example.org/network/a"), Vec::<String>::new());
}

#[test]
fn the_files_a_newcomer_expects_exist() {
    let missing: Vec<&str> = [
        "README.md",
        "ARCHITECTURE.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "LICENSE",
        "LICENSE-MIT",
        "LICENSE-APACHE",
        "start.sh",
        "crontab.example",
        "docker-compose.yml",
        "Dockerfile",
        "console.example.toml",
        ".ci/run",
    ]
    .into_iter()
    .filter(|name| !repository_root().join(name).exists())
    .collect();
    assert_eq!(missing, Vec::<&str>::new());
}

#[test]
fn scripts_are_executable() {
    use std::os::unix::fs::PermissionsExt;
    for script in ["start.sh", ".ci/run"] {
        let mode = std::fs::metadata(repository_root().join(script)).unwrap().permissions().mode();
        assert_eq!(mode & 0o111, 0o111, "{script} is not executable");
    }
}
