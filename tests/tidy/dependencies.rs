//! Which module may use which: the arrows of ARCHITECTURE.md, checked over every `crate::` path.

use super::sources::{code_lines, expect_no_violations, is_source, leading_identifier};

/// Modules that everybody may use.
const SHARED_MODULES: [&str; 5] = ["error", "clock", "dice", "metrics", "request_origin"];

/// What a module may use beside [`FOR_ALL`] and itself.
fn allowed_dependencies(module: &str) -> Option<&'static [&'static str]> {
    Some(match module {
        "main" | "lib" => &["cli", "commands", "config", "http", "flow", "gateway", "domain"],
        "commands" => &[
            "cli", "config", "http", "flow", "gateway", "store", "queue", "cache", "provider", "domain",
            "sandbox",
        ],
        // Stands for the outside world, so it may share nothing with what it is to try.
        "sandbox" => &["config"],
        "cli" => &["config", "domain"],
        "http" => &[
            "config", "flow", "gateway", "store", "queue", "cache", "provider", "domain",
        ],
        "flow" => &[
            "config", "gateway", "store", "queue", "cache", "provider", "domain",
        ],
        "gateway" => &["config", "store", "queue", "cache", "provider", "domain"],
        "config" => &["provider", "domain"],
        "store" | "queue" | "cache" | "provider" => &["domain"],
        "domain" | "error" | "clock" | "dice" | "metrics" | "request_origin" => &[],
        _ => return None,
    })
}

/// The top-level module a source file belongs to.
fn module_of(path: &str) -> &str {
    let inside = path.strip_prefix("src/").unwrap_or(path);
    inside.split(['/', '.']).next().unwrap_or(inside)
}

/// The top-level modules a piece of code names, as `crate::a::b` or `crate::{a, b::c}`.
fn referenced_modules(code: &str) -> Vec<String> {
    let mut named = Vec::new();
    for root in ["crate::", "postrider::"] {
        for (at, _) in code.match_indices(root) {
            let before = code[..at].chars().next_back();
            if before.is_some_and(|before| before.is_alphanumeric() || before == '_' || before == '$') {
                continue;
            }
            let rest = &code[at + root.len()..];
            match rest.strip_prefix('{') {
                Some(group) => named.extend(group_heads(group)),
                None => named.push(leading_identifier(rest)),
            }
        }
    }
    named
}

/// The first words inside `{a, b::{c, d}, e}`, with the opening brace gone.
fn group_heads(group: &str) -> Vec<String> {
    let mut depth = 0;
    let mut heads = vec![String::new()];
    for letter in group.chars() {
        match letter {
            '}' if depth == 0 => break,
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => heads.push(String::new()),
            _ => {}
        }
        if let Some(head) = heads.last_mut() {
            head.push(letter);
        }
    }
    let words = heads
        .iter()
        .map(|head| leading_identifier(head.trim_start_matches([',', ' ', '\n'])));
    words.filter(|word| !word.is_empty()).collect()
}

fn forbidden_dependencies(path: &str, text: &str) -> Vec<String> {
    let from = module_of(path);
    let Some(allowed) = allowed_dependencies(from) else {
        return vec![format!(
            "the module {from} has no place among the arrows; give it one in tests/tidy.rs"
        )];
    };
    let code: Vec<&str> = code_lines(path, text).into_iter().map(|(_, line)| line).collect();
    let wrong = referenced_modules(&code.join("\n"))
        .into_iter()
        .filter(|to| to != from && allowed_dependencies(to).is_some())
        .filter(|to| !allowed.contains(&to.as_str()))
        .filter(|to| from == "domain" || !SHARED_MODULES.contains(&to.as_str()));
    wrong.map(|to| format!("{from} must not use {to}")).collect()
}

#[test]
fn arrows_point_one_way() {
    expect_no_violations(is_source, forbidden_dependencies);
}

#[test]
fn a_wrong_arrow_would_be_seen() {
    for (path, text) in [
        ("src/domain/message.rs", "use postrider_store::Store;"),
        ("src/domain/message.rs", "use postrider_core::clock;"),
        (
            "src/store/sqlite.rs",
            "use crate::{error::Result, queue::{self, Queue}};",
        ),
        ("src/queue/redis.rs", "let now = postrider_cache::open();"),
        ("src/flow/accept.rs", "use postrider_server::problem;"),
        (
            "src/config/load.rs",
            "use crate::{\n    error::Result,\n    gateway::Gateway,\n};",
        ),
        ("src/sandbox/twilio.rs", "use postrider_providers::sms;"),
        ("src/http/native.rs", "use postrider_loadgen::sandbox::FATES;"),
        ("src/novelty.rs", ""),
    ] {
        assert_eq!(forbidden_dependencies(path, text).len(), 1, "{path}: {text}");
    }
    for (path, text) in [
        (
            "src/flow/accept.rs",
            "use crate::{clock, gateway::Gateway};\nuse postrider_core::id::MessageId;",
        ),
        (
            "src/domain/message.rs",
            "// use postrider_store as store;\n#[cfg(test)]\nmod tests {\n    use postrider_core::clock;\n}",
        ),
        ("src/main.rs", "use postrider::commands;"),
    ] {
        assert_eq!(forbidden_dependencies(path, text), Vec::<String>::new(), "{path}");
    }
}
