use super::*;
use postrider_core::address::{PhoneRules, PhoneStrictness};

/// Returns the table of the documentation.
fn markdown_table() -> String {
    let mut table =
        String::from("| number | provider | outcome of the attempt | last state |\n|---|---|---|---|\n");
    for test_number in &TEST_NUMBERS {
        let TestNumber { number, behavior, outcome, state, .. } = test_number;
        table.push_str(&format!("| `{number}` | {behavior} | `{outcome}` | `{state}` |\n"));
    }
    table
}

#[test]
fn a_test_number_is_recognised_in_every_spelling() {
    for spelling in ["+12025550101", "12025550101", "0012025550101", "+1 (202) 555-0101"] {
        assert_eq!(
            find_test_number(spelling).map(|plan| plan.result),
            Some(CallResult::InvalidNumber),
            "{spelling}"
        );
    }
    assert!(
        find_test_number("+12025550199").is_none()
            && find_test_number("").is_none()
            && find_test_number("2025550101").is_none()
    );
}

#[test]
fn every_test_number_is_a_valid_phone_number() {
    for strictness in [PhoneStrictness::Possible, PhoneStrictness::Valid] {
        let rules = PhoneRules { strictness, ..PhoneRules::default() };
        for test_number in &TEST_NUMBERS {
            assert_eq!(rules.parse_phone(test_number.number).as_deref(), Ok(test_number.number));
        }
    }
}

#[test]
fn documentation_and_help_contain_the_table() {
    assert!(
        include_str!("../../../../../docs/src/sandbox-server.md").contains(&markdown_table()),
        "{}",
        markdown_table()
    );
    let help = include_str!("../../../../../tests/golden/help/sandbox.txt");
    for test_number in &TEST_NUMBERS {
        assert!(
            help.contains(&format!("{} {}", test_number.number, test_number.behavior)),
            "{}",
            test_number.number
        );
    }
}
