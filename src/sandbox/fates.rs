//! Numbers whose fate is known before, so that a test can ask for it; the same on every wire.
//!
//! All are of the range +1 202 555 0100 to 0199, which is given to nobody. `docs/SANDBOX.md` and the help have this table.

use super::turn::{Course, Turn, Verdict};

/// One number and what becomes of a message to it.
pub struct Fate {
    /// In E.164.
    pub number: &'static str,
    /// What the sandbox does.
    pub does: &'static str,
    /// The outcome of Postrider's attempt.
    pub attempt: &'static str,
    /// The state in which the message ends, or stays, with the configuration that the sandbox prints.
    pub state: &'static str,
    course: Course,
}

/// How long a provider asks to be left alone after a number that throttles, in seconds.
const RETRY_AFTER_SECONDS: u32 = 2;

/// Every number with a fate of its own.
pub static FATES: [Fate; 10] = [
    fate(
        "+12025550100",
        "takes it and delivers it",
        ["accepted", "delivered"],
        taken(Verdict::Delivered),
    ),
    fate(
        "+12025550101",
        "refuses the number as invalid",
        ["invalid_recipient", "failed"],
        Course::plain(Turn::Refused),
    ),
    fate(
        "+12025550102",
        "fails at once",
        ["unavailable", "waiting"],
        Course::plain(Turn::Failed),
    ),
    fate(
        "+12025550103",
        "is too busy: 429 with Retry-After",
        ["throttled", "waiting"],
        Course::plain(Turn::Throttled {
            retry_after_seconds: RETRY_AFTER_SECONDS,
        }),
    ),
    fate(
        "+12025550104",
        "takes it, and it fails",
        ["accepted", "failed"],
        taken(Verdict::Failed),
    ),
    fate(
        "+12025550105",
        "takes it, and the number is invalid",
        ["accepted", "failed"],
        taken(Verdict::Invalid),
    ),
    fate(
        "+12025550106",
        "takes it and is never heard of again",
        ["accepted", "sent"],
        Course::plain(Turn::Taken(None)),
    ),
    fate(
        "+12025550107",
        "answers slowly, byte by byte, and delivers it",
        ["accepted", "delivered"],
        Course {
            slow: true,
            ..taken(Verdict::Delivered)
        },
    ),
    fate(
        "+12025550108",
        "never answers",
        ["unknown", "failed"],
        Course::plain(Turn::Hung),
    ),
    fate(
        "+12025550109",
        "answers 200 with something else",
        ["unknown", "failed"],
        Course::plain(Turn::Garbled),
    ),
];

const fn fate(
    number: &'static str,
    does: &'static str,
    [attempt, state]: [&'static str; 2],
    course: Course,
) -> Fate {
    Fate {
        number,
        does,
        attempt,
        state,
        course,
    }
}

const fn taken(verdict: Verdict) -> Course {
    Course::plain(Turn::Taken(Some(verdict)))
}

/// The fate of a number, however it is spelled.
pub(super) fn of(number: &str) -> Option<Course> {
    let digits: String = number.chars().filter(char::is_ascii_digit).collect();
    let digits = digits.strip_prefix("00").unwrap_or(&digits);
    let fate = FATES
        .iter()
        .find(|fate| fate.number.strip_prefix('+') == Some(digits))?;
    Some(fate.course)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::recipient::{PhoneRules, Strictness};

    /// The table as documents have it.
    fn markdown_table() -> String {
        let mut table = String::from(
            "| number | what the provider does | the attempt | the message is then |\n|---|---|---|---|\n",
        );
        for fate in &FATES {
            let Fate {
                number,
                does,
                attempt,
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
                of(spelling).map(|course| course.turn),
                Some(Turn::Refused),
                "{spelling}"
            );
        }
        assert!(of("+12025550199").is_none() && of("").is_none() && of("2025550101").is_none());
    }

    #[test]
    fn postrider_takes_every_one_of_them_as_a_real_number() {
        for strictness in [Strictness::Possible, Strictness::Valid] {
            let rules = PhoneRules {
                strictness,
                ..PhoneRules::default()
            };
            for fate in &FATES {
                assert_eq!(rules.phone(fate.number).as_deref(), Ok(fate.number));
            }
        }
    }

    #[test]
    fn the_documents_have_the_table() {
        assert!(
            include_str!("../../docs/SANDBOX.md").contains(&markdown_table()),
            "{}",
            markdown_table()
        );
        let help = include_str!("../../tests/golden/help/sandbox.txt");
        for fate in &FATES {
            assert!(
                help.contains(&format!("{} {}", fate.number, fate.does)),
                "{}",
                fate.number
            );
        }
    }
}
