//! Test numbers: phone numbers with a fixed result, the same on every provider API.
//!
//! All are in the range +1 202 555 0100 to 0199, which is reserved for fictional use. `docs/src/sandbox-server.md` and
//! `console sandbox --help` contain this table; a test compares them.

use super::call_result::{CallPlan, CallResult, SandboxReceiptStatus};

/// A test number and its result.
pub struct TestNumber {
    /// The number in E.164.
    pub number: &'static str,
    /// Behaviour of the sandbox server.
    pub behavior: &'static str,
    /// Outcome of Postrider's attempt.
    pub outcome: &'static str,
    /// Last state of the delivery with the printed configuration.
    pub state: &'static str,
    plan: CallPlan,
}

/// `Retry-After` of the number that throttles, in seconds.
const RETRY_AFTER_SECONDS: u32 = 2;

/// All test numbers.
pub static TEST_NUMBERS: [TestNumber; 10] = [
    test_number(
        "+12025550100",
        "accepts, receipt delivered",
        ["accepted", "delivered"],
        accepted(SandboxReceiptStatus::Delivered),
    ),
    test_number(
        "+12025550101",
        "rejects the number as invalid",
        ["invalid_recipient", "failed"],
        CallPlan::immediate(CallResult::InvalidNumber),
    ),
    test_number(
        "+12025550102",
        "fails with a server error",
        ["unavailable", "waiting"],
        CallPlan::immediate(CallResult::ServerError),
    ),
    test_number(
        "+12025550103",
        "throttles: 429 with Retry-After",
        ["throttled", "waiting"],
        CallPlan::immediate(CallResult::Throttled { retry_after_seconds: RETRY_AFTER_SECONDS }),
    ),
    test_number(
        "+12025550104",
        "accepts, receipt failed",
        ["accepted", "failed"],
        accepted(SandboxReceiptStatus::Failed),
    ),
    test_number(
        "+12025550105",
        "accepts, receipt invalid",
        ["accepted", "failed"],
        accepted(SandboxReceiptStatus::Invalid),
    ),
    test_number(
        "+12025550106",
        "accepts, no receipt",
        ["accepted", "sent"],
        CallPlan::immediate(CallResult::Accepted(None)),
    ),
    test_number(
        "+12025550107",
        "responds slowly, byte by byte; receipt delivered",
        ["accepted", "delivered"],
        CallPlan { is_slow: true, ..accepted(SandboxReceiptStatus::Delivered) },
    ),
    test_number(
        "+12025550108",
        "does not respond",
        ["unknown", "failed"],
        CallPlan::immediate(CallResult::NoResponse),
    ),
    test_number(
        "+12025550109",
        "responds 200 with a malformed body",
        ["unknown", "failed"],
        CallPlan::immediate(CallResult::Garbage),
    ),
];

const fn test_number(
    number: &'static str,
    behavior: &'static str,
    [outcome, state]: [&'static str; 2],
    plan: CallPlan,
) -> TestNumber {
    TestNumber { number, behavior, outcome, state, plan }
}

const fn accepted(status: SandboxReceiptStatus) -> CallPlan {
    CallPlan::immediate(CallResult::Accepted(Some(status)))
}

/// Returns the result of a test number in any spelling; none for other numbers.
pub(super) fn find_test_number(number: &str) -> Option<CallPlan> {
    let digits: String = number.chars().filter(char::is_ascii_digit).collect();
    let digits = digits.strip_prefix("00").unwrap_or(&digits);
    let mut test_numbers = TEST_NUMBERS.iter();
    let test_number = test_numbers.find(|test_number| test_number.number.strip_prefix('+') == Some(digits));
    test_number.map(|test_number| test_number.plan)
}

#[cfg(test)]
mod tests;
