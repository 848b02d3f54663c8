use std::collections::BTreeSet;

use super::*;

fn sample(body: &str) -> UsageDeliveryRow {
    UsageDeliveryRow {
        created_at: "2026-11-21T08:00:00.000Z".to_owned(),
        user_id: None,
        message_id: "m".to_owned(),
        delivery_id: 64,
        channel: "sms".to_owned(),
        recipient: "+989122222222".to_owned(),
        provider: None,
        reference: None,
        state: "waiting",
        failure: None,
        ended_at: None,
        opened_at: None,
        tries: 0,
        parts: 1,
        subject: Some("a,\"b\"".to_owned()),
        body: body.to_owned(),
    }
}

#[test]
fn the_columns_are_the_json_fields() {
    let fields = |json: serde_json::Value| json.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
    let columns =
        |csv: String| csv.lines().next().unwrap().split(',').map(str::to_owned).collect::<BTreeSet<_>>();
    let row = serde_json::to_value(sample("")).unwrap();
    assert_eq!(fields(row), columns(rows_to_csv(&[sample("")])));
    let total = UsageTotalRow {
        day: "2026-11-21".to_owned(),
        user_id: None,
        channel: "sms".to_owned(),
        deliveries: 1,
        waiting: 2,
        sent: 3,
        delivered: 4,
        failed: 5,
        opened: 6,
        parts: 7,
        tries: 8,
    };
    let json = serde_json::to_value(&total).unwrap();
    assert_eq!(fields(json), columns(totals_to_csv(&[])));
    assert_eq!(totals_to_csv(&[total]).lines().nth(1), Some("2026-11-21,,sms,1,2,3,4,5,6,7,8"));
}

#[test]
fn separators_are_quoted_and_a_phone_number_stays_unchanged() {
    assert_eq!(
        rows_to_csv_without_header(&[sample("line\r\ntwo")]),
        "2026-11-21T08:00:00.000Z,,m,64,sms,+989122222222,,,waiting,,,,0,1,\"a,\"\"b\"\"\",\"line\r\ntwo\"\r\n"
    );
    let header = "created_at,user_id,message_id,delivery_id,channel,recipient,provider,reference,state,failure,ended_at,\
                  opened_at,tries,parts,subject,body\r\n";
    assert_eq!(rows_to_csv(&[]), header);
    assert_eq!(rows_to_csv(&[sample("")]), format!("{header}{}", rows_to_csv_without_header(&[sample("")])));
}

#[test]
fn no_cell_is_evaluated_as_a_formula() {
    for body in
        ["=1+1", "+1+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "＝1", "+", "+1=2", "+98 912"]
    {
        let cell = escape_formula(body);
        assert!(cell.starts_with('\'') && cell.ends_with(body), "{body:?}: {cell:?}");
    }
    for body in ["", "hello", "1-1", "a=b", "+989122222222", "'=1", "\"=1"] {
        assert_eq!(escape_formula(body), body);
    }
}
