//! Tests of the configuration table: variable names, uniqueness, and Markdown.

use super::*;

#[test]
fn environment_variables_follow_from_the_paths() {
    let name = |path| find_config_key(path).unwrap().environment_variable();
    assert_eq!(name("listen").as_deref(), Some("POSTRIDER_LISTEN"));
    assert_eq!(name("store.url").as_deref(), Some("POSTRIDER_STORE_URL"));
    assert_eq!(name("limits.body_bytes_max").as_deref(), Some("POSTRIDER_LIMITS_BODY_BYTES_MAX"));
    assert_eq!(name("channels.NAME.strategy"), None);
    assert_eq!(name("keys.name"), None);
}

#[test]
fn paths_and_variables_are_unique() {
    let mut seen = std::collections::BTreeSet::new();
    for key in CONFIG_KEYS {
        assert!(seen.insert(key.path.to_owned()), "{}", key.path);
        if let Some(name) = key.environment_variable() {
            assert!(seen.insert(name.clone()), "{name}");
        }
    }
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
