//! Tests of the configuration table: variable names, uniqueness, and Markdown.

use super::*;

#[test]
fn environment_names_follow_one_rule() {
    let name = |path| find_config_key(path).unwrap().environment_variable();
    assert_eq!(name("listen").as_deref(), Some("POSTRIDER_LISTEN"));
    assert_eq!(name("store.url").as_deref(), Some("POSTRIDER_STORE_URL"));
    assert_eq!(
        name("limits.body_bytes_max").as_deref(),
        Some("POSTRIDER_LIMITS_BODY_BYTES_MAX")
    );
    assert_eq!(name("channels.NAME.strategy"), None);
    assert_eq!(name("keys.name"), None);
}

#[test]
fn no_path_and_no_variable_occurs_twice() {
    let mut seen = std::collections::BTreeSet::new();
    for row in CONFIG_KEYS {
        assert!(seen.insert(row.path.to_owned()), "{}", row.path);
        if let Some(name) = row.environment_variable() {
            assert!(seen.insert(name.clone()), "{name}");
        }
    }
}

#[test]
fn the_readme_table_has_a_line_for_each_key() {
    assert_eq!(markdown_table().lines().count(), CONFIG_KEYS.len() + 2);
    assert!(markdown_table().contains("| `work.lease` | `POSTRIDER_WORK_LEASE` | `60s` | duration |"));
}
