//! Comments are plain technical English: no persons for programs, no question clauses, no replaced terms.

use super::sources::{expect_no_violations, is_rust};

/// Pronouns that stand for a person, which a program or function is not.
const PERSONS: [&str; 6] = ["who", "whoever", "nobody", "somebody", "anybody", "everybody"];

/// Clauses that do not say what an item is or does, at the start of a doc comment.
const CLAUSE_STARTS: [&str; 5] = ["What ", "Whether ", "Who ", "How long ", "How many "];

/// Home-made terms that the glossary replaced, as phrases that have no other meaning.
const REPLACED_TERMS: [&str; 10] = [
    "nudge",
    "put to rest",
    "called off",
    "call off",
    "brought up to date",
    "invented",
    "only plays",
    "really leaves",
    "in hand",
    "handed over",
];

fn language_violations(_path: &str, text: &str) -> Vec<String> {
    let comments = text.lines().enumerate().filter_map(|(index, line)| Some((index + 1, comment_of(line)?)));
    comments
        .flat_map(|(number, comment)| {
            violations_of(comment).into_iter().map(move |violation| format!("line {number}: {violation}"))
        })
        .collect()
}

/// Returns the text of a comment line with its marker.
fn comment_of(line: &str) -> Option<&str> {
    let line = line.trim_start();
    line.starts_with("//").then_some(line)
}

fn violations_of(comment: &str) -> Vec<String> {
    let lower = comment.to_lowercase();
    let words: Vec<&str> =
        lower.split(|character: char| !character.is_alphanumeric() && character != '\'').collect();
    let persons = PERSONS
        .iter()
        .filter(|person| words.contains(person))
        .map(|person| format!("\"{person}\": name the process, function or host"));
    let terms = REPLACED_TERMS
        .iter()
        .filter(|term| contains_phrase(&lower, term))
        .map(|term| format!("\"{term}\": see the glossary"));
    let doc = comment.strip_prefix("/// ").or_else(|| comment.strip_prefix("//! "));
    let clauses = CLAUSE_STARTS
        .iter()
        .filter(|start| doc.is_some_and(|doc| doc.starts_with(**start)))
        .map(|start| format!("begins with \"{}\": write a sentence", start.trim()));
    persons.chain(terms).chain(clauses).collect()
}

/// Returns whether a text contains a phrase at word boundaries.
fn contains_phrase(text: &str, phrase: &str) -> bool {
    text.match_indices(phrase).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + phrase.len()..].chars().next();
        let is_letter = |character: Option<char>| character.is_some_and(char::is_alphanumeric);
        !is_letter(before) && !is_letter(after)
    })
}

/// This file contains the words that it forbids.
fn is_checked(path: &str) -> bool {
    is_rust(path) && path != "tests/tidy/language.rs"
}

#[test]
fn comments_are_plain_technical_english() {
    expect_no_violations(is_checked, language_violations);
}

#[test]
fn a_forbidden_word_is_found_in_comments_only() {
    for comment in [
        "/// Who does not know the channel passes it over.",
        "    // Nobody reads this.",
        "//! Whether it is due.",
        "/// Pushes a nudge.",
        "// The delivery is in hand.",
    ] {
        assert_eq!(language_violations("src/a.rs", comment).len().min(1), 1, "{comment}");
    }
    for line in [
        "/// Returns whether it is due.",
        "let whole = \"nobody\";",
        "// Whole numbers; a second-hand account.",
    ] {
        assert_eq!(language_violations("src/a.rs", line), Vec::<String>::new(), "{line}");
    }
}
