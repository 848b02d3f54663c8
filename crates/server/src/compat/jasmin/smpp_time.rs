//! Times of SMPP: `YYMMDDhhmmsstnnp`, absolute with the difference to UTC in quarter hours, or relative with `R`.

#[cfg(test)]
mod tests;

use chrono::{Months, NaiveDate, TimeDelta};
use postrider_core::clock::Timestamp;

/// Parses a time; none if it does not exist.
pub(super) fn parse(text: &str, now: Timestamp) -> Option<Timestamp> {
    let (digits, kind) = text.split_at_checked(15)?;
    let number = |begin: usize, end: usize| digits.get(begin..end)?.parse::<u32>().ok();
    let (year, month, day) = (number(0, 2)?, number(2, 4)?, number(4, 6)?);
    let (hour, minute, second) = (number(6, 8)?, number(8, 10)?, number(10, 12)?);
    if kind == "R" {
        let days = TimeDelta::days(i64::from(day));
        let seconds =
            TimeDelta::seconds(i64::from(hour) * 3_600 + i64::from(minute) * 60 + i64::from(second));
        return now.checked_add_months(Months::new(year * 12 + month))?.checked_add_signed(days + seconds);
    }
    let local = NaiveDate::from_ymd_opt(i32::try_from(2_000 + year).ok()?, month, day)?;
    let local = local.and_hms_opt(hour, minute, second)?.and_utc();
    let difference = TimeDelta::minutes(i64::from(number(13, 15)?) * 15);
    match kind {
        "+" => local.checked_sub_signed(difference),
        "-" => local.checked_add_signed(difference),
        _ => None,
    }
}
