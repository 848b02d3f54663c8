use super::*;
use postrider_engine::usage::UsageTotalRow;

#[test]
fn messages_follow_after_few_rows_of_totals() {
    let rows = (0..663).map(|_| UsageTotalRow { channel: "sms".to_owned(), ..UsageTotalRow::default() });
    let totals = UsageTotalsView { rows: rows.collect(), complete: true };
    let text = format_totals(&totals, TOTALS_SHOWN_MAX);
    assert_eq!(text.matches(" sms ").count(), TOTALS_SHOWN_MAX);
    let hidden = format!("{} more rows; --totals shows all of them\n", 663 - TOTALS_SHOWN_MAX);
    assert!(text.contains(&hidden), "{text}");
    assert_eq!(format_totals(&totals, usize::MAX).matches(" sms ").count(), 663);
}
