use super::*;

fn sum(rows: &[&[CopyValue]]) -> TableChecksum {
    let mut checksum = TableChecksum::default();
    rows.iter().for_each(|row| checksum.add(row));
    checksum
}

#[test]
fn a_checksum_is_independent_of_the_order_and_detects_every_difference() {
    let (first_row, second_row) =
        ([CopyValue::Integer(1), CopyValue::Null], [CopyValue::Integer(2), CopyValue::Null]);
    assert_eq!(sum(&[&first_row, &second_row]), sum(&[&second_row, &first_row]));
    let text_value = |text: &str| CopyValue::Text(text.to_owned());
    for (first_row, second_row) in [
        ([text_value("a"), text_value("bc")], [text_value("ab"), text_value("c")]),
        ([text_value(""), CopyValue::Null], [CopyValue::Null, text_value("")]),
        ([text_value("1"), CopyValue::Null], [CopyValue::Integer(1), CopyValue::Null]),
        ([text_value("a"), CopyValue::Null], [CopyValue::Bytes(b"a".to_vec()), CopyValue::Null]),
    ] {
        assert_ne!(sum(&[&first_row]), sum(&[&second_row]));
    }
}
