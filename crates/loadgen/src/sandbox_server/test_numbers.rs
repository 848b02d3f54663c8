//! Numbers whose fate is known before, so that a test can ask for it; the same on every wire.
//!
//! All are of the range +1 202 555 0100 to 0199, which is given to nobody. `docs/SANDBOX.md` and the help have this table.

use super::call_result::{CallPlan, CallResult, SandboxReceiptStatus};

/// One number and what becomes of a message to it.
pub struct TestNumber {
    /// In E.164.
    pub number: &'static str,
    /// What the sandbox does.
    pub behavior: &'static str,
    /// The outcome of Postrider's attempt.
    pub outcome: &'static str,
    /// The state in which the message ends, or stays, with the configuration that the sandbox prints.
    pub state: &'static str,
    plan: CallPlan,
}

/// How long a provider asks to be left alone after a number that throttles, in seconds.
const RETRY_AFTER_SECONDS: u32 = 2;

/// Every number with a fate of its own.
pub static TEST_NUMBERS: [TestNumber; 10] = [
    test_number(
        "+12025550100",
        "takes it and delivers it",
        ["accepted", "delivered"],
        accepted(SandboxReceiptStatus::Delivered),
    ),
    test_number(
        "+12025550101",
        "refuses the number as invalid",
        ["invalid_recipient", "failed"],
        CallPlan::immediate(CallResult::InvalidNumber),
    ),
    test_number(
        "+12025550102",
        "fails at once",
        ["unavailable", "waiting"],
        CallPlan::immediate(CallResult::ServerError),
    ),
    test_number(
        "+12025550103",
        "is too busy: 429 with Retry-After",
        ["throttled", "waiting"],
        CallPlan::immediate(CallResult::Throttled {
            retry_after_seconds: RETRY_AFTER_SECONDS,
        }),
    ),
    test_number(
        "+12025550104",
        "takes it, and it fails",
        ["accepted", "failed"],
        accepted(SandboxReceiptStatus::Failed),
    ),
    test_number(
        "+12025550105",
        "takes it, and the number is invalid",
        ["accepted", "failed"],
        accepted(SandboxReceiptStatus::Invalid),
    ),
    test_number(
        "+12025550106",
        "takes it and is never heard of again",
        ["accepted", "sent"],
        CallPlan::immediate(CallResult::Accepted(None)),
    ),
    test_number(
        "+12025550107",
        "answers slowly, byte by byte, and delivers it",
        ["accepted", "delivered"],
        CallPlan {
            is_slow: true,
            ..accepted(SandboxReceiptStatus::Delivered)
        },
    ),
    test_number(
        "+12025550108",
        "never answers",
        ["unknown", "failed"],
        CallPlan::immediate(CallResult::NoResponse),
    ),
    test_number(
        "+12025550109",
        "answers 200 with something else",
        ["unknown", "failed"],
        CallPlan::immediate(CallResult::Garbage),
    ),
];

const fn test_number(
    number: &'static str,
    does: &'static str,
    [attempt, state]: [&'static str; 2],
    course: CallPlan,
) -> TestNumber {
    TestNumber {
        number,
        behavior: does,
        outcome: attempt,
        state,
        plan: course,
    }
}

const fn accepted(verdict: SandboxReceiptStatus) -> CallPlan {
    CallPlan::immediate(CallResult::Accepted(Some(verdict)))
}

/// The fate of a number, however it is spelled.
pub(super) fn find_test_number(number: &str) -> Option<CallPlan> {
    let digits: String = number.chars().filter(char::is_ascii_digit).collect();
    let digits = digits.strip_prefix("00").unwrap_or(&digits);
    let fate = TEST_NUMBERS
        .iter()
        .find(|fate| fate.number.strip_prefix('+') == Some(digits))?;
    Some(fate.plan)
}

#[cfg(test)]
mod tests {
    use super::*;
    use postrider_core::address::{PhoneRules, PhoneStrictness};

    /// The table as documents have it.
    fn markdown_table() -> String {
        let mut table = String::from(
            "| number | what the provider does | the attempt | the message is then |\n|---|---|---|---|\n",
        );
        for fate in &TEST_NUMBERS {
            let TestNumber {
                number,
                behavior: does,
                outcome: attempt,
                state,
                ..
            } = fate;
            table.push_str(&format!("| `{number}` | {does} | `{attempt}` | `{state}` |\n"));
        }
        table
    }

    #[test]
    fn a_number_has_its_fate_in_every_spelling() {
        for spelling in [
            "+12025550101",
            "12025550101",
            "0012025550101",
            "+1 (202) 555-0101",
        ] {
            assert_eq!(
                find_test_number(spelling).map(|course| course.result),
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
    fn postrider_takes_every_one_of_them_as_a_real_number() {
        for strictness in [PhoneStrictness::Possible, PhoneStrictness::Valid] {
            let rules = PhoneRules {
                strictness,
                ..PhoneRules::default()
            };
            for fate in &TEST_NUMBERS {
                assert_eq!(rules.parse_phone(fate.number).as_deref(), Ok(fate.number));
            }
        }
    }

    #[test]
    fn the_documents_have_the_table() {
        assert!(
            include_str!("../../../../docs/SANDBOX.md").contains(&markdown_table()),
            "{}",
            markdown_table()
        );
        let help = include_str!("../../../../tests/golden/help/sandbox.txt");
        for fate in &TEST_NUMBERS {
            assert!(
                help.contains(&format!("{} {}", fate.number, fate.behavior)),
                "{}",
                fate.number
            );
        }
    }
}
