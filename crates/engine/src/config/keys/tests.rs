//! Tests of the configuration table: variable names, uniqueness, and Markdown.

use super::*;

#[test]
fn environment_variables_follow_from_the_paths() {
    let variable_of = |path| find_config_key(path).unwrap().environment_variable();
    assert_eq!(variable_of("listen").as_deref(), Some("POSTRIDER_LISTEN"));
    assert_eq!(variable_of("store.url").as_deref(), Some("POSTRIDER_STORE_URL"));
    assert_eq!(variable_of("limits.body_bytes_max").as_deref(), Some("POSTRIDER_LIMITS_BODY_BYTES_MAX"));
    assert_eq!(variable_of("channels.NAME.strategy"), None);
    assert_eq!(variable_of("keys.name"), None);
}

#[test]
fn paths_and_variables_are_unique() {
    let mut seen_texts = std::collections::BTreeSet::new();
    for key in CONFIG_KEYS {
        assert!(seen_texts.insert(key.path.to_owned()), "{}", key.path);
        if let Some(variable) = key.environment_variable() {
            assert!(seen_texts.insert(variable.clone()), "{variable}");
        }
    }
}

/// Returns the unit or the choices of a value, for the documentation.
fn unit(kind: ValueKind) -> String {
    match kind {
        ValueKind::Text => "text".to_owned(),
        ValueKind::Choice(words) => words.join(", "),
        ValueKind::Flag => "true, false".to_owned(),
        ValueKind::Count(..) => "count".to_owned(),
        ValueKind::Bytes(..) => "bytes".to_owned(),
        ValueKind::Number => "number".to_owned(),
        ValueKind::Duration => "duration".to_owned(),
        ValueKind::DurationOrNever => "duration, never".to_owned(),
        ValueKind::List => "list".to_owned(),
        ValueKind::Weights => "table".to_owned(),
    }
}

/// Returns the configuration table of docs/src/configuration.md, in Markdown.
fn markdown_table() -> String {
    let code = |cell: &str| if cell.is_empty() { String::new() } else { format!("`{cell}`") };
    let mut markdown =
        String::from("| key | environment | default | unit | meaning |\n|---|---|---|---|---|\n");
    for key in CONFIG_KEYS {
        let (path, default) = (code(key.path), code(key.default));
        let variable = code(&key.environment_variable().unwrap_or_default());
        let (unit, description) = (unit(key.kind), key.description);
        markdown.push_str(&format!("| {path} | {variable} | {default} | {unit} | {description} |\n"));
    }
    markdown
}

#[test]
fn the_markdown_table_has_five_columns_for_each_key() {
    let table = markdown_table();
    assert_eq!(table.lines().count(), CONFIG_KEYS.len() + 2);
    for line in table.lines() {
        let columns = line.replace("\\|", "").matches('|').count() - 1;
        assert_eq!(columns, 5, "{line}");
    }
    assert!(table.contains("| `work.lease` | `POSTRIDER_WORK_LEASE` | `60s` | duration |"));
}

#[test]
fn the_table_of_the_documentation_equals_the_code() {
    assert!(
        include_str!("../../../../../docs/src/configuration.md").contains(&markdown_table()),
        "docs/src/configuration.md must contain:\n{}",
        markdown_table()
    );
}
